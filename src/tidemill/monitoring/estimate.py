"""Estimated quality: what a partition's scores are worth before a single label has arrived.

If the scores are calibrated, each row says how probable each outcome is, and with that the expected confusion matrix,
ranking and loss follow (confidence-based performance estimation, CBPE). It holds as long as the outcome given the
features stays as it was when the scores were calibrated: a shift of the features is seen, a change of the world is not.
The interval is that of the labels' chance alone, and says nothing about a change of the world either.

Calibration itself is fitted with the acceptance evidence; here it is a table to look up.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidemill.records import MetricValue

__all__ = ["PREFIX", "calibrated", "estimate_binary", "estimate_multiclass", "estimate_regression"]

PREFIX = "estimated_"
"""Before the name of the realised metric that is estimated."""

_NORMAL = 1.96  # 0.975 quantile: the sum of many independent labels is close to normal
_MANY = 30  # rows from which it is; of one row's area under the curve the interval would be a point
_LEAST_COUNT = 1e-9  # expected rows below which there is nothing to divide by
_LEAST_PROBABILITY = 1e-15  # as in the realised log loss

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Expected:
    """A figure's expectation, and what each row's label would change about it."""

    value: float
    influence: Floats


def calibrated(y_score: ArrayLike, knots: tuple[ArrayLike, ArrayLike]) -> Floats:
    """Look probabilities up for scores.

    Parameters
    ----------
    y_score : array-like of shape (n_samples,)
        Scores of the model.
    knots : tuple of array-like
        Scores, ascending, and the probability at each; between them it is a straight line, outside the nearest counts.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        Between 0 and 1.

    Examples
    --------
    >>> calibrated([0.0, 0.25, 1.0], ([0.0, 0.5], [0.1, 0.3])).round(2).tolist()
    [0.1, 0.2, 0.3]
    """
    at, probability = np.asarray(knots[0], np.float64), np.asarray(knots[1], np.float64)
    return np.interp(np.asarray(y_score, np.float64), at, probability)


def estimate_binary(y_score: ArrayLike, probability: ArrayLike, *, threshold: float = 0.5) -> tuple[MetricValue, ...]:
    """Estimate what the scores of a binary model are worth.

    Parameters
    ----------
    y_score : array-like of shape (n_samples,)
        Scores as published; they rank the rows and decide by the threshold.
    probability : array-like of shape (n_samples,)
        Calibrated probability of the positive class, 0 to 1.
    threshold : float, default 0.5
        Score from which a row counts as positive.

    Returns
    -------
    tuple of MetricValue
        ``estimated_roc_auc``, ``accuracy``, ``precision``, ``recall``, ``f1``, ``log_loss``, ``brier_score`` and
        ``base_rate``, each with that prefix and the 95 % interval within which the realised figure falls if the
        calibration holds, from 30 rows on. NaN where there is nothing to divide by.

    Raises
    ------
    ValueError
        If the lengths differ, or a probability is not between 0 and 1.

    References
    ----------
    J. Bialek, W. Kuberski, N. Perrakis, A. Bifet, *Estimating Model Performance Under Covariate Shift Without Labels*
    (2024), section 3.

    Examples
    --------
    >>> auc, *_ = estimate_binary([0.9, 0.8, 0.2, 0.1], [1.0, 1.0, 0.0, 0.0])
    >>> auc.name, auc.value
    ('estimated_roc_auc', 1.0)
    """
    score, p = _checked(y_score, probability)
    decided = (score >= threshold).astype(np.float64)
    right = decided * p
    clipped = np.clip(score, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    figures = {
        "roc_auc": _ranking(score, p),
        "accuracy": _mean(np.where(decided == 1, p, 1 - p), 2 * decided - 1),
        "precision": _ratio(right, decided, decided, np.zeros_like(p)),
        "recall": _ratio(right, p, decided, np.ones_like(p)),
        "f1": _ratio(2 * right, decided + p, 2 * decided, np.ones_like(p)),
        "log_loss": _mean(-(p * np.log(clipped) + (1 - p) * np.log1p(-clipped)), np.log1p(-clipped) - np.log(clipped)),
        "brier_score": _mean(p * (1 - score) ** 2 + (1 - p) * score**2, (1 - score) ** 2 - score**2),
        "base_rate": _mean(p, np.ones_like(p)),
    }
    return _metrics(figures, lambda influence: float((p * (1 - p) * influence**2).sum()), p.size)


def estimate_multiclass(y_score: ArrayLike, probability: ArrayLike) -> tuple[MetricValue, ...]:
    """Estimate what the scores of a multiclass model are worth.

    Parameters
    ----------
    y_score : array-like of shape (n_samples, n_classes)
        Scores as published; the highest decides.
    probability : array-like of shape (n_samples, n_classes)
        Calibrated probability of each class; rows add up to 1.

    Returns
    -------
    tuple of MetricValue
        ``estimated_accuracy``, ``estimated_log_loss``, ``estimated_macro_f1`` and ``estimated_roc_auc_ovr``, the first
        two with an interval.

    Raises
    ------
    ValueError
        If the shapes differ, or a probability is not between 0 and 1.

    Examples
    --------
    >>> accuracy, *_ = estimate_multiclass([[0.7, 0.2, 0.1]], [[0.6, 0.3, 0.1]])
    >>> accuracy.value
    0.6
    """
    score, p = _checked(y_score, probability)
    if not p.size:
        return _metrics(dict.fromkeys(("accuracy", "log_loss", "macro_f1", "roc_auc_ovr"), _unknown(0)), _no_spread, 0)
    decided = score.argmax(axis=1)
    loss = -np.log(np.clip(score, _LEAST_PROBABILITY, 1.0))
    hit = p[np.arange(len(p)), decided]
    spread = {"accuracy": hit * (1 - hit), "log_loss": (p * loss**2).sum(axis=1) - (p * loss).sum(axis=1) ** 2}
    means = {"accuracy": hit, "log_loss": (p * loss).sum(axis=1)}
    with_interval = tuple(
        _metric(name, float(means[name].mean()), float(np.sqrt(spread[name].sum()) / len(p)), len(p))
        for name in ("accuracy", "log_loss")
    )
    chosen = np.eye(p.shape[1])[decided]
    f1 = [_ratio(2 * c * q, c + q, 2 * c, np.ones_like(q)).value for c, q in zip(chosen.T, p.T, strict=True)]
    auc = [_ranking(s, q).value for s, q in zip(score.T, p.T, strict=True)]
    return (
        *with_interval,
        _metric("macro_f1", float(np.mean(f1)), None, len(p)),
        _metric("roc_auc_ovr", float(np.mean(auc)), None, len(p)),
    )


def estimate_regression(absolute_error: ArrayLike, squared_error: ArrayLike) -> tuple[MetricValue, ...]:
    """Estimate what the predictions of a regression are worth, from the errors that are expected of each row.

    Parameters
    ----------
    absolute_error, squared_error : array-like of shape (n_samples,)
        Expected of each row by a model of the errors (direct loss estimation), from 0.

    Returns
    -------
    tuple of MetricValue
        ``estimated_mean_absolute_error`` and ``estimated_root_mean_squared_error``; the first with an interval, since
        the two say how far a row's error scatters about its mean.

    Examples
    --------
    >>> mae, rmse = estimate_regression([1.0, 3.0], [2.0, 14.0])
    >>> mae.value, round(rmse.value, 3)
    (2.0, 2.828)
    """
    first, second = np.asarray(absolute_error, np.float64), np.asarray(squared_error, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} absolute and {second.shape} squared errors: give one of each a row")
    if not first.size:
        return tuple(_metric(name, math.nan, None, 0) for name in ("mean_absolute_error", "root_mean_squared_error"))
    scatter = np.clip(second - first**2, 0.0, None)
    return (
        _metric("mean_absolute_error", float(first.mean()), float(np.sqrt(scatter.sum()) / first.size), first.size),
        _metric("root_mean_squared_error", float(np.sqrt(second.mean())), None, first.size),
    )


def _checked(y_score: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    score, p = np.asarray(y_score, np.float64), np.asarray(probability, np.float64)
    if score.shape != p.shape:
        raise ValueError(f"scores of shape {score.shape}, probabilities of shape {p.shape}: they must be alike")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a probability lies outside 0 to 1")
    return score, p


def _ranking(score: Floats, p: Floats) -> _Expected:
    """Return the expected area under the curve: pairs in the right order, each row being both classes in part.

    As in the curve drawn through expected counts, a row is compared with itself too, as a tie, and so are equal scores.
    """
    positive, negative = p.sum(), (1 - p).sum()
    if min(positive, negative) < _LEAST_COUNT:
        return _unknown(p.size)
    levels, index = np.unique(score, return_inverse=True)
    of_positive = np.bincount(index, weights=p, minlength=levels.size)
    of_negative = np.bincount(index, weights=1 - p, minlength=levels.size)
    below = np.cumsum(of_negative) - of_negative / 2  # negatives that a positive of this level is ahead of
    above = positive - np.cumsum(of_positive) + of_positive / 2  # positives that are ahead of a negative of this level
    pairs = positive * negative
    value = float((of_positive * below).sum() / pairs)
    influence = (below - above)[index] / pairs - value * (negative - positive) / pairs
    return _Expected(value, influence)


def _mean(expected: Floats, change: Floats) -> _Expected:
    if not expected.size:
        return _unknown(0)
    return _Expected(float(expected.mean()), change / expected.size)


def _ratio(part: Floats, whole: Floats, part_change: Floats, whole_change: Floats) -> _Expected:
    """Return the ratio of two expected sums; a label's influence is the ratio's linearisation."""
    total = float(whole.sum())
    if total < _LEAST_COUNT:
        return _unknown(part.size)
    value = float(part.sum()) / total
    return _Expected(value, (part_change - value * whole_change) / total)


def _unknown(n: int) -> _Expected:
    return _Expected(math.nan, np.zeros(n))


def _no_spread(influence: Floats) -> float:
    return 0.0


def _metrics(figures: Mapping[str, _Expected], variance: Callable[[Floats], float], n: int) -> tuple[MetricValue, ...]:
    return tuple(
        _metric(name, figure.value, math.sqrt(variance(figure.influence)), n) for name, figure in figures.items()
    )


def _metric(name: str, value: float, deviation: float | None, n: int) -> MetricValue:
    unknown = deviation is None or math.isnan(value) or n < _MANY
    top = math.inf if name in ("log_loss", "mean_absolute_error") else 1.0
    return MetricValue(
        name=f"{PREFIX}{name}",
        value=value,
        low=None if unknown or deviation is None else max(value - _NORMAL * deviation, 0.0),
        high=None if unknown or deviation is None else min(value + _NORMAL * deviation, top),
        n=n,
    )
