"""A start of the stack: what to decide, in which order to start, and when the start is complete."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tidemill.errors import StackError
from tidemill.local import health, secrets, settings
from tidemill.local.components import AIRFLOW, MLFLOW, POSTGRES, airflow_environment
from tidemill.local.config import StackConfig, find_config, save_config, server_of
from tidemill.local.home import Home
from tidemill.local.ports import Ports, choose
from tidemill.local.supervision.client import Launch, read_record
from tidemill.local.supervision.processes import listens
from tidemill.machine.files import last_lines
from tidemill.machine.polling import until
from tidemill.postgres.cluster import initialise, place

__all__ = ["Migrate", "configure", "start", "wait_until_healthy"]

Migrate = Callable[[str], tuple[str, ...]]
"""Applies the ledger's migrations as the owner with this URL; returns the names of those that were due."""

_POSTGRES_S = 60.0  # seconds; after a crash Postgres replays its log before it accepts connections


def configure(home: Home, project: Path, preferred: Ports, report: Callable[[str], None]) -> StackConfig:
    """Decide the configuration of this start from the last one, and create the files that it needs.

    Parameters
    ----------
    home : Home
        Where the last configuration is, if there was one.
    project : Path
        Absolute path.
    preferred : Ports
        Used where the ports of the last start are not free.
    report : callable
        Receives a sentence about a first start, and about ports that differ from the preferred ones.
    """
    last = find_config(home)
    ports = choose(preferred) if last is None else choose(last.ports, preferred)
    if ports != preferred:
        report(f"Ports: Airflow {ports.api}, MLflow {ports.mlflow}, Postgres {ports.postgres}.")
    cluster = place(home.folder, None if last is None else last.cluster)
    first = StackConfig(project=project, ports=ports, cluster=cluster)
    config = replace(last or first, project=project, ports=ports, cluster=cluster)
    save_config(home, config)
    if initialise(config.cluster, home.secrets, home.log("initdb")):
        report(f"Created a Postgres in '{config.cluster.data}'.")
    secrets.airflow_keys(home)
    secrets.create_login(home)
    secrets.mlflow_login(home)
    return config


def start(launch: Launch, config: StackConfig, report: Callable[[str], None], migrate: Migrate) -> None:
    """Start every component as soon as its dependencies are ready.

    Raises
    ------
    StackError
        If Postgres does not start, or Airflow's database cannot be migrated.
    """
    home = launch.home
    report("Starting Postgres.")
    launch.start(POSTGRES)
    _wait_for_postgres(home, config)
    server_of(home, config).create_databases()
    _upgrade_mlflow(home, config)
    launch.start(MLFLOW)
    applied = migrate(settings.owner_url(home, config))
    report(f"The ledger's schema: {', '.join(applied)}." if applied else "The ledger's schema is up to date.")
    _migrate_airflow(home, config, report)
    report("Starting Airflow.")
    for name in AIRFLOW:
        launch.start(name)
    save_config(home, replace(config, airflow_schema=version("apache-airflow"), mlflow_schema=version("mlflow")))


def wait_until_healthy(home: Home, config: StackConfig, report: Callable[[str], None], timeout_s: float) -> None:
    """Wait until each component answers or has sent a heartbeat since its start.

    Raises
    ------
    StackError
        If one of them does not in time; the end of its log is in the message.
    """
    began = time.monotonic()
    if not until(lambda: not _unhealthy(home, config), timeout_s):
        unhealthy = _unhealthy(home, config)
        ends = "\n".join(f"--- {home.log(name)}\n{last_lines(home.log(name))}" for name in unhealthy)
        raise StackError(
            f"Not healthy after {timeout_s:.0f} s: {', '.join(unhealthy)}.\n{ends}\n",
            "The stack keeps trying: start it again to wait longer, or stop it.",
        )
    report(f"All components are healthy ({time.monotonic() - began:.0f} s).")


def _wait_for_postgres(home: Home, config: StackConfig) -> None:
    server = server_of(home, config)

    def started_or_crashed() -> bool:
        record = read_record(home)
        crashed = record is not None and POSTGRES in record.components and record.components[POSTGRES].restarts > 1
        return crashed or server.is_ready()

    until(started_or_crashed, _POSTGRES_S)
    if not server.is_ready():
        log = home.log(POSTGRES)
        raise StackError(f"Postgres does not start:\n{last_lines(log)}\n", f"The whole log is '{log}'.")


def _migrate_airflow(home: Home, config: StackConfig, report: Callable[[str], None]) -> None:
    # It takes some seconds even when nothing is due, so it runs only for a new version.
    if config.airflow_schema != version("apache-airflow"):
        report("Migrating Airflow's database.")
        _run_once(home, config, "airflow-migrate", ("airflow", "db", "migrate"))


def _upgrade_mlflow(home: Home, config: StackConfig) -> None:
    # The server creates its tables, and refuses to start on those of an older version.
    if config.mlflow_schema not in (None, version("mlflow")):
        store = server_of(home, config).url("mlflow", scheme="postgresql+psycopg2")
        _run_once(home, config, "mlflow-upgrade", ("mlflow", "db", "upgrade", store))


def _run_once(home: Home, config: StackConfig, name: str, arguments: tuple[str, ...]) -> None:
    """Run a command of Airflow or MLflow to its end, with its own log; raise StackError if it fails."""
    log = home.log(name)
    with log.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=home.folder,
            env=airflow_environment(home, config),
        )
    if done.returncode != 0:
        raise StackError(f"'{' '.join(arguments[:3])}' failed:\n{last_lines(log)}\n", f"The whole log is '{log}'.")


def _unhealthy(home: Home, config: StackConfig) -> list[str]:
    record = read_record(home)
    if record is None:
        return ["supervisor"]
    running = {name: one.process for name, one in record.components.items() if one.process is not None}
    started = {name: process.started_at for name, process in running.items()}
    ready = health.ready_components(health.airflow_health(config), started) & running.keys()
    # Another stack that started at the same time may have the port, and would answer as well.
    answers = "api-server" in ready and listens(running["api-server"], config.ports.api)
    if not answers or not health.execution_api_is_ready(config):
        ready -= {"api-server"}
    if MLFLOW in running and listens(running[MLFLOW], config.ports.mlflow) and health.mlflow_is_ready(config):
        ready |= {MLFLOW}
    if POSTGRES in running and server_of(home, config).is_ready():
        ready |= {POSTGRES}
    return [name for name in (POSTGRES, MLFLOW, *AIRFLOW) if name not in ready]
