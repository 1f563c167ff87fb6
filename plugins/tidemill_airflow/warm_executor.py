"""Airflow's LocalExecutor, whose workers are forked with the libraries of the steps already imported.

A task is a process forked from a worker, and most tasks of a small partition spent their time on imports: two seconds of
processor each, six at a time in a training. What the scheduler has imported before it forks is there for all of them,
and its pages are shared. Importing starts no thread of Python's, and no parallel region, which is what forking would not
survive; a test holds both.
"""

import importlib

from airflow.executors.local_executor import LocalExecutor

from tidemill.runtime.declarations import STEPS
from tidemill_airflow.quiet import without_chatter

__all__ = ["WarmLocalExecutor", "warm_up"]

_ALSO = ("mlflow", "mlflow.pyfunc", "tidemill.storage.rehearsal")  # what steps import while they run


class WarmLocalExecutor(LocalExecutor):
    """Imports before it forks; otherwise Airflow's own."""

    def start(self) -> None:
        """Import, then start the workers."""
        warm_up()
        super().start()


def warm_up() -> None:
    """Import what the steps import, once."""
    with without_chatter():
        for module in sorted({f"tidemill.{step.module}" for step in STEPS.values()}) + list(_ALSO):
            importlib.import_module(module)
