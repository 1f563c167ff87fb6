"""The steps of a start: what to decide, in which order to start, and when it is done.

``launch`` gives the orders; this module knows which orders make a stack.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tidemill.errors import StackError
from tidemill.local import databases, health, plan, postgres, secrets, settings
from tidemill.local.components import AIRFLOW, MLFLOW, POSTGRES, airflow_environment
from tidemill.local.home import Home, last_lines
from tidemill.local.launch import Launch, read_record, run_once, until
from tidemill.local.plan import Plan
from tidemill.local.ports import Ports, choose

__all__ = ["decide", "start", "wait_until_healthy"]

_POSTGRES_S = 60.0  # seconds; after a crash Postgres replays its log before it takes connections


def decide(home: Home, project: Path, wished: Ports, report: Callable[[str], None]) -> Plan:
    """Make the plan of this start from the last one, and make the files that it needs.

    Parameters
    ----------
    home : Home
        Where the last plan is, if there was one.
    project : Path
        Absolute.
    wished : Ports
        Taken where the last start's ports are not free.
    report : callable
        Told of a first start, and of ports that differ from the wished ones.
    """
    last = plan.recorded(home)
    chosen = choose(wished) if last is None else choose(last.ports, wished)
    if chosen != wished:
        report(f"Ports: Airflow {chosen.api}, MLflow {chosen.mlflow}, Postgres {chosen.postgres}.")
    cluster = postgres.place(home, None if last is None else last.cluster)
    first = Plan(project=project, ports=chosen, cluster=cluster)
    decided = replace(last or first, project=project, ports=chosen, cluster=cluster)
    plan.save(home, decided)
    if postgres.initialise(home, decided.cluster):
        report(f"Created a Postgres in '{decided.cluster.data}'.")
    secrets.airflow_keys(home)
    secrets.create_login(home)
    return decided


def start(launch: Launch, decided: Plan, report: Callable[[str], None], migrate: Callable[[str], None] | None) -> None:
    """Start everything, each thing as soon as what it needs is there.

    Raises
    ------
    StackError
        If Postgres does not come up, or Airflow's database cannot be migrated.
    """
    home = launch.home
    report("Starting Postgres.")
    launch.start(POSTGRES)
    _wait_for_postgres(home, decided)
    databases.create_databases(home, decided.ports.postgres)
    _upgrade_mlflow(home, decided)
    launch.start(MLFLOW)
    if migrate is not None:
        migrate(settings.owner_url(home, decided))
    _migrate_airflow(home, decided, report)
    report("Starting Airflow.")
    for name in AIRFLOW:
        launch.start(name)
    plan.save(home, replace(decided, airflow_schema=version("apache-airflow"), mlflow_schema=version("mlflow")))


def wait_until_healthy(home: Home, decided: Plan, report: Callable[[str], None], timeout_s: float) -> None:
    """Wait until each component answers or has a heartbeat of this life.

    Raises
    ------
    StackError
        If one of them does not in time; the end of its log is in the message.
    """
    began = time.monotonic()
    if not until(lambda: not _missing(home, decided), timeout_s):
        missing = _missing(home, decided)
        ends = "\n".join(f"--- {home.log(name)}\n{last_lines(home.log(name))}" for name in missing)
        raise StackError(
            f"Not healthy after {timeout_s:.0f} s: {', '.join(missing)}.\n{ends}\n",
            "The stack goes on trying: start it again to wait longer, or stop it.",
        )
    report(f"All components are healthy ({time.monotonic() - began:.0f} s).")


def _wait_for_postgres(home: Home, decided: Plan) -> None:
    def came_or_crashed() -> bool:
        record = read_record(home)
        crashed = record is not None and POSTGRES in record.components and record.components[POSTGRES].restarts > 1
        return crashed or databases.is_ready(home, decided.ports.postgres)

    until(came_or_crashed, _POSTGRES_S)
    if not databases.is_ready(home, decided.ports.postgres):
        log = home.log(POSTGRES)
        raise StackError(f"Postgres does not start:\n{last_lines(log)}\n", f"The whole log is '{log}'.")


def _migrate_airflow(home: Home, decided: Plan, report: Callable[[str], None]) -> None:
    # Even when there is nothing to do it takes some seconds, so only a new version does it.
    if decided.airflow_schema != version("apache-airflow"):
        report("Migrating Airflow's database.")
        run_once(home, "airflow-migrate", ("airflow", "db", "migrate"), airflow_environment(home, decided))


def _upgrade_mlflow(home: Home, decided: Plan) -> None:
    # The server creates its tables, and refuses to start on those of an older version.
    if decided.mlflow_schema not in (None, version("mlflow")):
        store = databases.url(home, decided.ports.postgres, "mlflow", scheme="postgresql+psycopg2")
        run_once(home, "mlflow-upgrade", ("mlflow", "db", "upgrade", store), airflow_environment(home, decided))


def _missing(home: Home, decided: Plan) -> list[str]:
    record = read_record(home)
    if record is None:
        return ["supervisor"]
    running = {name: one.process.started_at for name, one in record.components.items() if one.process is not None}
    ready = health.ready_components(health.airflow_health(decided), running) & running.keys()
    if "api-server" in ready and not health.execution_api_is_ready(decided):
        ready -= {"api-server"}
    if MLFLOW in running and health.mlflow_is_ready(decided):
        ready |= {MLFLOW}
    if POSTGRES in running and databases.is_ready(home, decided.ports.postgres):
        ready |= {POSTGRES}
    return [name for name in (POSTGRES, MLFLOW, *AIRFLOW) if name not in ready]
