"""Expected calibration error without the bias of chance.

The plain figure, the mean absolute gap between scores and outcomes over ten bins, cannot be 0: on 140 rows it is 0.08
for perfect scores. Here the gap of a bin counts with the sign that independent rows give it, as if one half of the rows
found the sign and the other half measured the gap, averaged over all ways to halve the bin. Where scores are perfect
the expectation is 0; where the gap is clear it is the plain figure.

References
----------
Bins: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, ICML 2017. Bias: R. Roelofs, N. Cain, J. Shlens, M. Mozer, AISTATS 2022.
"""

import math

import numpy as np
import numpy.typing as npt

from tidemill.metrics.statistic import Floats, Statistic

__all__ = ["N_BINS", "calibration_error"]

N_BINS = 10
"""Bins of equal width."""

_erf = np.frompyfunc(math.erf, 1, 1)


def calibration_error(outcome: Floats, probability: Floats, sample_weight: Floats | None = None) -> Statistic:
    """Return the debiased expected calibration error.

    Parameters
    ----------
    outcome : ndarray of shape (n_samples,)
        0 or 1.
    probability : ndarray of shape (n_samples,)
        Stated probability of 1.
    sample_weight : ndarray of shape (n_samples,), default None
        How often each row counts, above 0; None for once.

    Notes
    -----
    Chance can leave the value slightly below 0. Half of the rows can give a small gap the wrong sign, so the truth lies
    between the debiased figure and the plain one, on average. The interval therefore reaches down from the debiased value
    and up from the middle of the two.

    Examples
    --------
    >>> y, p = np.array([0.0] * 50 + [1.0] * 150), np.array([0.5] * 200)
    >>> round(calibration_error(y, p).value, 3)
    0.25
    """
    bins = np.minimum((probability * N_BINS).astype(np.int64), N_BINS - 1)
    member = np.zeros((len(bins), N_BINS))
    member[np.arange(len(bins)), bins] = 1.0
    often = np.ones(len(bins)) if sample_weight is None else sample_weight
    n_rows = often.sum()
    gap, variance = often * (outcome - probability), often**2 * probability * (1 - probability)
    of_gap, of_variance = member * gap[:, None], member * variance[:, None]

    def values(weights: Floats) -> Floats:
        debiased, _ = _signed(weights @ of_gap, weights @ of_variance)
        return np.asarray(debiased.sum(axis=1) / (weights @ often))

    def influence() -> Floats:
        total, spread = of_gap.sum(axis=0), of_variance.sum(axis=0)
        debiased, slope = _signed(total, spread)
        per_variance = _per_variance(total, spread, debiased, slope)
        per_row = slope[bins] * gap + per_variance[bins] * variance
        return np.asarray((per_row - often * debiased.sum() / n_rows) / n_rows)

    def ends(half: float) -> tuple[float, float]:
        plain = float(np.abs(of_gap.sum(axis=0)).sum() / n_rows)
        debiased = float(values(np.ones((1, len(bins))))[0])
        return debiased - half, (max(debiased, 0.0) + plain) / 2 + half

    return Statistic(values=values, influence=influence, counted=often, ends=ends)


def _signed(total: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Return the expected product of one half's gap and the other half's sign, and its slope in the gap."""
    deviation = np.sqrt(variance)
    z = np.divide(total, deviation, out=np.full_like(total, np.inf), where=deviation > 0)
    density = np.exp(-0.5 * np.minimum(z**2, 700.0)) / math.sqrt(2 * math.pi)
    # Probability that both halves agree on the sign, less the probability that they do not.
    certainty = np.asarray(_erf(np.abs(z) / math.sqrt(2)), dtype=np.float64)
    finite = np.where(np.isfinite(z), z, 0.0)
    return np.abs(total) * certainty - 2 * deviation * density, np.sign(total) * certainty + 4 * finite * density


def _per_variance(total: Floats, variance: Floats, debiased: Floats, slope: Floats) -> Floats:
    """Return the slope of the debiased gap in the variance; the gap is homogeneous in total and deviation."""
    return np.divide(debiased - slope * total, 2 * variance, out=np.zeros_like(total), where=variance > 0)
