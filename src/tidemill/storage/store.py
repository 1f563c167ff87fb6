"""The store: folders of files, each folder named by the digest of its content."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import ArtifactCorrupt, StorageFull
from tidemill.faults import fault_point

__all__ = ["Store", "Stored", "digest_file", "digest_folder", "room"]

LIST = ".digests"
"""File with the digest of each other one in its folder; the folder's digest is of this text, so it proves itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where something was put."""

    digest: str
    """SHA-256 of the content."""
    uri: str
    """Folder, relative to the root."""
    size_bytes: int
    """Bytes of all files."""


@dataclass(frozen=True, slots=True)
class Store:
    """Immutable folders below a root."""

    root: Path
    """Folder that holds everything."""

    def write(self, model: str, kind: str, fill: Callable[[Path], None]) -> Stored:
        """Store what a function writes into an empty folder.

        A kill at any instant leaves either the whole folder under its final name, or nothing but a
        temporary folder. Writing the same content again changes nothing.

        Parameters
        ----------
        model : str
            Name of the model; first part of the URI.
        kind : str
            ``snapshots``, ``splits``, ``bundles`` or ``reports``; second part.
        fill : callable
            Receives the folder to write files into.

        Raises
        ------
        StorageFull
            If the disk has no room; nothing is left of the attempt.
        """
        parent = self.root / model / kind
        with room(parent), tempfile.TemporaryDirectory(prefix=".writing-", dir=parent) as aside:
            folder = Path(aside) / "content"
            folder.mkdir()
            fill(folder)
            lines = _lines(folder)
            (folder / LIST).write_text(lines, encoding="utf-8")
            digest, size_bytes = hashlib.sha256(lines.encode()).hexdigest(), 0
            for path in _files(folder):
                size_bytes += path.stat().st_size
                _flush(path)
            fault_point("store-filled")
            self._settle(folder, parent / digest)
            fault_point("store-renamed")
        _flush(parent)
        return Stored(digest=digest, uri=f"{model}/{kind}/{digest}", size_bytes=size_bytes)

    def folder(self, uri: str, digest: str) -> Path:
        """Give a stored folder, after its content has been compared with its digest.

        Raises
        ------
        ArtifactCorrupt
            If it is missing, or is not what the digest says.
        """
        path = self.path(uri)
        if not path.is_dir():
            raise ArtifactCorrupt(
                f"Artifact {uri} is missing from {self.root}.", "Restore it from a backup, or build it again."
            )
        found = digest_folder(path)
        if found != digest:
            raise ArtifactCorrupt(
                f"Artifact {uri} has changed: expected digest {digest}, got {found}{_told(path, digest)}.",
                "Restore it from a backup, or build it again.",
            )
        return path

    def path(self, uri: str) -> Path:
        """Give the path of a URI.

        Raises
        ------
        ArtifactCorrupt
            If the URI leads out of the root.
        """
        path = (self.root / uri).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ArtifactCorrupt(f"Artifact {uri!r} lies outside the storage.", "Correct the ledger's row.")
        return path

    def _settle(self, folder: Path, target: Path) -> None:
        if target.is_dir() and digest_folder(target) != target.name:
            target.rename(folder.with_name("corrupt"))  # removed with the temporary folder
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else the same content is there already
                raise


@contextmanager
def room(parent: Path) -> Iterator[None]:
    """Make sure that a folder is there, and say in our words if something written into it does not fit.

    Raises
    ------
    StorageFull
        If the disk, or the account's part of it, is full.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(next(path for path in (parent, *parent.parents) if path.exists())).free
        raise StorageFull(
            f"The storage is full: what was to be written to {parent} needs more than the {free:,} bytes that are free.",
            "Nothing of it was kept. Make room, for instance with 'tidemill gc', and run it again.",
        ) from error


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_folder(folder: Path) -> str:
    """SHA-256 over the names and digests of a folder's files.

    Raises
    ------
    ArtifactCorrupt
        If the folder holds a symbolic link.
    """
    return hashlib.sha256(_lines(folder).encode()).hexdigest()


def _lines(folder: Path) -> str:
    lines = []
    for path in _files(folder):
        if path.is_symlink():
            raise ArtifactCorrupt(f"{path} is a symbolic link; artifacts hold plain files alone.", "Remove the link.")
        lines.append(f"{path.relative_to(folder).as_posix()}\0{digest_file(path)}\n")
    return "".join(lines)


def _told(folder: Path, digest: str) -> str:
    """Say which files differ, by the list that lies in the folder; it is believed if it is what the digest is of."""
    kept = folder / LIST
    if kept.is_symlink() or not kept.is_file():
        return ""
    text = kept.read_bytes().decode(errors="replace")
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        return ""
    wanted, found = (dict(line.split("\0") for line in lines.splitlines()) for lines in (text, _lines(folder)))
    said = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    said += [f"{name} is one too many" for name in sorted(found.keys() - wanted.keys())]
    said += [f"{name} was {wanted[name]}, is {found[name]}"
             for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name]]  # fmt: skip
    return f" ({'; '.join(said)})"


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path for path in found if path != folder / LIST)


def _flush(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
