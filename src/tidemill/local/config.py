"""What was decided for one stack, kept in its home from start to start.

Only a start writes the configuration. Whoever stops, queries or watches a stack reads it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import StackError
from tidemill.local.home import Home
from tidemill.local.ports import Ports
from tidemill.machine.files import read_json, write_private
from tidemill.postgres.cluster import Cluster
from tidemill.postgres.server import Server
from tidemill.records import Record

__all__ = ["StackConfig", "find_config", "load_config", "save_config", "server_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig(Record):
    """The configuration of one stack."""

    project: Path
    """Folder with ``dags/``, ``plugins/`` and ``sql/``."""
    ports: Ports
    """Where the programs listen."""
    cluster: Cluster
    """Postgres's programs and data."""
    airflow_schema: str | None = None
    """Airflow's version when its database was last migrated, such as ``3.3.2``."""
    mlflow_schema: str | None = None
    """MLflow's version when it last started on its database."""


def load_config(home: Home) -> StackConfig:
    """Read the configuration of a stack that has been started before.

    Raises
    ------
    StackError
        If it has not.
    """
    config = find_config(home)
    if config is None:
        raise StackError(f"No stack has been started in '{home.folder}'.", "Start it first: make up.")
    return config


def find_config(home: Home) -> StackConfig | None:
    """Read the configuration; return None before the first start."""
    values = read_json(home.config)
    return None if values is None else StackConfig.from_dict(values)


def save_config(home: Home, config: StackConfig) -> None:
    """Write the configuration; the file contains no secret."""
    write_private(home.config, json.dumps(config.to_dict(), indent=2) + "\n")


def server_of(home: Home, config: StackConfig) -> Server:
    """Return the stack's Postgres server."""
    return Server(port=config.ports.postgres, passwords=home.secrets)
