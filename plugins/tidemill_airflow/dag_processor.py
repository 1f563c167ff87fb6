"""What the DAG processor does once, before it forks a process for each DAG file.

Each process inherits the operators and the parsed specs, and parses only a spec that has changed since.
"""

import importlib
from contextlib import suppress
from pathlib import Path

from airflow.configuration import conf

from tidemill.errors import SpecError
from tidemill_airflow.model_dags import specs_beside

__all__ = ["prepare"]


def prepare() -> None:
    """Import the operators, and read the specs beside the DAG files; the DAG files report broken ones."""
    importlib.import_module("tidemill_airflow.operators")
    with suppress(SpecError):
        specs_beside(str(Path(conf.get("core", "dags_folder")) / "train.py"))
