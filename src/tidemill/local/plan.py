"""What was decided about one stack, kept in its home from start to start.

Whoever stops, asks or watches a stack reads the plan instead of guessing; only a start writes it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import StackError
from tidemill.local.home import Home, read_json, write_private
from tidemill.local.ports import Ports
from tidemill.local.postgres import Cluster
from tidemill.records import Record

__all__ = ["Plan", "load", "recorded", "save"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Record):
    """The decisions of the first start, and of the last."""

    project: Path
    """Folder with ``dags/``, ``plugins/`` and ``sql/``."""
    ports: Ports
    """Where the programs listen."""
    cluster: Cluster
    """Where Postgres lies."""
    airflow_schema: str | None = None
    """Airflow's version when its database was last migrated, such as ``3.3.2``."""
    mlflow_schema: str | None = None
    """MLflow's version when it last started on its database."""


def load(home: Home) -> Plan:
    """Read the plan of a stack that has been started before.

    Raises
    ------
    StackError
        If it has not.
    """
    plan = recorded(home)
    if plan is None:
        raise StackError(f"No stack has been started in '{home.folder}'.", "Start it first: make up.")
    return plan


def recorded(home: Home) -> Plan | None:
    """Read the plan, or give None before the first start."""
    values = read_json(home.plan)
    return None if values is None else Plan.from_dict(values)


def save(home: Home, plan: Plan) -> None:
    """Write the plan; the file names no secret."""
    write_private(home.plan, json.dumps(plan.to_dict(), indent=2) + "\n")
