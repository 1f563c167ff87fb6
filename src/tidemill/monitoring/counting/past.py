"""How far past partitions of the reference lay from the partitions before them.

A single day naturally differs from ninety days if a feature is constant within a day (the weekday), moves slowly (the
late share of the last month) or comes and goes (the weather). A fixed threshold would report these as drift forever.
The reference therefore records what is usual: each of its later partitions is compared with all earlier ones, as
monitoring does later, and a high quantile of these figures is kept. The same applies to nulls (a gauge without values
on calm days) and to new levels (new planes in a fleet).
"""

import numpy as np
from numpy.typing import NDArray

from tidemill.metrics.student import student_quantile
from tidemill.monitoring.distances import population_stability_index

__all__ = ["psi_of_past_blocks", "rare_psi", "usual_null_share", "usual_psi", "usual_unseen_share"]

MIN_BLOCKS = 14  # two weeks of days: half of them covers every weekday, and fewer than seven figures are too few
MANY_BLOCKS = 40  # number of partitions from which the later half has enough figures for a high quantile
QUANTILE = 0.99  # of the past partitions; with 45 figures nearly the maximum


def psi_of_past_blocks(groups: NDArray[np.int64], blocks: NDArray[np.int64], *, n_groups: int) -> NDArray[np.float64]:
    """Return the stability index of each partition in the later half against all earlier partitions.

    Parameters
    ----------
    groups : numpy.ndarray of shape (n_rows,)
        Group of each row, from 0 to ``n_groups - 1``.
    blocks : numpy.ndarray of shape (n_rows,)
        Number of each row's partition, from 0 without gaps, ascending in time.

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
    """Return the stability index that a new partition rarely exceeded in the past.

    Returns
    -------
    float or None
        The 0.99 quantile. With fewer than 40 partitions, the upper end of Student's interval for a new partition, computed
        by comparing each of them with all others. None with fewer than three.
    """
    n_blocks = _n_blocks(blocks)
    if n_blocks < 3:
        return None
    if n_blocks < MANY_BLOCKS:
        return _usual_of_few(groups, blocks, n_groups)
    return float(np.quantile(psi_of_past_blocks(groups, blocks, n_groups=n_groups), QUANTILE))


def rare_psi(groups: NDArray[np.int64], blocks: NDArray[np.int64], *, n_groups: int) -> float | None:
    """Return the stability index that at least two partitions of the past reached, each compared with all others.

    Single days of the past may be far from all others, as rainy ones are in a dry season; a day no farther is no break. The
    second greatest index counts, so that one broken partition in the past excuses nothing.

    Returns
    -------
    float or None
        The second greatest index; None with fewer than 14 partitions.

    Examples
    --------
    >>> days = np.repeat(np.arange(14), 2)
    >>> rain = np.isin(days, [3, 9, 11]).astype(int)
    >>> round(rare_psi(rain, days, n_groups=2), 2)
    2.31
    """
    if _n_blocks(blocks) < MIN_BLOCKS:
        return None
    return float(np.sort(_psi_among_others(groups, blocks, n_groups))[-2])


def _usual_of_few(groups: NDArray[np.int64], blocks: NDArray[np.int64], n_groups: int) -> float:
    """Return the index that about one in thirty new partitions exceeds.

    The maximum of seven figures would be exceeded by one in eight. The index is a sum of squares, whose cube root is nearly
    normal (E. Wilson, M. Hilferty, *The Distribution of Chi-Square*, PNAS 17, 1931).
    """
    n_blocks = _n_blocks(blocks)
    roots = np.cbrt(_psi_among_others(groups, blocks, n_groups))
    reach = student_quantile(n_blocks - 1) * roots.std(ddof=1) * np.sqrt(1 + 1 / n_blocks)
    return float((roots.mean() + reach) ** 3)


def _psi_among_others(groups: NDArray[np.int64], blocks: NDArray[np.int64], n_groups: int) -> NDArray[np.float64]:
    """Return the stability index of each partition against all others."""
    n_blocks = _n_blocks(blocks)
    counts = np.bincount(blocks * n_groups + groups, minlength=n_blocks * n_groups).reshape(n_blocks, n_groups)
    others = counts.sum(axis=0) - counts
    return np.array([population_stability_index(*pair) for pair in zip(others, counts, strict=True)])


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
    """Return the share of rows with a new level that a partition rarely exceeded in the past.

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
