"""The programs of the stack: what runs, with which environment, and how it is asked to stop.

A list of facts; ``supervisor`` acts on it.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tidemill.local.home import Home
from tidemill.local.plan import Plan
from tidemill.local.ports import LOOPBACK
from tidemill.local.postgres import server_arguments, server_environment
from tidemill.local.processes import MARKER, OWN_NAME
from tidemill.local.secrets import airflow_keys
from tidemill.local.settings import (
    airflow_variables,
    api_url,
    inherited,
    mlflow_server_variables,
    mlflow_url,
    task_variables,
    telling_variables,
)

__all__ = ["AIRFLOW", "MLFLOW", "POSTGRES", "Component", "airflow_environment", "build_components"]

POSTGRES = "postgres"
MLFLOW = "mlflow"
AIRFLOW = {
    "api-server": ("api-server",),
    # Without their log servers, which would listen on every interface of the machine.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""Airflow's components, with their command lines after ``airflow``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One program that the supervisor keeps running."""

    name: str
    """Such as ``scheduler``; also the name of its log."""
    command: tuple[str, ...]
    """Program and arguments; no secret among them."""
    environment: Mapping[str, str] = field(repr=False)
    """The whole environment; it may hold secrets."""
    folder: Path
    """Working folder."""
    url: str = ""
    """Where it answers, if people go there."""
    stop_signal: signal.Signals = signal.SIGTERM
    """What asks it to stop in order."""
    stop_group: bool = True
    """Whether the signal goes to its whole process group, or to the program alone."""
    stop_last: bool = False
    """Whether it stops only when the others have: they need it to say goodbye."""
    uid: int | None = None
    """User to run as, when not the caller."""
    gid: int | None = None
    """Group to run as, with ``uid``."""


def build_components(home: Home, plan: Plan) -> tuple[Component, ...]:
    """List the programs in the order of their start."""
    airflow = airflow_environment(home, plan)
    components = [_postgres(home, plan), _mlflow(home, plan)]
    for name, arguments in AIRFLOW.items():
        components.append(
            Component(
                name=name,
                command=(sys.executable, "-m", "airflow", *arguments),
                environment=airflow | _mark(home, name),
                folder=plan.project,
                url=api_url(plan) if name == "api-server" else "",
            )
        )
    return tuple(components)


def airflow_environment(home: Home, plan: Plan) -> dict[str, str]:
    """Return the environment of every Airflow command of this stack."""
    return {
        **inherited(os.environ),
        **task_variables(home, plan),
        **airflow_variables(home, plan, airflow_keys(home)),
        **telling_variables(os.environ),  # last, since figures go nowhere by default
        **_mark(home, "airflow"),
    }


def _postgres(home: Home, plan: Plan) -> Component:
    return Component(
        name=POSTGRES,
        command=server_arguments(plan.cluster, plan.ports.postgres),
        environment=server_environment(plan.cluster, os.environ) | _mark(home, POSTGRES),
        folder=plan.cluster.data,
        url=f"postgresql://{LOOPBACK}:{plan.ports.postgres}/warehouse",
        stop_signal=signal.SIGINT,  # what `pg_ctl stop -m fast` sends: end the sessions, write everything, leave
        stop_group=False,  # its children take signals in other meanings, from it alone
        stop_last=True,
        uid=plan.cluster.uid,
        gid=plan.cluster.gid,
    )


def _mlflow(home: Home, plan: Plan) -> Component:
    arguments = ("server", "--host", LOOPBACK, "--port", str(plan.ports.mlflow), "--workers", "1")
    return Component(
        name=MLFLOW,
        command=(sys.executable, "-m", "mlflow", *arguments),
        environment=inherited(os.environ) | mlflow_server_variables(home, plan) | _mark(home, MLFLOW),
        folder=home.folder,
        url=mlflow_url(plan),
    )


def _mark(home: Home, name: str) -> dict[str, str]:
    return {
        MARKER: str(home.folder),
        OWN_NAME: name,
        # Airflow renames its processes, and by that erases what other processes can read of their environment, the
        # mark included; this tells setproctitle to keep to the space of the arguments.
        "SPT_NOENV": "1",
        "PYTHONUNBUFFERED": "1",  # a log shows what has happened, also after a kill
    }
