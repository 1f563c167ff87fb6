"""Airflow's LocalExecutor with workers that are forked after the libraries of the steps are imported.

A task is a process forked from a worker. Most tasks of a small partition spent their time on imports: two seconds of
processor time each, six at once in a training. Modules that the scheduler imports before it forks are there for all tasks,
and their pages are shared. Importing starts no thread and no parallel region, neither of which survives a fork; a test
checks both.
"""

import importlib

from airflow.executors.local_executor import LocalExecutor

from tidemill.runtime.declarations import STEPS
from tidemill_airflow.quiet import without_chatter

__all__ = ["WarmLocalExecutor", "warm_up"]

_ALSO = ("mlflow", "mlflow.pyfunc", "tidemill.storage.rehearsal")  # imported by steps while they run


class WarmLocalExecutor(LocalExecutor):
    """Import before forking; otherwise Airflow's own executor."""

    def start(self) -> None:
        """Import, then start the workers."""
        warm_up()
        super().start()


def warm_up() -> None:
    """Import what the steps import, once."""
    with without_chatter():
        for module in sorted({f"tidemill.{step.module}" for step in STEPS.values()}) + list(_ALSO):
            importlib.import_module(module)
