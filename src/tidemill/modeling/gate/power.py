"""Statistical power: how much more evidence a decision needs, and multiple comparisons over slices.

Future days are assumed to vary like past days: the standard error of a difference over n days falls with the square root
of n.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tidemill.metrics.student import degrees_of_freedom

__all__ = ["LEVEL", "POWER", "Shortfall", "harmed", "level_of_look", "shortfall", "widened"]

LEVEL = 0.025
"""Type I error rate of a comparison: one side of a 95 % interval."""
POWER = 0.8
"""Probability that the stated amount of evidence decides."""
_MAX_BLOCKS = 1_000_000  # upper bound of the search; more means 'never'


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Evidence missing for a decision."""

    n_blocks: int
    """Additional blocks that would decide with a probability of 80 %."""
    n_rows: int
    """Labelled rows in that many blocks."""


def shortfall(gap: float, standard_error: float, n_blocks: int, n_rows: int) -> Shortfall:
    """Return how much more evidence would confirm a gap, if the estimate is right.

    Parameters
    ----------
    gap : float
        Distance of the estimate from the value to exclude, above 0.
    standard_error : float
        Standard error of the estimate on the present blocks.
    n_blocks, n_rows : int
        Present evidence.

    Examples
    --------
    >>> shortfall(gap=0.006, standard_error=0.004, n_blocks=14, n_rows=12600)
    Shortfall(n_blocks=43, n_rows=38700)
    >>> shortfall(gap=0.02, standard_error=0.004, n_blocks=14, n_rows=12600)
    Shortfall(n_blocks=0, n_rows=0)
    """
    one_block = standard_error**2 * n_blocks / gap**2  # blocks at which gap and standard error are equal
    needed = bisect.bisect_left(
        range(_MAX_BLOCKS), True, lo=n_blocks, key=lambda blocks: blocks >= one_block * _quantiles(blocks) ** 2
    )
    further = needed - n_blocks
    return Shortfall(n_blocks=further, n_rows=round(further * n_rows / n_blocks))


def level_of_look(look: int) -> float:
    """Return the share of the type I error rate that the n-th comparison with one champion may spend.

    The shares of all comparisons, however many there are, sum up to the whole, whatever days they have in common (alpha
    spending by the series of 1/n²; the union bound needs no independence).

    Examples
    --------
    >>> [round(level_of_look(look), 5) for look in (1, 2, 26)]
    [0.0152, 0.0038, 2e-05]
    >>> round(sum(level_of_look(look) for look in range(1, 100_000)), 4)
    0.025
    """
    return LEVEL * 6 / (math.pi * look) ** 2


def widened(half_width: float, look: int, n_blocks: int) -> float:
    """Return half the width that the n-th comparison needs, from that of a comparison by itself.

    Examples
    --------
    >>> round(widened(0.010, look=1, n_blocks=28), 4), round(widened(0.010, look=26, n_blocks=28), 4)
    (0.0114, 0.0378)
    """
    freedom = degrees_of_freedom(n_blocks)
    by_itself, needed = stats.t.ppf(1 - LEVEL, freedom), stats.t.ppf(1 - level_of_look(look), freedom)
    return float(half_width * needed / by_itself)


def _quantiles(n_blocks: int) -> float:
    return float(stats.t.ppf(1 - LEVEL, degrees_of_freedom(n_blocks)) + stats.norm.ppf(POWER))


def harmed(
    gains: Sequence[float], standard_errors: Sequence[float], n_blocks: Sequence[int], margin: float
) -> tuple[bool, ...]:
    """Return which slices are significantly worse by more than a margin, corrected for multiple comparisons.

    Each slice gets a one-sided p-value. Holm's procedure (1979) limits the family-wise error rate to 2.5 % for any number
    of slices.

    Parameters
    ----------
    gains : sequence of float
        Improvement of the candidate per slice; negative means worse.
    standard_errors : sequence of float
        Standard errors of the gains.
    n_blocks : sequence of int
        Blocks per slice.
    margin : float
        Tolerated deterioration of a slice.

    Examples
    --------
    >>> harmed([-0.10, -0.02, 0.01], [0.02, 0.01, 0.01], [14, 14, 14], margin=0.005)
    (True, False, False)
    """
    errors = np.asarray(standard_errors, dtype=np.float64)
    distance = np.asarray(gains, dtype=np.float64) + margin
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(errors > 0, distance / errors, np.where(distance < 0, -np.inf, np.inf))
    p_values = stats.t.cdf(statistic, [degrees_of_freedom(n) for n in n_blocks])
    found = np.zeros(len(p_values), dtype=bool)
    for step, position in enumerate(np.argsort(p_values)):
        if p_values[position] > LEVEL / (len(p_values) - step):
            break
        found[position] = True
    return tuple(found.tolist())
