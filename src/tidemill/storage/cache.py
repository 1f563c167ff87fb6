"""The store's folders as garbage collection sees them: age, size, complete or not.

A folder is removed in two steps, so that a use in between is noticed. First it is set aside: renamed or, in a bucket,
made invalid by deleting its list. Then its files are deleted.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from tidemill.storage.atomic import WRITING
from tidemill.storage.bucket import Bucket
from tidemill.storage.store import LIST, MANIFEST, Store

__all__ = ["Aside", "Folder", "Shelf"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_GOING = ".collected-"  # begins the names of folders that are being removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder."""

    uri: str
    """Model, kind and name."""
    written_at: datetime
    """When it was written; if incomplete, when its newest file was."""
    size_bytes: int
    """Bytes of all files."""
    whole: bool = True
    """Whether it is complete, and named by its digest."""
    going: bool = False
    """Whether a collection that was killed has set it aside."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """All folders of a store."""

    store: Store

    def folders(self, model: str, kind: str) -> Iterator[Folder]:
        """Return all folders of a model and kind, complete or not, in order of name; links are not followed."""
        if self.store.bucket is not None:
            yield from _in_bucket(self.store.bucket, model, kind)
        parent = self.store.root / model / kind
        for path in sorted(path for path in parent.glob("*") if path.is_dir() and not path.is_symlink()):
            whole, uri = _DIGEST.fullmatch(path.name) is not None, f"{model}/{kind}/{path.name}"
            if whole and self.store.bucket is None:
                yield Folder(uri=uri, written_at=_written_at(path), size_bytes=_size(path))
            elif path.name.startswith((WRITING, _GOING)):
                with suppress(FileNotFoundError):  # its writer has just finished
                    newest = max(_written_at(item) for item in (path, *path.rglob("*")))
                    going = path.name.startswith(_GOING)
                    yield Folder(uri=uri, written_at=newest, size_bytes=_size(path), whole=False, going=going)

    def set_aside(self, uri: str) -> "Aside":
        """Take a complete folder out of use, so that it can be put back."""
        bucket, path = self.store.bucket, self.store.root / uri
        if bucket is None:
            aside = path.with_name(_GOING + path.name)
            path.rename(aside)
            return Aside(shelf=self, uri=uri, aside=aside.relative_to(self.store.root).as_posix())
        name, content = next((name, found) for name in (LIST, MANIFEST) if (found := bucket.read(f"{uri}/{name}")))
        bucket.delete(f"{uri}/{name}")
        return Aside(shelf=self, uri=uri, aside=uri, name=name, content=content)

    def remove(self, uri: str) -> None:
        """Delete a folder's files, and this machine's copy of them."""
        bucket, path = self.store.bucket, self.store.root / uri
        if bucket is not None:
            bucket.remove(uri)
        if bucket is None or path.is_dir():
            shutil.rmtree(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A folder that has been set aside."""

    shelf: Shelf
    uri: str
    """Its former name."""
    aside: str
    """Its present name."""
    name: str = ""
    """Name of its list, in a bucket."""
    content: bytes = b""
    """Its list."""

    def put_back(self) -> bool:
        """Put it back into use; return False if the same content has been written again meanwhile."""
        store = self.shelf.store
        if store.bucket is not None:
            store.bucket.write(f"{self.uri}/{self.name}", self.content)
            return True
        try:
            (store.root / self.aside).rename(store.root / self.uri)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Delete it."""
        self.shelf.remove(self.aside)


def _in_bucket(bucket: Bucket, model: str, kind: str) -> Iterator[Folder]:
    prefix = f"{model}/{kind}"
    for name, group in groupby(
        bucket.items(prefix), key=lambda item: item.key.removeprefix(f"{prefix}/").split("/")[0]
    ):
        items = list(group)
        uri = f"{prefix}/{name}"
        lists = {f"{uri}/{LIST}", f"{uri}/{MANIFEST}"}
        yield Folder(
            uri=uri,
            written_at=max(item.written_at for item in items),
            size_bytes=sum(item.size_bytes for item in items),
            whole=_DIGEST.fullmatch(name) is not None and any(item.key in lists for item in items),
        )


def _written_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
