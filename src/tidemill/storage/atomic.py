"""Write to a temporary place, flush, rename: a file or folder is complete or absent, even after a power cut."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tidemill.errors import SettingsError, StorageFull

__all__ = ["WRITING", "aside", "flush_files", "move_into_place", "replace_file", "writable"]

WRITING = ".writing-"
"""Begins the names of unfinished folders; the collector removes those that are a day old."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EINVAL, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTSUP,
    errno.ENODEV, errno.ENXIO, errno.ENOSYS,
)  # fmt: skip
"""Errors that neither a retry nor other content changes: no permission, no folder, or a file system that keeps no files."""


@contextmanager
def writable(parent: Path) -> Iterator[None]:
    """Create a folder if needed, and translate the system's errors about a full or write-protected disk.

    Raises
    ------
    SettingsError
        If this account may not write there, or it is not a folder on a disk.
    StorageFull
        If the disk, or the account's share of it, is full.
    """
    created = False
    try:
        parent.mkdir(parents=True, exist_ok=True)
        created = True
        yield
    except OSError as error:
        if error.errno not in _FULL and (error.errno in _REFUSED or not created):
            raise SettingsError(
                f"Nothing can be written to {parent}: {error.strerror}.",
                "Let the user that this runs as write there, or name another folder: by TIDEMILL_STORAGE, or by TIDEMILL_CACHE "
                "if the storage is a bucket and this its copy.",
            ) from error
        if error.errno not in _FULL:
            raise
        free = shutil.disk_usage(next(path for path in (parent, *parent.parents) if path.exists())).free
        raise StorageFull(
            f"The storage is full: what was to be written to {parent} needs more than the {free:,} bytes that are free.",
            "Nothing of it was kept. Make room, for instance with 'tidemill gc', and run it again.",
        ) from error


@contextmanager
def aside(parent: Path) -> Iterator[Path]:
    """Yield an empty folder next to the final place, which is removed at the end. Raises as `writable`."""
    with writable(parent), tempfile.TemporaryDirectory(prefix=WRITING, dir=parent) as folder:
        yield Path(folder)


def move_into_place(folder: Path, target: Path, is_sound: Callable[[Path], bool]) -> None:
    """Rename a complete folder to its final name; an intact folder of that name stays, a damaged one goes.

    Parameters
    ----------
    folder : Path
        Complete, in a folder of `aside`.
    target : Path
        Final name, on the same disk.
    is_sound : callable
        Whether an existing folder of the final name has the right content.
    """
    if not (_is_filled(target) and is_sound(target)):
        if _is_filled(target):
            target.rename(folder.with_name("damaged"))  # goes with the temporary folder
        try:
            folder.rename(target)
        except OSError:  # unless another process has just put the same content there
            if not (_is_filled(target) and is_sound(target)):
                raise
    _flush(target.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file, or replace it. Raises as `writable`."""
    with aside(path.parent) as folder:
        written = folder / path.name
        written.write_bytes(content)
        _flush(written)
        written.replace(path)
    _flush(path.parent)


def flush_files(folder: Path) -> None:
    """Make all files below a folder survive a power cut."""
    for path in folder.rglob("*"):
        if path.is_file():
            _flush(path)


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _flush(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
