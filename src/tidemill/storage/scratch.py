"""Scratch folders: disk space for the duration of one piece of work, freed however the work ends.

A killed process cannot clean up. A lock, which the system releases when the process ends, shows that its folder is
abandoned. The next piece of work in the same place, or the nightly collection, removes the folder.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from tidemill.storage.atomic import WRITING, writable

__all__ = ["remove_dead", "scratch", "temporary"]

_SCRATCH = f"{WRITING}scratch-"
_LOCK = "lock"


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield an empty folder below another one, after removing those of dead processes.

    Raises
    ------
    StorageFull
        If the disk has no room.
    """
    with writable(parent), _locked(parent) as content:
        yield content


@contextmanager
def temporary() -> Iterator[Path]:
    """Yield an empty private folder in the system's temporary folder, after removing those of dead processes."""
    with _locked(Path(tempfile.gettempdir())) as content:
        yield content


def remove_dead(parent: Path, before: datetime) -> list[Path]:
    """Remove and return the folders that killed processes left in another folder.

    Parameters
    ----------
    parent : Path
        The folder to search, without its subfolders.
    before : datetime
        Instant up to which a folder without a lock must be untouched; a lock proves by itself whether its owner lives.
    """
    removed = _clear(parent)
    for folder in _own(parent, WRITING):
        if not folder.name.startswith(_SCRATCH) and _touched_at(folder) < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)  # its writer may be alive after all and remove it first
            removed.append(folder)
    return removed


@contextmanager
def _locked(parent: Path) -> Iterator[Path]:
    _clear(parent)
    made = Path(tempfile.mkdtemp(prefix=WRITING, dir=parent))
    folder = made.with_name(_SCRATCH + made.name.removeprefix(WRITING))
    with (made / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.rename(folder)  # from now on other processes find it by its name, and see the lock
        try:
            content = folder / "content"
            content.mkdir(mode=0o700)
            yield content
        finally:
            # A library's thread may still write into it; what is left goes like the folders of dead processes.
            shutil.rmtree(folder, ignore_errors=True)


def _clear(parent: Path) -> list[Path]:
    removed = []
    for folder in _own(parent, _SCRATCH):
        # Missing: another process has removed it. Locked: its owner is alive.
        with suppress(FileNotFoundError, BlockingIOError), (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
            removed.append(folder)
    return removed


def _own(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield this account's folders with a prefix; in a shared temporary folder, others may create any name or link."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):
            if not folder.is_symlink() and folder.is_dir() and folder.stat().st_uid == os.geteuid():
                yield folder


def _touched_at(folder: Path) -> float:
    times = []
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # its writer has just finished
            times.append(path.lstat().st_mtime)
    return max(times, default=float("inf"))
