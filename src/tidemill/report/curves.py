"""The arithmetic behind the charts: curves, intervals and bins, using only numpy.

Results are plain lists and numbers for use as chart data. This module must not import Altair.
"""

import numpy as np
from numpy.typing import NDArray

from tidemill.metrics.statistic import area

__all__ = ["reliability_bins", "roc_points", "wilson_interval"]

_Z = 1.959964  # standard normal quantile of a two-sided 95 % interval
_ROC_POINTS = 300  # maximum points of a curve: finer than a pixel at this size


def roc_points(y_true: NDArray[np.bool_], y_score: NDArray[np.float64]) -> tuple[list[float], list[float], float]:
    """Return a ROC curve, thinned to visible points, and the exact area under it.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,)
        True for the positive class; both classes occur.
    y_score : ndarray of shape (n_samples,)
        Finite scores; equal scores form one step.

    Returns
    -------
    (list of float, list of float, float)
        False positive rates, true positive rates, area.

    Examples
    --------
    >>> roc_points(np.array([False, True]), np.array([0.1, 0.9]))
    ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0], 1.0)
    """
    order = np.argsort(-y_score, kind="stable")
    y, score = y_true[order], y_score[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(score)), y.size - 1)
    found = np.concatenate([[0.0], np.cumsum(y)[last_of_ties] / y.sum()])
    false = np.concatenate([[0.0], np.cumsum(~y)[last_of_ties] / (~y).sum()])
    kept = np.unique(np.linspace(0, false.size - 1, min(false.size, _ROC_POINTS)).astype(int))
    return false[kept].round(5).tolist(), found[kept].round(5).tolist(), area(y_true.astype(np.float64), y_score).value


def wilson_interval(n_positive: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(20, 100)]
    [0.133, 0.289]
    >>> wilson_interval(0, 0)
    (0.0, 1.0)
    """
    if n == 0:
        return 0.0, 1.0
    share = n_positive / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * float(np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)))
    return max(0.0, centre - half), min(1.0, centre + half)


def reliability_bins(
    y_true: NDArray[np.bool_], y_score: NDArray[np.float64], n_bins: int
) -> list[dict[str, float | int]]:
    """Return predicted and observed shares in score bins of equal width, without empty bins.

    Examples
    --------
    >>> [b["mean"] for b in reliability_bins(np.array([False, True]), np.array([0.25, 0.75]), 2)]
    [0.25, 0.75]
    """
    index = np.clip((y_score * n_bins).astype(int), 0, n_bins - 1)
    bins: list[dict[str, float | int]] = []
    for k in np.unique(index):
        member = index == k
        n, n_positive = int(member.sum()), int(y_true[member].sum())
        low, high = wilson_interval(n_positive, n)
        bins.append(
            {
                "left": k / n_bins,
                "right": (k + 1) / n_bins,
                "centre": (k + 0.5) / n_bins,
                "n": n,
                "mean": float(y_score[member].mean()),
                "y": n_positive / n,
                "low": low,
                "high": high,
            }
        )
    return bins
