"""A confidence sequence of a mean over blocks of time: it stays valid however often it is looked at."""

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["LEAST", "confidence_sequence"]

LEAST = 7
"""Fewer blocks conclude nothing: their mean may be far from normal."""

LEVEL = 0.05  # of both sides together, over all looks
# A block's mean lies half a standard deviation from the value to exclude: decides soonest in 10 to 40 blocks.
PRIOR = 4.0
RESEMBLANCE = 0.2  # correlation with the block before that is allowed for; days of the flights have 0.15


def confidence_sequence(values: Sequence[float]) -> tuple[float, float]:
    """Return an interval that contains the mean at every look, with a probability of 95 %; infinite before seven blocks.

    Parameters
    ----------
    values : sequence of float
        One finite value per block, in any order; all so far.

    Notes
    -----
    The scale-invariant e-process of a normal mean with unknown variance: the mean is excluded once
    ``sqrt(c / (n + c)) * (1 - S**2 / ((n + c) * V))**(-n / 2)`` reaches 20, with S and V the sums of the deviations from
    it and of their squares, and c the weight of the prior. The width then grows by what blocks add that resemble the
    block before. A betting e-process of bounded values needs no normal distribution, but ten times the days, since it
    allows for differences as large as the metric's range (ADR 49).

    References
    ----------
    H. Wang and A. Ramdas, *Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance*,
    Sequential Analysis 44 (2025); T. L. Lai, *On confidence sequences*, Annals of Statistics 4 (1976).

    Examples
    --------
    >>> low, high = confidence_sequence([0.010, 0.012, 0.009, 0.011, 0.008, 0.013, 0.010, 0.011, 0.009, 0.010])
    >>> round(low, 3), round(high, 3)
    (0.008, 0.013)
    """
    n = len(values)
    if n < LEAST:
        return -math.inf, math.inf
    mean, variance = float(np.mean(values)), float(np.var(values))
    share = (1 - (LEVEL**2 * PRIOR / (n + PRIOR)) ** (1 / n)) * (n + PRIOR)
    if share >= n:
        return -math.inf, math.inf
    wider = math.sqrt((1 + RESEMBLANCE) / (1 - RESEMBLANCE))
    half = wider * math.sqrt(variance * share / (n - share))
    return mean - half, mean + half
