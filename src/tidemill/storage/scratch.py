"""Scratch folders: disk space for the duration of one piece of work, freed however that ends.

A killed process cannot clean up. Its folder is recognised by a lock that the system releases with the process. The folder is
removed when the model's next piece of work begins, or by `tidemill gc`, which recognises its name.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.storage.atomic import WRITING, writable

__all__ = ["scratch"]

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
    with writable(parent):
        _clear(parent)
        made = Path(tempfile.mkdtemp(prefix=WRITING, dir=parent))
        folder = made.with_name(_SCRATCH + made.name.removeprefix(WRITING))
        with (made / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made.rename(folder)  # other processes find it by this name, and see the lock
            try:
                content = folder / "content"
                content.mkdir()
                yield content
            finally:
                shutil.rmtree(folder)


def _clear(parent: Path) -> None:
    for folder in parent.glob(f"{_SCRATCH}*"):
        # Missing: another process has removed it. Locked: its owner is alive.
        with suppress(FileNotFoundError, BlockingIOError), (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
