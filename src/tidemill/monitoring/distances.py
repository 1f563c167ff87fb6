"""Distances between two samples, from the counts of their rows in the same bins.

Counts are arrays of shape (n_bins,). This module neither bins rows nor applies thresholds.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "chance_psi",
    "chi_square_statistic",
    "expected_psi",
    "jensen_shannon_distance",
    "kolmogorov_smirnov_statistic",
    "population_stability_index",
    "wasserstein_distance",
]

LEAST_SHARE = 1e-4  # a share below one row in 10,000 counts as an almost empty bin


def population_stability_index(reference_counts: ArrayLike, analysis_counts: ArrayLike) -> float:
    r"""Return the population stability index of an analysis sample against a reference.

    :math:`\sum_i (q_i - p_i) \ln(q_i / p_i)` over the shares p of the reference and q of the analysis sample.
    0 means equal shares; by convention 0.1 is worth a look and 0.2 is a shift.

    An empty bin would make the logarithm infinite. Each share is therefore at least half a row of its own sample
    (absence from n rows shows no more), and at least 1e-4, so that the figure hardly depends on the size of large
    samples. Bins that are empty in both samples are left out.

    Returns
    -------
    float
        At least 0; NaN if a sample has no rows.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    S. Lewis, *An Introduction to Credit Scoring*, 1994; B. Yurdakul, J. Naranjo, "Statistical properties of the
    population stability index", Journal of Risk Model Validation 14 (2020).

    Examples
    --------
    >>> round(population_stability_index([500, 500], [250, 750]), 4)
    0.2747
    """
    reference, analysis = _pair(reference_counts, analysis_counts)
    if not reference.sum() or not analysis.sum():
        return math.nan
    used = (reference > 0) | (analysis > 0)
    p, q = _floored_shares(reference)[used], _floored_shares(analysis)[used]
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon_distance(reference_counts: ArrayLike, analysis_counts: ArrayLike, *, base: float = 2.0) -> float:
    """Return the Jensen-Shannon distance between two samples: the root of the divergence.

    Parameters
    ----------
    base : float, default 2
        Base of the logarithm; with 2 the distance lies between 0 (the same shares) and 1 (nothing in common).

    Returns
    -------
    float
        NaN if a sample has no rows.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Equals ``scipy.spatial.distance.jensenshannon``; empty bins need no smoothing.

    Examples
    --------
    >>> jensen_shannon_distance([10, 0], [0, 3])
    1.0
    """
    reference, analysis = _pair(reference_counts, analysis_counts)
    if not reference.sum() or not analysis.sum():
        return math.nan
    p, q = reference / reference.sum(), analysis / analysis.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return math.sqrt(max(divergence, 0.0) / math.log(base))  # rounding can leave -1e-17 for equal shares


def kolmogorov_smirnov_statistic(reference_counts: ArrayLike, analysis_counts: ArrayLike) -> float:
    """Return the greatest distance between two samples' cumulative shares, over bins in ascending order.

    Parameters
    ----------
    reference_counts, analysis_counts : array-like of shape (n_bins,)
        Rows of each sample in the same bins.

    Returns
    -------
    float
        Between 0 and 1; NaN if a sample has no rows.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Equals the statistic of ``scipy.stats.ks_2samp`` on bin numbers; it never exceeds that of the underlying values.

    Examples
    --------
    >>> kolmogorov_smirnov_statistic([1, 1, 0, 0], [0, 0, 1, 3])
    1.0
    """
    below = _cumulated_difference(*_pair(reference_counts, analysis_counts))
    return float(np.abs(below).max()) if below.size else math.nan


def wasserstein_distance(positions: ArrayLike, reference_counts: ArrayLike, analysis_counts: ArrayLike) -> float:
    """Return the first Wasserstein distance: the least mean distance to move one sample's rows to match the other.

    Parameters
    ----------
    positions : array-like of shape (n_bins,)
        Where the rows of each bin lie, ascending.
    reference_counts, analysis_counts : array-like of shape (n_bins,)
        Rows of each sample in the bins.

    Returns
    -------
    float
        In the unit of ``positions``; NaN if a sample has no rows.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Equals ``scipy.stats.wasserstein_distance`` with the counts as weights.

    Examples
    --------
    >>> wasserstein_distance([0.0, 1.0, 3.0], [2, 0, 0], [0, 1, 1])
    2.0
    """
    reference, analysis = _pair(reference_counts, analysis_counts)
    at, _ = _pair(positions, reference)
    below = _cumulated_difference(reference, analysis)
    return float((np.abs(below[:-1]) * np.diff(at)).sum()) if below.size else math.nan


def chi_square_statistic(reference_counts: ArrayLike, analysis_counts: ArrayLike) -> float:
    """Return Pearson's chi-square statistic of the analysis sample against the shares of the reference.

    It grows with the number of rows: divided by it, its root is Cohen's effect size w. Shares of the reference have the
    same floor as in `population_stability_index`. Bins that are empty in both samples are left out.

    Parameters
    ----------
    reference_counts, analysis_counts : array-like of shape (n_bins,)
        Rows of each sample in the same bins.

    Returns
    -------
    float
        At least 0; NaN if a sample has no rows.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    The statistic of ``scipy.stats.chisquare`` where no share of the reference is below the floor.

    Examples
    --------
    >>> chi_square_statistic([500, 500], [40, 60])
    4.0
    """
    reference, analysis = _pair(reference_counts, analysis_counts)
    if not reference.sum() or not analysis.sum():
        return math.nan
    used = (reference > 0) | (analysis > 0)
    expected = analysis.sum() * _floored_shares(reference)[used]
    return float(((analysis[used] - expected) ** 2 / expected).sum())


def expected_psi(n_bins: int, n_reference: int, n_analysis: int) -> float:
    """Return the expected stability index of two samples of one distribution.

    It is (n_bins - 1) (1/n_reference + 1/n_analysis): the index of equal distributions, divided by the bracket,
    follows a chi-square distribution with n_bins - 1 degrees of freedom (Yurdakul and Naranjo, 2020).

    Examples
    --------
    >>> round(expected_psi(10, 90_000, 900), 4)
    0.0101
    """
    return max(n_bins - 1, 0) * _bracket(n_reference, n_analysis)


def chance_psi(n_bins: int, n_reference: int, n_analysis: int, *, probability: float = 0.999) -> float:
    """Return the quantile of the stability index of two samples of one distribution.

    The chi-square quantile is Wilson and Hilferty's, within 1 % for two or more degrees of freedom.

    Examples
    --------
    >>> round(chance_psi(10, 90_000, 900), 3)
    0.031
    """
    freedom = n_bins - 1
    if freedom < 1:
        return 0.0
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + NormalDist().inv_cdf(probability) * math.sqrt(spread)) ** 3
    return quantile * _bracket(n_reference, n_analysis)


def _bracket(n_reference: int, n_analysis: int) -> float:
    return 1 / n_reference + 1 / n_analysis if n_reference and n_analysis else math.nan


def _pair(reference: ArrayLike, analysis: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(reference, np.float64), np.asarray(analysis, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"reference has shape {first.shape}, analysis {second.shape}: count both into the same bins")
    return first, second


def _cumulated_difference(reference: NDArray[np.float64], analysis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the difference of the cumulative shares up to each bin; empty if a sample has no rows."""
    if not reference.sum() or not analysis.sum():
        return np.empty(0)
    below: NDArray[np.float64] = np.cumsum(analysis) / analysis.sum() - np.cumsum(reference) / reference.sum()
    return below


def _floored_shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    n = float(counts.sum())
    floored: NDArray[np.float64] = np.maximum(counts / n, max(LEAST_SHARE, 0.5 / n))  # half a row
    return floored


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    used = p > 0
    return float((p[used] * np.log(p[used] / q[used])).sum())
