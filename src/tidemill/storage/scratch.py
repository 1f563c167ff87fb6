"""Scratch folders: room on disk for the time of one piece of work, taken back however that ends.

Whoever is killed cannot clear up. Its folder is known by a lock that the system releases with the process, and goes when
the next piece of work of the model begins, or with the collector (`tidemill gc`), which knows it by its name.
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
    """Return an empty folder below another one, after what the dead have left there is gone.

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
            made.rename(folder)  # others look for it by this name, and find it locked
            try:
                content = folder / "content"
                content.mkdir()
                yield content
            finally:
                shutil.rmtree(folder)


def _clear(parent: Path) -> None:
    for folder in parent.glob(f"{_SCRATCH}*"):
        # Not there any more: somebody else has cleared it. Locked: its owner is alive.
        with suppress(FileNotFoundError, BlockingIOError), (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
