"""The commands of the local stack: up, down, status, sql and others.

All state is in the home folder, so any later process can query or stop the stack.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tidemill.errors import StackError
from tidemill.local import orphans, secrets, settings, startup
from tidemill.local.components import airflow_environment, build_components
from tidemill.local.config import find_config, load_config, server_of
from tidemill.local.home import Home, held, is_held
from tidemill.local.ports import Ports
from tidemill.local.supervision import processes
from tidemill.local.supervision.client import launched, read_record, wait_for_end
from tidemill.local.supervision.supervisor import SupervisorRecord
from tidemill.machine.files import write_private
from tidemill.machine.polling import until
from tidemill.postgres.server import Answer
from tidemill.versions import refuse_drift
from tidemill.warehouse.migrations import apply_migrations

__all__ = [
    "ComponentStatus",
    "Summary",
    "airflow",
    "down",
    "environment",
    "login",
    "mlflow_login",
    "remove",
    "sql",
    "status",
    "up",
]

Report = Callable[[str], None]
"""Receives one sentence about the progress of a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Addresses of the running stack."""

    ui_url: str
    """Airflow's UI, such as ``http://127.0.0.1:8080``."""
    mlflow_url: str
    """MLflow's UI."""
    user: str
    """User of Airflow's UI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentStatus:
    """State of one component."""

    component: str
    """Such as ``scheduler``."""
    pid: int | None
    """Its process; None if it has none."""
    state: str
    """``running``, ``starting``, ``restarting``, ``stopped``, or ``orphaned``: it runs without a supervisor."""
    restarts: int
    """Restarts since the stack was started."""
    last_exit: str
    """Why it last ended without being told to; empty if it never did."""
    url: str
    """Address for people; empty if it has none."""


def up(
    home: Path,
    project: Path,
    report: Report,
    *,
    migrate: startup.Migrate = apply_migrations,
    ports: Ports | None = None,
    timeout_s: float = 180.0,
) -> Summary:
    """Start the stack unless it runs, and wait until all of it is healthy.

    Parameters
    ----------
    home : Path
        Folder of all state; created with mode 0700 if it is missing.
    project : Path
        Folder with ``dags/``, ``plugins/`` and ``sql/``.
    report : callable
        Receives sentences about the progress.
    migrate : callable, default=apply_migrations
        Receives the owner's URL of the warehouse once it exists; returns the names of the applied migrations.
    ports : Ports, optional
        Preferred to the usual ones, but not to those of the last start.
    timeout_s : float, default=180.0
        Seconds for everything to become healthy after it has been started.

    Returns
    -------
    Summary
        Addresses of its programs.

    Raises
    ------
    IncompatibleVersions
        If the installed packages differ from the project's lock.
    StackError
        If a component does not start or become healthy; the end of its log is in the message.
    """
    place = _place(home)
    place.create()
    with _commanding(place):
        if is_held(place.supervisor_lock):
            report("The stack is already running.")
            config = load_config(place)
        else:
            refuse_drift(project.absolute() / "requirements.txt")
            orphans.clear(place, report)
            config = startup.configure(place, project.absolute(), ports or Ports(), report)
            environment(home)
            with launched(place) as launch:
                startup.start(launch, config, report, migrate)
                launch.detach()
    # Without the lock, so that an unhealthy stack can be stopped from another terminal.
    startup.wait_until_healthy(place, config, report, timeout_s)
    return Summary(ui_url=settings.api_url(config), mlflow_url=settings.mlflow_url(config), user=secrets.ADMIN_USER)


def down(home: Path, report: Report) -> None:
    """Stop the stack, and check that none of its processes is left; do nothing if none runs.

    Raises
    ------
    StackError
        If a process survives its kill.
    """
    place = _place(home)
    if not place.folder.exists():
        report(f"There is no stack in '{place.folder}'.")
        return
    with _commanding(place):
        # A supervisor that has just started needs a moment to write its record.
        until(lambda: read_record(place) is not None or not is_held(place.supervisor_lock), timeout_s=10.0)
        record = read_record(place)
        supervisor = None if record is None else processes.living(record.process)
        if supervisor is not None:
            report("Stopping the stack.")
            with suppress(psutil.NoSuchProcess):  # it may have just ended by itself
                supervisor.terminate()
            if not wait_for_end(place):
                report("The supervisor did not stop in time: killing it.")
                with suppress(psutil.NoSuchProcess):
                    supervisor.kill()
        orphans.clear(place, report)
    report("The stack is stopped: none of its processes is left.")


def status(home: Path) -> list[ComponentStatus]:
    """Return the state of each component, the supervisor first; an empty list before the first start."""
    place = _place(home)
    config = find_config(place)
    if config is None:
        return []
    record = read_record(place)
    rows = [
        ComponentStatus(
            component="supervisor",
            pid=None if record is None else record.process.pid,
            state="stopped" if record is None else "running",
            restarts=0,
            last_exit="",
            url="",
        )
    ]
    orphaned = processes.first_of_each_component(place.folder) if record is None else {}
    rows += [_component_status(part.name, part.url, record, orphaned) for part in build_components(place, config)]
    return rows


def sql(home: Path, query: str) -> Answer:
    """Run one query on the warehouse as the role that can only read.

    Raises
    ------
    StackError
        If the stack does not run, or Postgres refuses the query.
    """
    place = _place(home)
    return server_of(place, load_config(place)).ask(query)


def airflow(home: Path, arguments: Sequence[str]) -> int:
    """Run one of Airflow's own commands against the stack, and return its exit status.

    Raises
    ------
    StackError
        If the stack has never been started.
    """
    place = _place(home)
    environment = airflow_environment(place, load_config(place))
    return subprocess.run([sys.executable, "-m", "airflow", *arguments], env=environment, check=False).returncode


def environment(home: Path) -> dict[str, str]:
    """Return the CLI's variables, and write them to the home's ``environment`` file.

    Raises
    ------
    StackError
        If the stack has never been started.
    """
    place = _place(home)
    values = settings.variables(place, load_config(place))
    values |= settings.mlflow_login_variables(secrets.mlflow_login(place))
    write_private(place.environment, settings.as_lines(values))
    return values


def login(home: Path) -> tuple[str, str]:
    """Return the user and the password of Airflow's UI, for a terminal and never for a log."""
    return secrets.login(_place(home))


def mlflow_login(home: Path) -> tuple[str, str]:
    """Return the user and the password of MLflow's UI and server; print them to a terminal only, never to a log."""
    return secrets.mlflow_login(_place(home))


def remove(home: Path, report: Report) -> None:
    """Stop the stack and delete all of its state, including Postgres's data."""
    place = _place(home)
    down(home, report)
    config = find_config(place)
    if config is not None and config.cluster.data.parent != place.folder:
        shutil.rmtree(config.cluster.data.parent, ignore_errors=True)
    if place.folder.exists():
        shutil.rmtree(place.folder)
    report(f"'{place.folder}' is removed.")


def _place(home: Path) -> Home:
    return Home(folder=home.absolute())


@contextmanager
def _commanding(place: Home) -> Iterator[None]:
    # One start or stop at a time.
    try:
        with held(place.command_lock):
            yield
    except BlockingIOError:
        raise StackError("Another command is starting or stopping the stack.", "Wait for it to finish.") from None


def _component_status(
    name: str, url: str, record: SupervisorRecord | None, orphaned: dict[str, int]
) -> ComponentStatus:
    watched = None if record is None else record.components.get(name)
    if watched is None:
        orphan = orphaned.get(name)
        state = "stopped" if orphan is None else "orphaned"
        return ComponentStatus(component=name, pid=orphan, state=state, restarts=0, last_exit="", url=url)
    process = processes.living(watched.process)
    return ComponentStatus(
        component=name,
        pid=None if process is None else process.pid,
        state=watched.state,
        restarts=watched.restarts,
        last_exit=watched.last_exit,
        url=url,
    )
