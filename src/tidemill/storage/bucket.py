"""A bucket: the same folders in an object store with the S3 protocol, shared by several machines.

A bucket has no rename and needs none: the list of a folder's digests is uploaded last, and a folder without its list
does not count. Everything else is as on a disk: a folder is named by its content and never changes, so an interrupted
upload is simply repeated.
"""

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
from pyarrow import fs

from tidemill.errors import SettingsError, StorageRefused, StorageUnavailable, first_line

__all__ = ["Bucket", "Item"]

N_ATTEMPTS = 5
"""Times that a request is tried before it counts as failed, with growing pauses."""
CONNECT_S, REQUEST_S = 10, 60
"""Seconds until a connection, and until the next bytes of an answer."""
BLOCK_BYTES = 8 * 2**20
"""Bytes in memory of a file on its way."""

_OPTIONS = {"endpoint": "endpoint_override", "region": "region", "scheme": "scheme"}
_REFUSED = (
    "ACCESS_DENIED",
    "Access Denied",  # of one object among several that are deleted
    "NO_SUCH_BUCKET",
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "Status 403",
    "status 403",
    "UNKNOWN (HTTP status 301)",  # the bucket is in another region
    "UNKNOWN (HTTP status 400)",  # signed for another region, or with a token that has expired
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_GRANT = (
    "See docs/deploy/storage.md for what its account has to be allowed, and check the bucket's name, its region and the "
    "credentials."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One object."""

    key: str
    """Name below the bucket's prefix."""
    size_bytes: int
    written_at: datetime
    """By the store's clock."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or a prefix of one.

    Examples
    --------
    >>> Bucket("s3://models/prod").url
    's3://models/prod'
    """

    url: str
    """``s3://bucket/prefix``, with ``?endpoint=…&scheme=http&region=…`` if the store is not Amazon's; or ``file:///…``."""

    @property
    def place(self) -> str:
        """Bucket and prefix, without options."""
        return self.url.partition("?")[0].rstrip("/")

    def push(self, folder: Path, uri: str, last: str) -> None:
        """Upload a folder's files, one of them last; objects that already have the right size are skipped.

        Parameters
        ----------
        folder : Path
            Local folder of plain files, nested or not, without links.
        uri : str
            Name of the folder there.
        last : str
            Name of the file without which the folder does not count.

        Raises
        ------
        StorageUnavailable
            If the store cannot be reached, or keeps fewer bytes than were sent.
        StorageRefused
            If the account may not list or write.
        """
        there = {item.key: item.size_bytes for item in self.items(uri)}
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
        for name in [*(name for name in names if name != last), last]:
            if there.get(f"{uri}/{name}") != (folder / name).stat().st_size:
                self._put(folder / name, f"{uri}/{name}")

    def fetch(self, uri: str, names: Sequence[str], folder: Path) -> None:
        """Download the listed files of a folder.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        StorageUnavailable
            If the store cannot be reached, or the connection is cut.
        StorageRefused
            If the account may not read.
        """
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (
                self._reached("GetObject", f"{uri}/{name}") as (system, path),
                system.open_input_stream(path) as source,
                (folder / name).open("xb") as target,
            ):
                shutil.copyfileobj(source, target, BLOCK_BYTES)

    @contextmanager
    def opened(self, key: str) -> Iterator[pa.NativeFile]:
        """Open an object for reading at any place, for the length of a block; raises as `fetch`."""
        with self._reached("GetObject", key) as (system, path), system.open_input_file(path) as stream:
            yield stream

    def read(self, key: str) -> bytes | None:
        """Return a small object's content, or None if it does not exist."""
        try:
            with self._reached("GetObject", key) as (system, path), system.open_input_stream(path) as source:
                content: bytes = source.read()
                return content
        except FileNotFoundError:
            return None

    def write(self, key: str, content: bytes) -> None:
        """Write a small object, atomically."""
        with self._reached("PutObject", key) as (system, path):
            self._make_folder(system, path)
            with system.open_output_stream(path) as target:
                target.write(content)

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is not an error."""
        try:
            with self._reached("DeleteObject", key) as (system, path):
                system.delete_file(path)
        except FileNotFoundError:
            pass

    def remove(self, uri: str) -> None:
        """Delete a folder's objects; a missing one is not an error."""
        try:
            with self._reached("DeleteObject", uri) as (system, path):
                system.delete_dir(path)
        except FileNotFoundError:
            pass

    def items(self, prefix: str) -> Iterator[Item]:
        """Return all objects of a folder, at any depth.

        Raises
        ------
        StorageUnavailable
            If the store cannot be reached.
        StorageRefused
            If the account may not list.
        """
        with self._reached("ListBucket", prefix) as (system, path):
            found = system.get_file_info(fs.FileSelector(path.rstrip("/"), allow_not_found=True, recursive=True))
        root = path[: len(path) - len(prefix)]
        for info in sorted((info for info in found if info.is_file), key=lambda info: info.path):
            at = datetime.fromtimestamp(info.mtime_ns / 1e9, UTC)
            yield Item(key=info.path.removeprefix(root), size_bytes=info.size, written_at=at)

    def _put(self, file: Path, key: str) -> None:
        size = file.stat().st_size
        with self._reached("PutObject", key) as (system, path):
            self._make_folder(system, path)
            with file.open("rb") as source, system.open_output_stream(path) as target:
                try:
                    shutil.copyfileobj(source, target, BLOCK_BYTES)
                except (OSError, pa.ArrowException):
                    raise
                except BaseException:  # interrupted: closing the object now would keep it truncated
                    source.seek(target.tell())
                    shutil.copyfileobj(source, target, BLOCK_BYTES)
                    raise
            kept = system.get_file_info(path).size
        if kept != size:
            raise StorageUnavailable(
                f"{self._place(key)} was sent {size:,} bytes and holds {kept}.",
                "Airflow tries it again; nothing refers to it yet.",
            )

    def _make_folder(self, system: fs.FileSystem, path: str) -> None:
        if isinstance(system, fs.LocalFileSystem):  # buckets have no folders
            system.create_dir(path.rpartition("/")[0], recursive=True)

    @contextmanager
    def _reached(self, action: str, key: str) -> Iterator[tuple[fs.FileSystem, str]]:
        """Yield the file system and the full path of a key; translate errors of the store."""
        system, root = _system(self.url)
        try:
            yield system, f"{root}/{key}"
        except (FileNotFoundError, FileExistsError):
            raise
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno in _FULL:  # this machine's disk, which `writable` reports
                raise
            said = first_line(error)
            if any(word in str(error) for word in _REFUSED):
                raise StorageRefused(f"{self._place(key)}: the store refuses {action}: {said}.", _GRANT) from error
            raise StorageUnavailable(
                f"{self._place(key)}: {action} failed after {N_ATTEMPTS} attempts: {said}.",
                "Airflow tries it again; if that persists, check whether the object store can be reached from this machine.",
            ) from error

    def _place(self, key: str) -> str:
        return f"{self.place}/{key}"


@lru_cache(maxsize=4)
def _system(url: str) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return fs.LocalFileSystem(), parts.path.rstrip("/")
    options = dict(parse_qsl(parts.query))
    unknown = sorted(options.keys() - _OPTIONS.keys())
    if parts.scheme != "s3" or not parts.hostname or parts.username or unknown:
        raise SettingsError(
            f"TIDEMILL_STORAGE is not a place for artifacts: {url.partition('?')[0].rpartition('@')[2]!r}"
            f"{f' with {unknown}' if unknown else ''}.",
            "Set it to a folder, or to s3://bucket/prefix with 'endpoint', 'region' and 'scheme' as options;"
            " credentials go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into the machine's role.",
        )
    system = fs.S3FileSystem(
        **{_OPTIONS[name]: value for name, value in options.items()},
        allow_delayed_open=True,  # one request for a small object instead of three
        connect_timeout=CONNECT_S,
        request_timeout=REQUEST_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=N_ATTEMPTS),
    )
    return system, "/".join(part for part in f"{parts.netloc}{parts.path}".split("/") if part)
