"""The store: folders of files, each folder named by the digest of its content.

With a bucket, the root is this machine's copy of the bucket: written through, and fetched on demand.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import ArtifactCorrupt
from tidemill.faults import fault_point
from tidemill.storage.atomic import aside, flush_files, move_into_place, replace_file
from tidemill.storage.bucket import Bucket
from tidemill.workspace import Workspace

__all__ = ["Store", "Stored", "digest_file", "digest_folder"]

LIST = ".digests"
"""File with the digest of each other one in its folder; the folder's digest is of this text, so it proves itself."""
MANIFEST = "manifest.json"
"""The same of a bundle's folder, with more about it."""
_RESTORE = "Restore it from a backup, or build it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The place of a stored folder."""

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
    """Folder of everything, or a copy of the part in use."""
    bucket: Bucket | None = None
    """Bucket of everything, for several machines; None if the root has it."""

    @classmethod
    def of(cls, workspace: Workspace) -> "Store":
        """Return the store of a workspace."""
        return cls(workspace.storage, Bucket(workspace.bucket) if workspace.bucket else None)

    @property
    def place(self) -> str:
        """Address of the storage, for people."""
        return self.bucket.place if self.bucket else str(self.root)

    def write(self, model: str, kind: str, fill: Callable[[Path], None]) -> Stored:
        """Store the files that a function writes into an empty folder.

        A kill at any instant leaves either the whole folder under its final name, or only a
        temporary folder. Writing the same content again changes nothing.

        Parameters
        ----------
        model : str
            Name of the model; first part of the URI.
        kind : str
            ``snapshots``, ``splits``, ``scores``, ``bundles`` or another kind of `retention.folders`; second part.
        fill : callable
            Receives the folder to write files into.

        Raises
        ------
        StorageFull
            If the disk has no room; nothing is left of the attempt.
        StorageUnavailable, StorageRefused
            If the bucket does not accept it; another attempt uploads it again.
        """
        parent = self.root / model / kind
        with aside(parent) as beside:
            folder = beside / "content"
            folder.mkdir()
            fill(folder)
            size_bytes = sum(path.stat().st_size for path in _files(folder))
            lines = _lines(folder)
            (folder / LIST).write_text(lines, encoding="utf-8")
            digest = hashlib.sha256(lines.encode()).hexdigest()
            flush_files(folder)
            fault_point("store-filled")
            move_into_place(folder, parent / digest, _is_sound)
            fault_point("store-renamed")
        uri = f"{model}/{kind}/{digest}"
        self.share(uri)
        return Stored(digest=digest, uri=uri, size_bytes=size_bytes)

    def share(self, uri: str) -> None:
        """Upload the files of a local folder that the bucket, if there is one, lacks."""
        if self.bucket is not None:
            folder = self.root / uri
            self.bucket.push(folder, uri, LIST if (folder / LIST).is_file() else MANIFEST)

    def holds(self, uri: str) -> bool:
        """Whether a folder exists; its content is not checked."""
        if self.bucket is None:
            return self.path(uri).is_dir()
        return any(self.bucket.read(f"{uri}/{name}") is not None for name in (LIST, MANIFEST))

    def folder(self, uri: str, digest: str) -> Path:
        """Return a stored folder, after comparing its content with its digest.

        Raises
        ------
        ArtifactCorrupt
            If it is missing, or does not match the digest.
        """
        path = self.path(uri)
        if not path.is_dir():
            raise ArtifactCorrupt(f"Artifact {uri} is missing from {self.place}.", _RESTORE)
        found = digest_folder(path)
        if found != digest and self._fetched(uri, path):  # this machine's copy is damaged, the bucket's may not be
            found = digest_folder(path)
        if found != digest:
            raise ArtifactCorrupt(
                f"Artifact {uri} has changed: expected digest {digest}, got {found}{_told(path, digest)}.", _RESTORE
            )
        return path

    def path(self, uri: str) -> Path:
        """Return the path of a URI, whether or not it exists.

        A folder that exists only in the bucket is downloaded and compared with its digest.

        Raises
        ------
        ArtifactCorrupt
            If the URI leads out of the root, or the bucket's content does not match the name.
        StorageUnavailable, StorageRefused
            If the bucket does not return it.
        """
        path = (self.root / uri).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ArtifactCorrupt(f"Artifact {uri!r} lies outside the storage.", "Correct the ledger's row.")
        if not path.is_dir():
            self._fetched(uri, path)
        return path

    def _fetched(self, uri: str, target: Path) -> bool:
        """Download a folder from the bucket, if there is a bucket and it has the folder."""
        for last in (LIST, MANIFEST) if self.bucket else ():
            listed = self.bucket.read(f"{uri}/{last}") if self.bucket else None
            if self.bucket and listed is not None:
                self._fetch(self.bucket, uri, target, last, listed)
                return True
        return False

    def _fetch(self, bucket: Bucket, uri: str, target: Path, last: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != target.name:
            raise ArtifactCorrupt(
                f"Artifact {uri} in {bucket.place} has a {last} that does not match its name.", _RESTORE
            )
        wanted = _listed(last, content)
        with aside(target.parent) as beside:
            folder = beside / "content"
            folder.mkdir()
            try:
                bucket.fetch(uri, sorted(wanted), folder)
            except FileNotFoundError as error:
                raise ArtifactCorrupt(f"Artifact {uri} in {bucket.place} lacks a file: {error}.", _RESTORE) from error
            for name, digest in wanted.items():
                found = digest_file(folder / name)
                if found != digest:
                    raise ArtifactCorrupt(
                        f"Artifact {uri} in {bucket.place} has changed: {name} was {digest}, is {found}.", _RESTORE
                    )
            (folder / last).write_bytes(content)
            move_into_place(folder, target, _is_sound)

    # ------------------------------------------------------------ notes: small files that come and go, not immutable

    def note(self, uri: str, content: bytes) -> None:
        """Write a small file under a name, atomically.

        Raises
        ------
        StorageFull
            If the disk has no room.
        StorageUnavailable, StorageRefused
            If the bucket does not accept it.
        """
        if self.bucket is not None:
            self.bucket.write(uri, content)
            return
        replace_file(self.path(uri), content)

    def notes(self, model: str, kind: str) -> tuple[str, ...]:
        """Return the names of a model's notes of one kind that end in ``.json``, oldest first."""
        if self.bucket is not None:
            items = [item for item in self.bucket.items(f"{model}/{kind}") if item.key.endswith(".json")]
            return tuple(item.key for item in sorted(items, key=lambda item: (item.written_at, item.key)))
        paths = (self.root / model / kind).glob("*.json")
        found = sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))
        return tuple(path.relative_to(self.root).as_posix() for path in found)

    def noted(self, uri: str) -> bytes | None:
        """Return a note, or None if it has been removed."""
        if self.bucket is not None:
            return self.bucket.read(uri)
        try:
            return (self.root / uri).read_bytes()
        except FileNotFoundError:
            return None

    def strike(self, uri: str) -> None:
        """Remove a note; another process may already have done so."""
        if self.bucket is not None:
            self.bucket.delete(uri)
        else:
            (self.root / uri).unlink(missing_ok=True)


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


def _is_sound(folder: Path) -> bool:
    """Whether a folder's content matches its name; a bundle is compared when it is loaded."""
    is_bundle = (folder / MANIFEST).is_file() and not (folder / LIST).is_file()
    return is_bundle or digest_folder(folder) == folder.name


def _lines(folder: Path) -> str:
    lines = []
    for path in _files(folder):
        if path.is_symlink():
            raise ArtifactCorrupt(f"{path} is a symbolic link; artifacts hold only plain files.", "Remove the link.")
        lines.append(f"{path.relative_to(folder).as_posix()}\0{digest_file(path)}\n")
    return "".join(lines)


def _listed(last: str, content: bytes) -> dict[str, str]:
    """Return the listed files, each with its digest; refuse paths outside of the folder."""
    lines = content.decode().splitlines()
    named: dict[str, str] = dict(line.split("\0") for line in lines) if last == LIST else json.loads(content)["files"]
    odd = [name for name in named if name.startswith("/") or ".." in name.split("/")]
    if odd:
        raise ArtifactCorrupt(f"A list of files names {odd[0]!r}.", "Do not use it; find out who wrote it.")
    return named


def _told(folder: Path, digest: str) -> str:
    """Return which files differ, by the list in the folder; the list is used only if it matches the digest."""
    kept = folder / LIST
    if kept.is_symlink() or not kept.is_file():
        return ""
    text = kept.read_bytes().decode(errors="replace")
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        return ""
    wanted, found = (dict(line.split("\0") for line in lines.splitlines()) for lines in (text, _lines(folder)))
    said = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    said += [f"{name} is one too many" for name in sorted(found.keys() - wanted.keys())]
    said += [
        f"{name} was {wanted[name]}, is {found[name]}"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]
    return f" ({'; '.join(said)})"


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path for path in found if path != folder / LIST)
