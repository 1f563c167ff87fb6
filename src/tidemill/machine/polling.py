"""Waiting for something that sends no event: another program's health, or its end."""

import time
from collections.abc import Callable

__all__ = ["until"]

_POLL_S = 0.1  # seconds between two checks; short against the seconds that programs take to start


def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Check a condition until it holds, and return whether it did in time.

    Parameters
    ----------
    condition : callable
        Cheap to call; stays true once it is true.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
