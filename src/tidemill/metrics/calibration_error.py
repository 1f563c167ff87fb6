"""Expected calibration error without the bias of chance.

The plain figure, the mean absolute gap between scores and outcomes over ten bins, cannot be 0: on 140 rows it is 0.08
for perfect scores. Here the gap of a bin counts with the sign that independent rows give it, as if one half of the rows
found the sign and the other half measured the gap, averaged over all ways to halve the bin. Where scores are perfect
the expectation is 0; where the gap is clear it is the plain figure.

References
----------
Bins: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, ICML 2017. Bias: R. Roelofs, N. Cain, J. Shlens, M. Mozer, AISTATS 2022.
"""

import bisect
import math

import numpy as np

from tidemill.metrics.statistic import Floats, Statistic

__all__ = ["N_BINS", "calibration_error"]

N_BINS = 10
"""Bins of equal width."""

_PER_UNIT = 1_000_000  # steps in which the ends of an interval are found
_ERRORS = ((0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0), (0.84, 0.94, 1.12, 1.25, 1.28, 1.23, 1.15, 1.04, 1.0))
"""Gap of a bin in its errors, and the error of the debiased gap in those of the plain one."""
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
    Chance can leave the value slightly below 0. Half of the rows can give a small gap the wrong sign, so the expectation is
    below the truth, by a known amount: with gap g and error s of a bin, it is g erf(g / 2s). The interval holds those
    errors whose expectation is as near to the value as its error allows (as Wilson's does for a share), if all gaps were
    the found ones times a factor.

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
        return np.asarray(_signed(weights @ of_gap, weights @ of_variance).sum(axis=1) / (weights @ often))

    total, deviation = of_gap.sum(axis=0), np.sqrt(of_variance.sum(axis=0))

    def influence() -> Floats:
        terms = (np.sign(total) * np.interp(_in_deviations(total, deviation), *_ERRORS))[bins] * gap
        return np.asarray((terms - often * terms.sum() / n_rows) / n_rows)

    def ends(half: float) -> tuple[float, float]:
        value = float(values(np.ones((1, len(bins))))[0])
        low, high = (_error_of(end, np.abs(total) / n_rows, deviation / n_rows) for end in (value - half, value + half))
        return low, high

    return Statistic(values=values, influence=influence, counted=often, ends=ends)


def _signed(total: Floats, variance: Floats) -> Floats:
    """Return the expected product of one half's gap and the other half's sign."""
    deviation = np.sqrt(variance)
    z = _in_deviations(total, deviation)
    density = np.exp(-0.5 * np.minimum(z**2, 700.0)) / math.sqrt(2 * math.pi)
    # Probability that both halves agree on the sign, less the probability that they do not.
    agreement = np.asarray(_erf(z / math.sqrt(2)), dtype=np.float64)
    return np.asarray(np.abs(total) * agreement - 2 * deviation * density)


def _in_deviations(total: Floats, deviation: Floats) -> Floats:
    return np.divide(np.abs(total), deviation, out=np.full_like(total, np.inf), where=deviation > 0)


def _error_of(expected: float, gap: Floats, deviation: Floats) -> float:
    """Return the calibration error whose debiased figure is expected to have this value, 0 to 1.

    The bins have these gaps per row, times a common factor, and these deviations of chance.
    """
    plain = float(gap.sum())
    bins = [(size, 2 * error) for size, error in zip(gap.tolist(), deviation.tolist(), strict=True) if size]

    def expectation(error: int) -> float:
        factor = error / _PER_UNIT / plain
        return factor * math.fsum(size * (math.erf(factor * size / doubt) if doubt else 1.0) for size, doubt in bins)

    return bisect.bisect_left(range(_PER_UNIT if plain else 0), expected, key=expectation) / _PER_UNIT
