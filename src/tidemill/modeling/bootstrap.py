"""Confidence intervals by resampling blocks of rows.

Rows of one day share their weather and their queues, so days are drawn, not rows (block bootstrap: Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 8). A replicate is a vector of weights: how often each
block was drawn. Nothing is copied, and a statistic sees many replicates at once.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["MIN_BLOCKS", "N_REPLICATES", "index_blocks", "percentile_interval", "replicate"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MIN_BLOCKS = 5
"""Blocks below which no honest interval exists; it is NaN then."""
N_REPLICATES = 200
"""Draws; the ends of a 95 % interval then rest on five draws each side."""
_MAX_WEIGHTS = 4_000_000  # replicates times rows held at once: 32 MB
_MIN_DEFINED = 0.9  # share of replicates in which the statistic must be defined


def index_blocks(blocks: npt.ArrayLike | None, n_samples: int) -> tuple[Integers, int]:
    """Give each block a number.

    Parameters
    ----------
    blocks : array-like of shape (n_samples,) or None
        Block of each row, such as its partition's key; None makes each row a block of its own.
    n_samples : int
        Number of rows.

    Returns
    -------
    index : ndarray of shape (n_samples,)
        Number of each row's block, from 0, in order of first appearance.
    n_blocks : int
        Number of blocks.

    Examples
    --------
    >>> index_blocks(["2013-07-01", "2013-07-01", "2013-07-02"], 3)
    (array([0, 0, 1]), 2)
    """
    if blocks is None:
        return np.arange(n_samples), n_samples
    index, levels = pd.factorize(np.asarray(blocks))
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
    """Give the 95 % percentile interval; NaN if there are too few blocks or too few defined values.

    Examples
    --------
    >>> percentile_interval(np.linspace(0, 1, 201), n_blocks=14)
    (0.025, 0.975)
    >>> percentile_interval(np.linspace(0, 1, 201), n_blocks=2)
    (nan, nan)
    """
    defined = values[np.isfinite(values)]
    if n_blocks < MIN_BLOCKS or len(defined) < _MIN_DEFINED * len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
