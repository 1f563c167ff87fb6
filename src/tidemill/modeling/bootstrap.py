"""Confidence intervals by leaving out, or drawing, blocks of rows.

Rows of one day share their weather and their queues, so days are drawn, not rows (block bootstrap: Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 8). A replicate is a vector of weights: how often each
block was drawn. Nothing is copied, and a statistic sees many replicates at once.

What the gate decides on is estimated by leaving out one day at a time instead, with Student's quantile and room for days
that resemble the day before: with 14 days the bootstrap's percentiles are too narrow, and accept twice what they say
(docs/gate.md has the measurement).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

__all__ = ["MIN_BLOCKS", "N_REPLICATES", "Estimate", "estimate", "index_blocks", "percentile_interval", "replicate"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MIN_BLOCKS = 5
"""Blocks below which no honest interval exists; it is NaN then."""
N_REPLICATES = 200
"""Draws; the ends of a 95 % interval then rest on five draws each side."""
MAX_LEFT_OUT = 500
"""Blocks up to which each is left out once; beyond, the spread comes from draws."""
_MAX_WEIGHTS = 4_000_000  # replicates times rows held at once: 32 MB
_MAX_CORRELATION = 0.9  # of neighbouring blocks; more cannot be told from a trend
_MIN_DEFINED = 0.9  # share of replicates in which the statistic must be defined


def index_blocks(blocks: npt.ArrayLike | None, n_samples: int) -> tuple[Integers, int]:
    """Return each block a number.

    Parameters
    ----------
    blocks : array-like of shape (n_samples,) or None
        Block of each row, such as its partition's key; None makes each row a block of its own.
    n_samples : int
        Number of rows.

    Returns
    -------
    index : ndarray of shape (n_samples,)
        Number of each row's block, from 0, in ascending order of the keys: of partitions, that of time.
    n_blocks : int
        Number of blocks.

    Examples
    --------
    >>> index_blocks(["2013-07-01", "2013-07-01", "2013-07-02"], 3)
    (array([0, 0, 1]), 2)
    """
    if blocks is None:
        return np.arange(n_samples), n_samples
    index, levels = pd.factorize(np.asarray(blocks), sort=True)
    if len(index) != n_samples or (index < 0).any():
        raise ValueError("every row needs a block, and no block may be missing")
    return index.astype(np.int64), len(levels)


def replicate(
    statistic: Callable[[Integers], Floats], n_blocks: int, n_samples: int, random_state: int, n_replicates: int
) -> Floats:
    """Compute a statistic on every bootstrap replicate.

    Parameters
    ----------
    statistic : callable
        From counts of shape (n, n_blocks), how often each block was drawn, to values of shape (n, n_values).
    n_blocks, n_samples : int
        Size of the data; rows only set how many replicates are held at once.
    random_state : int
        Seed of the draws.
    n_replicates : int
        Number of draws.

    Returns
    -------
    ndarray of shape (n_replicates, n_values)
    """
    rng = np.random.default_rng(random_state)
    at_once = max(1, _MAX_WEIGHTS // max(n_samples, 1))
    sizes = [min(at_once, n_replicates - done) for done in range(0, n_replicates, at_once)]
    return np.concatenate([statistic(_draw(rng, size, n_blocks)) for size in sizes])


def _draw(rng: np.random.Generator, n_replicates: int, n_blocks: int) -> Integers:
    drawn = rng.integers(0, n_blocks, size=(n_replicates, n_blocks))
    drawn += np.arange(n_replicates)[:, None] * n_blocks  # one range of numbers per replicate
    return np.bincount(drawn.ravel(), minlength=n_replicates * n_blocks).reshape(n_replicates, n_blocks)


def percentile_interval(values: Floats, n_blocks: int) -> tuple[float, float]:
    """Return the 95 % percentile interval, widened as Student's is against the normal one.

    Few blocks make percentiles too narrow; the wider ones are Hesterberg's (*The American Statistician*, 2015,
    section 4.2), and keep to the range of the metric.

    Returns
    -------
    low, high : float
        NaN if there are too few blocks or too few defined values.

    Examples
    --------
    >>> low, high = percentile_interval(np.linspace(0, 1, 201), n_blocks=14)
    >>> round(low, 4), round(high, 4)
    (0.0125, 0.9875)
    >>> percentile_interval(np.linspace(0, 1, 201), n_blocks=2)
    (nan, nan)
    """
    defined = values[np.isfinite(values)]
    if n_blocks < MIN_BLOCKS or len(defined) < _MIN_DEFINED * len(values):
        return float("nan"), float("nan")
    tail = 100 * float(stats.norm.cdf(-np.sqrt(n_blocks / (n_blocks - 1)) * stats.t.ppf(0.975, n_blocks - 1)))
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure to decide on; NaN throughout where it is not defined."""

    value: float
    """On all rows."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    standard_error: float
    """What the interval was made from, with n_blocks - 1 degrees of freedom."""


def estimate(
    statistic: Callable[[Integers], Floats],
    n_blocks: int,
    n_samples: int,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> Estimate:
    """Estimate one statistic with its 95 % interval, from the spread of whole blocks.

    Parameters
    ----------
    statistic : callable
        From counts of shape (n, n_blocks), how often each block counts, to values of shape (n, 1).
    n_blocks, n_samples : int
        Size of the data.
    random_state, n_replicates : int
        Seed and number of draws, where there are too many blocks to leave each out.

    Examples
    --------
    >>> days = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    >>> mean = estimate(lambda counts: (counts @ days / counts.sum(axis=1))[:, None], 6, 6)
    >>> mean.value, round(mean.standard_error, 2)  # of independent days it would be 0.76; these rise steadily
    (3.5, 1.71)
    """
    nan = float("nan")
    value = float(statistic(np.ones((1, n_blocks), dtype=np.int64))[0, 0])
    if n_blocks < MIN_BLOCKS or not np.isfinite(value):
        return Estimate(value=value, low=nan, high=nan, standard_error=nan)
    if n_blocks <= MAX_LEFT_OUT:
        error = _error_from_leaving_out(statistic, n_blocks, n_samples)
    else:
        error = _error_from_draws(replicate(statistic, n_blocks, n_samples, random_state, n_replicates)[:, 0])
    half = float(stats.t.ppf(0.975, n_blocks - 1)) * error
    return Estimate(value=value, low=value - half, high=value + half, standard_error=error)


def _error_from_leaving_out(statistic: Callable[[Integers], Floats], n_blocks: int, n_samples: int) -> float:
    """Return the jackknife's standard error, widened if a block resembles the one before; NaN if any value is undefined."""
    without_one = 1 - np.eye(n_blocks, dtype=np.int64)
    at_once = max(1, _MAX_WEIGHTS // max(n_samples, 1))
    values = np.concatenate(
        [statistic(without_one[first : first + at_once])[:, 0] for first in range(0, n_blocks, at_once)]
    )
    influence = values.mean() - values
    variance = float((influence**2).sum()) * (n_blocks - 1) / n_blocks
    return float(np.sqrt(variance * _persistence(influence)))


def _persistence(influence: Floats) -> float:
    """Return the factor by which neighbours that resemble each other raise the variance of a mean, at least 1.

    That of a first-order autoregression; 1 / n corrects the bias of the correlation in short series.
    """
    total = float((influence**2).sum())
    if total == 0:
        return 1.0
    correlation = float((influence[1:] * influence[:-1]).sum()) / total + 1 / len(influence)
    inside = min(max(correlation, 0.0), _MAX_CORRELATION)
    return (1 + inside) / (1 - inside)


def _error_from_draws(draws: Floats) -> float:
    defined = draws[np.isfinite(draws)]
    return float(defined.std(ddof=1)) if len(defined) >= _MIN_DEFINED * len(draws) else float("nan")
