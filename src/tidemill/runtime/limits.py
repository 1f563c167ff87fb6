"""The limits of a step: how long it may take, and on how many processors. A step beyond its limit is stuck, and is ended.

Light, since the DAG files read it: Airflow shows the same limits as the tasks' execution timeouts.
"""

import os
import re
from datetime import timedelta

from tidemill.errors import SettingsError
from tidemill.runtime.declarations import declaration

__all__ = ["BATCH_ROWS", "GRACE", "execution_timeout", "limit_of", "usable_cores"]

GRACE = timedelta(seconds=30)
"""From the request to end until the kill: time to remove what is half written, and to write to the ledger."""

BATCH_ROWS = 16_384
"""Rows scored and encoded at once: 2.5 MB of 20 columns. The scores do not depend on it."""


def limit_of(step: str) -> timedelta:
    """Return a step's limit: ``TIDEMILL_<STEP>_TIMEOUT_S`` in seconds, or the declared one.

    Raises
    ------
    SettingsError
        If the variable is not a whole number of seconds.
    ValueError
        If there is no such step.
    """
    variable = f"TIDEMILL_{step.upper()}_TIMEOUT_S"
    given = os.environ.get(variable, "")
    if not given:
        return declaration(step).limit
    if not re.fullmatch(r"[1-9]\d{0,8}", given):
        raise SettingsError(f"{variable} is {given!r}, expected whole seconds.", "Correct it, or unset it.")
    return timedelta(seconds=int(given))


def execution_timeout(step: str) -> timedelta:
    """Return Airflow's limit of a step's task: later than the step's own, which ends its child processes too.

    Examples
    --------
    >>> execution_timeout("publish")
    datetime.timedelta(seconds=720)
    """
    return limit_of(step) + 4 * GRACE  # imports and connections come before the step


def usable_cores() -> int:
    """Return the number of processors that this process may use, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
