"""The fine bins of a profile merged into a few groups, for figures that are reliable in small partitions.

With 200 bins a day of 900 rows has four rows per bin, and chance would look like drift. Distances therefore use about
ten groups: quantiles of a number, or the frequent levels of a category. Values that the reference never had (numbers
beyond its range, unseen levels) and nulls have separate groups.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["category_groups", "group_counts", "quantile_groups"]

N_GROUPS = 10  # quantile groups of a number: the usual deciles
RARE_SHARE = 0.01  # levels with a smaller share of rows form one group: 9 rows of a day of 900


def quantile_groups(counts: Sequence[int]) -> NDArray[np.int64]:
    """Assign the bins of a number to groups of about a tenth of the reference each.

    Parameters
    ----------
    counts : sequence of int, of shape (n_bins,)
        Rows of the reference; the first bin lies below its minimum and the last above its maximum.

    Returns
    -------
    numpy.ndarray of shape (n_bins + 2,)
        Group of each bin, then of unseen levels (unused for numbers), then of null.

    Examples
    --------
    >>> quantile_groups([0, 50, 40, 2, 8, 0]).tolist()
    [0, 1, 2, 3, 3, 4, 5, 5]
    """
    inner = np.asarray(counts[1:-1], np.float64)
    middles = (np.cumsum(inner) - inner / 2) / max(inner.sum(), 1)
    groups = np.minimum(np.floor(N_GROUPS * middles), N_GROUPS - 1) + 1
    above = [N_GROUPS + 1] if len(counts) > 1 else []
    return _renumbered(np.concatenate([[0], groups, above, [N_GROUPS + 2, N_GROUPS + 2]]))


def category_groups(counts: Sequence[int]) -> NDArray[np.int64]:
    """Assign the levels of a category to groups: one per frequent level, one for all rare levels.

    Parameters
    ----------
    counts : sequence of int, of shape (n_levels + 1,)
        Rows of the reference in each named level, then in all others.

    Returns
    -------
    numpy.ndarray of shape (n_levels + 3,)
        Group of each level, of the others, of unseen levels, and of null.

    Examples
    --------
    >>> category_groups([600, 391, 5, 4]).tolist()
    [0, 1, 2, 2, 3, 4]
    """
    rows = np.asarray(counts, np.float64)
    rare = rows < RARE_SHARE * rows.sum()
    rare[-1] = True
    groups = np.where(rare, rows.size, np.arange(rows.size))
    return _renumbered(np.concatenate([groups, [rows.size + 1, rows.size + 2]]))


def group_counts(groups: NDArray[np.int64], counts: Sequence[int]) -> NDArray[np.int64]:
    """Sum the bin counts of each group.

    Examples
    --------
    >>> group_counts(np.array([0, 1, 1]), [5, 2, 3]).tolist()
    [5, 5]
    """
    return np.bincount(groups, weights=counts).astype(np.int64)


def _renumbered(groups: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the groups from 0 without gaps, in the same order."""
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)
