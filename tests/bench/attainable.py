"""How often a test errs at most where few rows, or whole numbers, leave few possible differences."""

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["LEVEL", "of_shares", "of_values"]

LEVEL = 0.025
"""What one side of a 95 % interval may err by."""


def of_values(gains: npt.NDArray[np.float64]) -> float:
    """Return the largest share, up to 2.5 %, of draws that gain at least as much as one of them that gains something."""
    reached = np.array([(gains >= gain).mean() for gain in np.unique(gains[gains > 0])])
    return float(max(reached[reached <= LEVEL], default=0.0))


@cache
def of_shares(n: int, gained: float, lost: float) -> float:
    """Return the same of a difference of two shares of n rows, exactly.

    Parameters
    ----------
    n : int
        Rows.
    gained, lost : float
        Probability that a row counts for the first share only, and for the second only.

    Examples
    --------
    >>> of_shares(4, 0.25, 0.25)  # only if all four count for the first alone: 1 of 256
    0.00390625
    """
    chances = np.ones(1)
    for _ in range(n):
        chances = np.convolve(chances, [lost, 1 - gained - lost, gained])
    reached = np.cumsum(chances[::-1])
    return float(max(reached[reached <= LEVEL], default=0.0))
