"""The folder with all state of a local stack: where each file is, its mode, and its locks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import StackError

__all__ = ["Home", "held", "is_held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The paths inside a stack's home folder.

    Examples
    --------
    >>> Home(folder=Path("/srv/.tidemill")).log("scheduler").as_posix()
    '/srv/.tidemill/logs/scheduler.log'
    """

    folder: Path
    """Absolute path, such as ``/home/ada/project/.tidemill``."""

    @property
    def config(self) -> Path:
        """The stack's configuration: project, ports, where Postgres keeps its data."""
        return self.folder / "stack.json"

    @property
    def record(self) -> Path:
        """What the supervisor runs at this moment."""
        return self.folder / "supervisor.json"

    @property
    def supervisor_lock(self) -> Path:
        """Locked while a supervisor lives."""
        return self.folder / "supervisor.lock"

    @property
    def command_lock(self) -> Path:
        """Locked while a command starts or stops the stack."""
        return self.folder / "command.lock"

    @property
    def environment(self) -> Path:
        """The CLI's variables as ``KEY=VALUE`` lines."""
        return self.folder / "environment"

    @property
    def secrets(self) -> Path:
        """Passwords and keys, one file each."""
        return self.folder / "secrets"

    @property
    def login(self) -> Path:
        """The user and password of Airflow's UI, in the format that Airflow reads."""
        return self.secrets / "airflow-login.json"

    @property
    def mlflow_login(self) -> Path:
        """The user and password of the MLflow server, in the same format."""
        return self.secrets / "mlflow-login.json"

    @property
    def airflow(self) -> Path:
        """Airflow's own home: task logs, and nothing that people edit."""
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
        """Return the path of a component's log."""
        return self.logs / f"{component}.log"

    def create(self) -> None:
        """Create missing folders, readable only by the owner.

        Raises
        ------
        StackError
            If the home belongs to another user, whose files would mix with ours.
        """
        for folder in (self.folder, self.secrets, self.airflow, self.artifacts, self.storage, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.folder.stat().st_uid
        if owner != os.geteuid():
            raise StackError(
                f"The stack's home '{self.folder}' belongs to user {owner}, and you are user {os.geteuid()}.",
                "Run the command as the user who created it, or choose another home.",
            )
        self.folder.chmod(0o700)
        self.secrets.chmod(0o700)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file, which the kernel releases when this process dies.

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
