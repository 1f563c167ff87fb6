"""The folder that holds everything the local stack keeps: where each thing lies, and how it is written.

Every file here is private to its owner and replaced whole. This module knows names and modes, and nothing of
what the files mean.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.errors import StackError

__all__ = ["Home", "held", "is_held", "last_lines", "read_json", "write_private"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The names inside a stack's home folder.

    Examples
    --------
    >>> Home(folder=Path("/srv/.tidemill")).log("scheduler").as_posix()
    '/srv/.tidemill/logs/scheduler.log'
    """

    folder: Path
    """Absolute path, such as ``/home/ada/project/.tidemill``."""

    @property
    def plan(self) -> Path:
        """What was chosen at the first start: project, ports, where Postgres keeps its data."""
        return self.folder / "stack.json"

    @property
    def record(self) -> Path:
        """What the supervisor runs at this moment."""
        return self.folder / "supervisor.json"

    @property
    def supervisor_lock(self) -> Path:
        """Locked as long as a supervisor lives."""
        return self.folder / "supervisor.lock"

    @property
    def command_lock(self) -> Path:
        """Locked as long as somebody starts or stops the stack."""
        return self.folder / "command.lock"

    @property
    def environment(self) -> Path:
        """The contract's variables as ``KEY=VALUE`` lines."""
        return self.folder / "environment"

    @property
    def secrets(self) -> Path:
        """Passwords and keys, one file each."""
        return self.folder / "secrets"

    @property
    def login(self) -> Path:
        """The user and password of Airflow's UI, in the form that Airflow reads."""
        return self.secrets / "airflow-login.json"

    @property
    def airflow(self) -> Path:
        """Airflow's own home: task logs, and nothing that anybody edits."""
        return self.folder / "airflow"

    @property
    def artifacts(self) -> Path:
        """Files of MLflow's runs, served by the MLflow server."""
        return self.folder / "mlflow-artifacts"

    @property
    def storage(self) -> Path:
        """Snapshots and bundles."""
        return self.folder / "storage"

    @property
    def logs(self) -> Path:
        """One log per component, and the supervisor's."""
        return self.folder / "logs"

    def log(self, component: str) -> Path:
        """Name the log of one component."""
        return self.logs / f"{component}.log"

    def create(self) -> None:
        """Make the folders that are missing, readable by the owner alone.

        Raises
        ------
        StackError
            If the home belongs to another user, whose files would get mixed with ours.
        """
        for folder in (self.folder, self.secrets, self.airflow, self.artifacts, self.storage, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.folder.stat().st_uid
        if owner != os.geteuid():
            raise StackError(
                f"The stack's home '{self.folder}' belongs to user {owner}, and you are user {os.geteuid()}.",
                "Run the command as the user who made it, or choose another home.",
            )
        self.folder.chmod(0o700)
        self.secrets.chmod(0o700)


def write_private(path: Path, content: str) -> None:
    """Replace a file in one step, with mode 0600 from its first byte on.

    Parameters
    ----------
    path : Path
        Inside an existing folder.
    content : str
        The whole new content.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file, or give None if it does not exist.

    Raises
    ------
    StackError
        If the file is there and cannot be understood.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StackError(
            f"'{path}' is not JSON: {error}.", "Stop the stack, remove the file and start again."
        ) from error


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file that the kernel releases when this process dies.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def is_held(path: Path) -> bool:
    """Return whether a living process holds the lock file."""
    if not path.exists():
        return False
    try:
        with held(path):
            return False
    except BlockingIOError:
        return True


def last_lines(path: Path, n_lines: int = 15) -> str:
    """Return the end of a log, or a word that there is none.

    Parameters
    ----------
    path : Path
        The log.
    n_lines : int, default=15
        How many lines at most; about half a screen.
    """
    if not path.exists():
        return "(no log)"
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 64_000))  # bytes; far more than the lines asked for
        lines = stream.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-n_lines:]) or "(empty log)"
