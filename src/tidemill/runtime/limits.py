"""How long a step may take, and on how many processors. A step that takes longer hangs, and is ended.

Light, since the DAG files read it: Airflow shows the same limits as the tasks' execution timeouts.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta

from tidemill.errors import SettingsError

__all__ = ["BATCH_ROWS", "GRACE", "LIMITS", "cores", "execution_timeout", "limit_of"]

GRACE = timedelta(seconds=30)
"""From the request to end until the kill: time to remove what is half written, and to tell the ledger."""

BATCH_ROWS = 16_384
"""Rows scored and encoded at once: 2.5 MB of 20 columns. The scores do not depend on it."""

_QUICK, _HOUR = timedelta(minutes=10), timedelta(hours=1)

LIMITS: Mapping[str, timedelta] = {
    "extract": timedelta(hours=4),  # one statement gets half an hour, and a training window asks many
    "validate_data": _HOUR,
    "analyse": _HOUR,
    "prepare": _HOUR,
    "train": timedelta(hours=6),  # beyond that a training wants a bigger machine, or fewer trials
    "evaluate": timedelta(hours=2),  # the bootstrap scores every candidate
    "validate_model": _QUICK,
    "approve": _QUICK,  # to write down an answer; waiting for it holds no process
    "register": timedelta(minutes=30),  # uploads to MLflow, which may be slow
    "resolve_release": _QUICK,
    "score": timedelta(hours=2),
    "predict": timedelta(hours=2),  # a million rows take a minute
    "publish": _QUICK,
    "collect": _QUICK,
    "drift": _HOUR,
    "performance": _HOUR,
    "compute": _QUICK,
    "freshness": _QUICK,
    "alert": _QUICK,
    "report": timedelta(minutes=30),
    "notify": timedelta(minutes=30),  # delivers, over the network
    "decide": _QUICK,
    "record_outcome": _QUICK,
    "reproduce": timedelta(hours=12),  # extracts, trains and scores all over again
}
"""Limit of each step: many times what the example takes, so that only what hangs meets it."""


def limit_of(step: str) -> timedelta:
    """Return a step's limit: ``TIDEMILL_<STEP>_TIMEOUT_S`` in seconds, or ours.

    Raises
    ------
    SettingsError
        If the variable holds no whole number of seconds.
    """
    variable = f"TIDEMILL_{step.upper()}_TIMEOUT_S"
    given = os.environ.get(variable, "")
    if not given:
        return LIMITS.get(step, _HOUR)
    if not re.fullmatch(r"[1-9]\d{0,8}", given):
        raise SettingsError(f"{variable} is {given!r}, expected whole seconds.", "Correct it, or take it away.")
    return timedelta(seconds=int(given))


def execution_timeout(step: str) -> timedelta:
    """Give Airflow's limit of a step's task: later than the step's own, which ends it better, and children with it.

    Examples
    --------
    >>> execution_timeout("publish")
    datetime.timedelta(seconds=720)
    """
    return limit_of(step) + 4 * GRACE  # imports and connections come before the step


def cores() -> int:
    """How many processors this process may use, from 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
