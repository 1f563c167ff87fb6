"""How far a new day lay from the days before it, in the model's own past.

One day against ninety differs by nature where a feature is constant within a day (the weekday), moves slowly (the late
share of the last month) or comes and goes (the weather). A fixed threshold would call these drift for ever. So the
reference carries what was usual: each of its later partitions compared with all partitions before it, the very
comparison that monitoring makes later, and a high quantile of those figures. The same goes for nulls (a gauge that is
silent on calm days has days without a value) and for new levels (a fleet gets new planes every day).
"""

import numpy as np
from numpy.typing import NDArray

from tidemill.metrics.student import student_quantile
from tidemill.monitoring.distances import population_stability_index

__all__ = ["psi_of_past_blocks", "usual_null_share", "usual_psi", "usual_unseen_share"]

MIN_BLOCKS = 14  # two weeks of days: half of them is every weekday once, and under seven figures say too little
QUANTILE = 0.99  # of the past partitions; with 45 figures practically the largest


def psi_of_past_blocks(groups: NDArray[np.int64], blocks: NDArray[np.int64], *, n_groups: int) -> NDArray[np.float64]:
    """Return the stability index of each partition of the later half against all partitions before it.

    Parameters
    ----------
    groups : numpy.ndarray of shape (n_rows,)
        Group of each row, from 0 to ``n_groups - 1``.
    blocks : numpy.ndarray of shape (n_rows,)
        Number of each row's partition, from 0 without gaps, ascending in time.
    n_groups : int
        Groups in all.

    Returns
    -------
    numpy.ndarray of shape (n_blocks - n_blocks // 2,)

    Examples
    --------
    >>> psi_of_past_blocks(np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2]), n_groups=2).tolist()
    [0.0, 0.0]
    """
    n_blocks = _n_blocks(blocks)
    counts = np.bincount(blocks * n_groups + groups, minlength=n_blocks * n_groups).reshape(n_blocks, n_groups)
    before = np.cumsum(counts, axis=0) - counts
    return np.array([population_stability_index(before[i], counts[i]) for i in range(n_blocks // 2, n_blocks)])


def usual_psi(groups: NDArray[np.int64], blocks: NDArray[np.int64], *, n_groups: int) -> float | None:
    """Return the index that a new partition rarely exceeded in the past.

    Returns
    -------
    float or None
        The 0.99 quantile; with fewer than 14 partitions, what Student's distribution makes of each of them against all
        others; None with a single one.
    """
    n_blocks = _n_blocks(blocks)
    if n_blocks < 2:
        return None
    if n_blocks < MIN_BLOCKS:
        return _usual_of_few(groups, blocks, n_groups)
    return float(np.quantile(psi_of_past_blocks(groups, blocks, n_groups=n_groups), QUANTILE))


def _usual_of_few(groups: NDArray[np.int64], blocks: NDArray[np.int64], n_groups: int) -> float:
    """Return the index that one of twenty new partitions exceeds, if a partition's index is the square of its own effect."""
    n_blocks = _n_blocks(blocks)
    counts = np.bincount(blocks * n_groups + groups, minlength=n_blocks * n_groups).reshape(n_blocks, n_groups)
    others = counts.sum(axis=0) - counts
    found = [population_stability_index(*pair) for pair in zip(others, counts, strict=True)]
    return student_quantile(n_blocks) ** 2 * float(np.mean(found))


def usual_null_share(is_null: NDArray[np.bool_], blocks: NDArray[np.int64]) -> float | None:
    """Return the share of nulls that a partition rarely exceeded in the past.

    Returns
    -------
    float or None
        The 0.99 quantile over all partitions; None with fewer than 14.
    """
    if _n_blocks(blocks) < MIN_BLOCKS:
        return None
    return float(np.quantile(np.bincount(blocks, weights=is_null) / np.bincount(blocks), QUANTILE))


def usual_unseen_share(levels: NDArray[np.int64], blocks: NDArray[np.int64]) -> float | None:
    """Return the share of rows whose level was new in their partition that a partition rarely exceeded in the past.

    Parameters
    ----------
    levels : numpy.ndarray of shape (n_rows,)
        Number of each row's level, from 0; -1 for a row without a value.
    blocks : numpy.ndarray of shape (n_rows,)
        Number of each row's partition, from 0 without gaps, ascending in time.

    Returns
    -------
    float or None
        The 0.99 quantile over the later half of the partitions; None with fewer than 14.

    Examples
    --------
    >>> days = np.repeat(np.arange(14), 4)
    >>> usual_unseen_share(np.where(np.arange(56) % 4 == 0, days, 99), days)
    0.25
    """
    n_blocks = _n_blocks(blocks)
    if n_blocks < MIN_BLOCKS:
        return None
    known = levels >= 0
    first = np.full(int(levels.max(initial=-1)) + 1, n_blocks, np.int64)
    np.minimum.at(first, levels[known], blocks[known])
    is_new = np.zeros(levels.size)
    is_new[known] = first[levels[known]] == blocks[known]
    shares = np.bincount(blocks, weights=is_new) / np.bincount(blocks)
    return float(np.quantile(shares[n_blocks // 2 :], QUANTILE))


def _n_blocks(blocks: NDArray[np.int64]) -> int:
    return int(blocks.max()) + 1 if blocks.size else 0
