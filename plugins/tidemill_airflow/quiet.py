"""What libraries say into a task's log that helps nobody, kept out so that the rest can be read."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_chatter"]


@contextmanager
def without_chatter() -> Iterator[None]:
    """Run a block without the known chatter; real warnings of other libraries pass."""
    # Importing Great Expectations announces each of 200 functions that it does not register.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # skops asks every loaded module for every ufunc, and Airflow's modules answer each with a warning: 1,160 lines.
        warnings.filterwarnings("ignore", message="The `airflow", category=FutureWarning)
        yield
