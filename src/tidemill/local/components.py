"""The programs of the stack: what runs, with which environment, and how it is asked to stop."""

import os
import signal
import sys

from tidemill.local.config import StackConfig
from tidemill.local.home import Home
from tidemill.local.secrets import airflow_keys, mlflow_login, users
from tidemill.local.settings import (
    airflow_variables,
    api_url,
    inherited,
    mlflow_login_variables,
    mlflow_server_variables,
    mlflow_url,
    reporting_variables,
    task_variables,
)
from tidemill.local.supervision.component import Component
from tidemill.local.supervision.processes import MARKER, OWN_NAME
from tidemill.machine.ports import LOOPBACK
from tidemill.postgres.cluster import server_arguments, server_environment

__all__ = ["AIRFLOW", "MLFLOW", "POSTGRES", "airflow_environment", "build_components"]

POSTGRES = "postgres"
MLFLOW = "mlflow"
AIRFLOW = {
    "api-server": ("api-server",),
    # Without their log servers, which would listen on every interface of the machine.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""Airflow's components, with their arguments after ``airflow``."""


def build_components(home: Home, config: StackConfig) -> tuple[Component, ...]:
    """Return the programs in the order of their start."""
    airflow = airflow_environment(home, config)
    components = [_postgres(home, config), _mlflow(home, config)]
    for name, arguments in AIRFLOW.items():
        components.append(
            Component(
                name=name,
                command=(sys.executable, "-m", "airflow", *arguments),
                environment=airflow | _mark(home, name),
                folder=config.project,
                url=api_url(config) if name == "api-server" else "",
            )
        )
    return tuple(components)


def airflow_environment(home: Home, config: StackConfig) -> dict[str, str]:
    """Return the environment of every Airflow command of this stack."""
    return {
        **inherited(os.environ),
        **task_variables(home, config),
        **mlflow_login_variables(mlflow_login(home)),
        **airflow_variables(home, config, airflow_keys(home), users(home)),
        **reporting_variables(os.environ),  # last, since metrics go nowhere by default
        **_mark(home, "airflow"),
    }


def _postgres(home: Home, config: StackConfig) -> Component:
    return Component(
        name=POSTGRES,
        command=server_arguments(config.cluster, config.ports.postgres),
        environment=server_environment(config.cluster, os.environ) | _mark(home, POSTGRES),
        folder=config.cluster.data,
        url=f"postgresql://{LOOPBACK}:{config.ports.postgres}/warehouse",
        stop_signal=signal.SIGINT,  # as `pg_ctl stop -m fast` sends: end the sessions, write everything, exit
        stop_group=False,  # signals mean something else to its children, and only the server sends them
        stop_last=True,
        uid=config.cluster.uid,
        gid=config.cluster.gid,
    )


def _mlflow(home: Home, config: StackConfig) -> Component:
    listen = ("--host", LOOPBACK, "--port", str(config.ports.mlflow), "--workers", "1")
    return Component(
        name=MLFLOW,
        command=(sys.executable, "-m", "mlflow", "server", "--app-name", "tidemill", *listen),
        environment={
            **inherited(os.environ),
            **mlflow_server_variables(home, config),
            **mlflow_login_variables(mlflow_login(home)),
            **_mark(home, MLFLOW),
        },
        folder=home.folder,
        url=mlflow_url(config),
    )


def _mark(home: Home, name: str) -> dict[str, str]:
    return {
        MARKER: str(home.folder),
        OWN_NAME: name,
        # Airflow renames its processes, which erases the environment that other processes can read, the mark included.
        # This variable restricts setproctitle to the space of the arguments.
        "SPT_NOENV": "1",
        "PYTHONUNBUFFERED": "1",  # the log is complete even after a kill
    }
