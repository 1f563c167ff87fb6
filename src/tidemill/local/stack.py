"""The local stack as a whole: up, down, status, sql. These are the functions that the CLI calls.

All state is in the home folder, so any later process can ask about the stack or stop it.
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
from tidemill.local import databases, plan, processes, secrets, settings, startup
from tidemill.local import orphans as leftovers
from tidemill.local.components import airflow_environment, build_components
from tidemill.local.databases import Answer
from tidemill.local.home import Home, held, is_held, write_private
from tidemill.local.launch import launched, read_record, until, wait_for_end
from tidemill.local.plan import Plan
from tidemill.local.ports import Ports
from tidemill.local.supervisor import SupervisorRecord
from tidemill.versions import refuse_drift

__all__ = ["ComponentStatus", "Summary", "airflow", "down", "environment", "login", "remove", "sql", "status", "up"]

Report = Callable[[str], None]
"""Takes one sentence about what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Where the running stack is."""

    ui_url: str
    """Airflow's UI, such as ``http://127.0.0.1:8080``."""
    mlflow_url: str
    """MLflow's UI."""
    postgres_url: str
    """The warehouse as the reader sees it; the password is in the file that the URL names."""
    user: str
    """Who logs in to Airflow's UI."""
    password_file: Path
    """JSON with the password, readable by its owner alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentStatus:
    """One line of the status."""

    component: str
    """Such as ``scheduler``."""
    pid: int | None
    """Its process; None when it has none."""
    state: str
    """``running``, ``starting``, ``restarting``, ``stopped``, or ``orphaned``: it runs and nobody watches it."""
    restarts: int
    """Since the stack was started."""
    last_exit: str
    """Why it ended unasked the last time; empty if it never did."""
    url: str
    """Where it answers; empty if people have no business there."""


def up(
    home: Path,
    project: Path,
    report: Report,
    *,
    migrate: Callable[[str], None] | None = None,
    ports: Ports | None = None,
    timeout_s: float = 180.0,
) -> Summary:
    """Start the stack, or find it running, and wait until all of it is healthy.

    Parameters
    ----------
    home : Path
        Folder of all state; made with mode 0700 if it is missing.
    project : Path
        Folder with ``dags/``, ``plugins/`` and ``sql/``.
    report : callable
        Told in sentences what happens.
    migrate : callable, optional
        Given the owner's URL of the warehouse once it exists and before anything else starts.
    ports : Ports, optional
        Wished instead of the usual ones; those of the last start come first.
    timeout_s : float, default=180.0
        Seconds for everything to become healthy, once it is started.

    Returns
    -------
    Summary
        Where everything is.

    Raises
    ------
    IncompatibleVersions
        If other packages are installed than the project's lock says.
    StackError
        If something cannot be started or does not become healthy; the end of its log is in the message.
    """
    place = _place(home)
    place.create()
    with _commanding(place):
        if is_held(place.supervisor_lock):
            report("The stack runs already.")
            decided = plan.load(place)
        else:
            refuse_drift(project.absolute() / "requirements.txt")
            leftovers.clear(place, report)
            decided = startup.decide(place, project.absolute(), ports or Ports(), report)
            environment(home)
            with launched(place) as launch:
                startup.start(launch, decided, report, migrate)
                launch.detach()
    # Not under the lock: a stack that does not become healthy must be stoppable from another terminal.
    startup.wait_until_healthy(place, decided, report, timeout_s)
    return _summary(place, decided)


def down(home: Path, report: Report) -> None:
    """Stop the stack, and prove that none of its processes is left. Harmless when nothing runs.

    Raises
    ------
    StackError
        If a process outlived its kill.
    """
    place = _place(home)
    if not place.folder.exists():
        report(f"There is no stack in '{place.folder}'.")
        return
    with _commanding(place):
        # A supervisor that has only just begun takes a moment to say who it is.
        until(lambda: read_record(place) is not None or not is_held(place.supervisor_lock), timeout_s=10.0)
        record = read_record(place)
        supervisor = None if record is None else processes.living(record.process)
        if supervisor is not None:
            report("Stopping the stack.")
            with suppress(psutil.NoSuchProcess):  # it may end by itself just now
                supervisor.terminate()
            if not wait_for_end(place):
                report("The supervisor did not stop in time; killing it.")
                with suppress(psutil.NoSuchProcess):
                    supervisor.kill()
        leftovers.clear(place, report)
    report("The stack is stopped: no process of it is left.")


def status(home: Path) -> list[ComponentStatus]:
    """Return how each component is, the supervisor first; an empty list before the first start."""
    place = _place(home)
    decided = plan.recorded(place)
    if decided is None:
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
    orphans = processes.first_of_each_component(place.folder) if record is None else {}
    rows += [_component_status(part.name, part.url, record, orphans) for part in build_components(place, decided)]
    return rows


def sql(home: Path, query: str) -> Answer:
    """Run one query on the warehouse, as the role that can only read.

    Raises
    ------
    StackError
        If the stack does not run, or Postgres refuses the query.
    """
    place = _place(home)
    return databases.ask(place, plan.load(place).ports.postgres, query)


def airflow(home: Path, arguments: Sequence[str]) -> int:
    """Run one of Airflow's own commands against the stack, and give its exit status.

    Raises
    ------
    StackError
        If the stack has never been started.
    """
    place = _place(home)
    environment = airflow_environment(place, plan.load(place))
    return subprocess.run([sys.executable, "-m", "airflow", *arguments], env=environment, check=False).returncode


def environment(home: Path) -> dict[str, str]:
    """Return the contract's variables, and write them to the home's ``environment`` file.

    Raises
    ------
    StackError
        If the stack has never been started.
    """
    place = _place(home)
    values = settings.variables(place, plan.load(place))
    write_private(place.environment, settings.as_lines(values))
    return values


def login(home: Path) -> tuple[str, str]:
    """Return the user and the password of Airflow's UI; for a terminal, never for a log."""
    return secrets.login(_place(home))


def remove(home: Path, report: Report) -> None:
    """Stop the stack and delete everything that it kept, Postgres's data as well."""
    place = _place(home)
    down(home, report)
    decided = plan.recorded(place)
    if decided is not None and decided.cluster.data.parent != place.folder:
        shutil.rmtree(decided.cluster.data.parent, ignore_errors=True)
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
        raise StackError(
            "The stack is being started or stopped by another command.", "Wait for it to finish."
        ) from None


def _summary(place: Home, decided: Plan) -> Summary:
    return Summary(
        ui_url=settings.api_url(decided),
        mlflow_url=settings.mlflow_url(decided),
        postgres_url=databases.url(place, decided.ports.postgres, "tidemill_reader"),
        user=secrets.ADMIN_USER,
        password_file=place.login,
    )


def _component_status(name: str, url: str, record: SupervisorRecord | None, orphans: dict[str, int]) -> ComponentStatus:
    watched = None if record is None else record.components.get(name)
    if watched is None:
        orphan = orphans.get(name)
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
