"""How far a new day lay from the days before it, in the model's own past.

One day against ninety differs by nature where a feature is constant within a day (the weekday), moves slowly (the late
share of the last month) or comes and goes (the weather). A fixed threshold would call these drift for ever. So the
reference carries what was usual: each of its later partitions held against all partitions before it, the very
comparison that monitoring makes later, and a high quantile of those figures. The same goes for nulls: a gauge that is
silent on calm days has days without a value.
"""

import numpy as np
from numpy.typing import NDArray

from tidemill.metrics.student import student_quantile
from tidemill.monitoring.distances import population_stability_index

__all__ = ["psi_of_past_blocks", "usual_null_share", "usual_psi"]

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


def _n_blocks(blocks: NDArray[np.int64]) -> int:
    return int(blocks.max()) + 1 if blocks.size else 0
