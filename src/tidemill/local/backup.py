"""A backup of the stopped Postgres, to return to after an upgrade.

Folders of the storage are named by their content and never change, so upgrades do not affect them.
"""

import shlex
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from tidemill.errors import StackError
from tidemill.local.config import find_config
from tidemill.local.home import Home, is_held
from tidemill.storage.atomic import aside

__all__ = ["Backup", "back_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A finished backup."""

    file: Path
    """Plain tar of Postgres's folder, readable only by its owner."""
    data: Path
    """The folder that was copied."""

    @property
    def restore_command(self) -> str:
        """The command that restores the folder while the stack is stopped."""
        data, parent, file = (shlex.quote(str(path)) for path in (self.data, self.data.parent, self.file))
        return f"rm -r {data} && tar --extract --preserve-permissions --file {file} --directory {parent}"


def back_up(home: Path, now: datetime, report: Callable[[str], None]) -> Backup | None:
    """Copy the data of the stack's stopped Postgres; return None if there has never been one.

    Parameters
    ----------
    home : Path
        Folder of the stack's state.
    now : datetime
        Part of the backup's name.
    report : callable
        Receives a sentence about the result.

    Raises
    ------
    StackError
        If the stack runs: a copy of changing files is useless.
    StorageFull
        If there is not enough space; nothing is left of the attempt.
    """
    place = Home(folder=home.absolute())
    config = find_config(place)
    if config is None or not config.cluster.data.is_dir():
        report("There is nothing to back up yet.")
        return None
    data = config.cluster.data
    if is_held(place.supervisor_lock) or _runs(data):
        raise StackError(f"Postgres may be running on '{data}'.", "Stop the stack first: make down.")
    folder = place.folder / "backups"
    file = folder / f"postgres-{now:%Y%m%dT%H%M%SZ}.tar"
    with aside(folder) as beside:
        folder.chmod(0o700)
        written = beside / file.name
        written.touch(mode=0o600)
        with tarfile.open(written, "w") as archive:
            archive.add(data, arcname=data.name)
        written.replace(file)
    report(f"Postgres is copied to '{file}' ({file.stat().st_size / 2**20:,.0f} MiB).")
    return Backup(file=file, data=data)


def _runs(data: Path) -> bool:
    """Return whether the server of a folder runs; a killed one leaves its lock file, and a folder that recovers."""
    lock = data / "postmaster.pid"
    return lock.is_file() and psutil.pid_exists(int(lock.read_text(encoding="utf-8").splitlines()[0]))
