"""A copy of Postgres standing still, to go back to: what an upgrade may change, and nothing else.

The folders of the storage are named by their content and never changed, so no upgrade touches them.
"""

import shlex
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from tidemill.errors import StackError
from tidemill.local import plan
from tidemill.local.home import Home, is_held
from tidemill.storage.store import room

__all__ = ["Backup", "back_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A copy that was made."""

    file: Path
    """Plain tar of Postgres' folder, readable by its owner alone."""
    data: Path
    """The folder that it is of."""

    @property
    def way_back(self) -> str:
        """The command that puts the copy in the folder's place, once the stack is stopped."""
        data, parent, file = (shlex.quote(str(path)) for path in (self.data, self.data.parent, self.file))
        return f"rm -r {data} && tar --extract --preserve-permissions --file {file} --directory {parent}"


def back_up(home: Path, now: datetime, report: Callable[[str], None]) -> Backup | None:
    """Copy the data of the stack's Postgres, which must not run; None if there has never been one.

    Parameters
    ----------
    home : Path
        Folder of the stack's state.
    now : datetime
        Names the copy.
    report : callable
        Told what was made.

    Raises
    ------
    StackError
        If the stack runs: a copy of files that change is worth nothing.
    StorageFull
        If there is no room; nothing is left of the attempt.
    """
    place = Home(folder=home.absolute())
    decided = plan.recorded(place)
    if decided is None or not decided.cluster.data.is_dir():
        report("There is nothing to back up yet.")
        return None
    data = decided.cluster.data
    if is_held(place.supervisor_lock) or _runs(data):
        raise StackError(f"Postgres may be running on '{data}'.", "Stop the stack first: make down.")
    folder = place.folder / "backups"
    file = folder / f"postgres-{now:%Y%m%dT%H%M%SZ}.tar"
    with room(folder), tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as aside:
        folder.chmod(0o700)
        written = Path(aside) / file.name
        written.touch(mode=0o600)
        with tarfile.open(written, "w") as archive:
            archive.add(data, arcname=data.name)
        written.replace(file)
    report(f"Postgres is copied to '{file}' ({file.stat().st_size / 2**20:,.0f} MiB).")
    return Backup(file=file, data=data)


def _runs(data: Path) -> bool:
    """Return whether the server of a folder lives; one that was killed leaves its file, and a folder that recovers."""
    lock = data / "postmaster.pid"
    return lock.is_file() and psutil.pid_exists(int(lock.read_text(encoding="utf-8").splitlines()[0]))
