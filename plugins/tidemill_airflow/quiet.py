"""Keep log lines of libraries that help nobody out of a task's log, so that the rest can be read."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_chatter"]


@contextmanager
def without_chatter() -> Iterator[None]:
    """Run a block without the known noise; other warnings pass."""
    # Importing Great Expectations announces each of 200 functions that it does not register.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # skops looks up every ufunc in every loaded module, and Airflow's modules answer each with a warning: 1,160 lines.
        warnings.filterwarnings("ignore", message="The `airflow", category=FutureWarning)
        yield
