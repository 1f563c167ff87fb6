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


def calibration_error(outcome: Floats, probability: Floats) -> Statistic:
    """Return the debiased expected calibration error.

    Parameters
    ----------
    outcome : ndarray of shape (n_samples,)
        0 or 1.
    probability : ndarray of shape (n_samples,)
        Stated probability of 1.

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
    gap, variance = outcome - probability, probability * (1 - probability)
    of_gap, of_variance = member * gap[:, None], member * variance[:, None]

    def values(weights: Floats) -> Floats:
        return np.asarray(_debiased(weights @ of_gap, weights @ of_variance).sum(axis=1) / weights.sum(axis=1))

    def influence() -> Floats:
        total, spread = of_gap.sum(axis=0), of_variance.sum(axis=0)
        slope, per_variance = _slopes(total, spread)
        per_row = slope[bins] * gap + per_variance[bins] * variance
        return np.asarray((per_row - per_row.mean()) / len(bins))

    def ends(half: float) -> tuple[float, float]:
        plain = float(np.abs(of_gap.sum(axis=0)).sum() / len(bins))
        debiased = float(values(np.ones((1, len(bins))))[0])
        return debiased - half, (max(debiased, 0.0) + plain) / 2 + half

    return Statistic(values=values, influence=influence, counted=np.ones(len(bins), dtype=bool), ends=ends)


def _debiased(total: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> Floats:
    """Return the expected product of one half's gap and the other half's sign."""
    deviation = np.sqrt(variance)
    z = _standardised(total, deviation)
    density = np.exp(-0.5 * np.minimum(z**2, 700.0)) / math.sqrt(2 * math.pi)
    return np.asarray(np.abs(total) * _certainty(z / math.sqrt(2)) - 2 * deviation * density)


def _slopes(total: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return the slopes, in the gap and in its variance, of what the debiased gap is on average if ``total`` is the truth.

    The debiased gap itself bends where the gap is near 0, and its own slopes would overstate its variance by a half.
    """
    z = _standardised(total, np.sqrt(variance))
    certainty = _certainty(z / 2)
    finite = np.where(np.isfinite(z), z, 0.0)
    bend = finite * np.exp(-0.25 * np.minimum(finite**2, 1400.0)) / math.sqrt(math.pi)
    in_gap = np.sign(total) * certainty + bend
    rest = np.abs(total) * certainty - in_gap * total  # the expectation is homogeneous in gap and deviation
    return in_gap, np.divide(rest, 2 * variance, out=np.zeros_like(total), where=variance > 0)


def _standardised(total: Floats, deviation: Floats) -> Floats:
    return np.divide(total, deviation, out=np.full_like(total, np.inf), where=deviation > 0)


def _certainty(x: Floats) -> Floats:
    return np.asarray(_erf(np.abs(x)), dtype=np.float64)
