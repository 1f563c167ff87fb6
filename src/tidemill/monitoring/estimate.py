"""Estimated quality of a partition's scores before any label arrives.

Calibrated scores are the probabilities of the outcomes, from which the expected confusion matrix, ranking and loss
follow (confidence-based performance estimation, CBPE). This is valid while the outcome given the score is distributed
as at calibration: the estimate reflects a shift of the features, but no change of the world. The interval covers only
the chance of the labels and the error of the calibration.

The quality of a regression is not estimated: its errors depend on features that the prediction does not show.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidemill.metrics.rows import EPS
from tidemill.monitoring.calibration import log_odds, share_of
from tidemill.records import MetricValue

__all__ = ["PREFIX", "calibrated", "estimate_binary", "estimate_multiclass"]

PREFIX = "estimated_"
"""Prefix to the name of the realised metric."""

_MANY = 30  # minimum rows for an interval; the area under the curve of one row has none
_N_DRAWS = 1_000  # of calibration and labels: the interval misses 5 % of the time, give or take 0.7 %
_N_MEANS = 400  # of calibrations of several classes, each of which takes a pass over the rows
_N_GROUPS = 1_000  # of scores for which labels are drawn; other rows share the nearest group
_LEAST_COUNT = 1e-9  # expected rows below which a ratio is undefined

Floats = NDArray[np.float64]


def calibrated(y_score: ArrayLike, knots: tuple[ArrayLike, ArrayLike]) -> Floats:
    """Return the probabilities of scores by linear interpolation.

    Parameters
    ----------
    y_score : array-like of shape (n_samples,)
        Scores of the model.
    knots : tuple of array-like
        Ascending scores and the probability at each; outside them that of the nearest knot.

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


def estimate_binary(
    y_score: ArrayLike,
    probability: ArrayLike,
    *,
    threshold: float = 0.5,
    deviations: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    random_state: int = 0,
) -> tuple[MetricValue, ...]:
    """Estimate the quality of a binary model's scores.

    Parameters
    ----------
    y_score : array-like of shape (n_samples,)
        Published scores, which rank the rows and are compared with the threshold.
    probability : array-like of shape (n_samples,)
        Calibrated probability of the positive class, 0 to 1.
    threshold : float, default 0.5
        Score from which a row counts as positive.
    deviations : array-like of shape (n_directions, n_samples), optional
        Error of the calibration in log odds per standard deviation, from `CalibrationCurve.deviations`; by default the
        probabilities are taken as exact.
    sample_weight : array-like of shape (n_samples,), optional
        How often each row counts, above 0. A row has one label, however often it counts.
    random_state : int, default 0
        Seed of the draws that the interval rests on.

    Returns
    -------
    tuple of MetricValue
        ``estimated_roc_auc``, ``accuracy``, ``precision``, ``recall``, ``f1``, ``log_loss``, ``brier_score`` and
        ``base_rate``, each with that prefix and, from 30 rows on, the 95 % interval within which the realised figure
        falls if the world has not changed. NaN where a metric is undefined.

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
    often = _often(sample_weight, p.size)
    decided = (score >= threshold).astype(np.float64)
    clipped = np.clip(score, EPS, 1 - EPS)
    figures = {
        "roc_auc": _ranking(score, p, often),
        "accuracy": _mean(np.where(decided == 1, p, 1 - p), often),
        "precision": _ratio(often * decided * p, often * decided),
        "recall": _ratio(often * decided * p, often * p),
        "f1": _ratio(2 * often * decided * p, often * (decided + p)),
        "log_loss": _mean(-(p * np.log(clipped) + (1 - p) * np.log1p(-clipped)), often),
        "brier_score": _mean(p * (1 - score) ** 2 + (1 - p) * score**2, often),
        "base_rate": _mean(p, often),
    }
    if p.size < _MANY:
        return tuple(_metric(name, value, None, p.size) for name, value in figures.items())
    error = np.zeros((0, p.size)) if deviations is None else np.asarray(deviations, np.float64)
    groups = _grouped(score, p, decided, error, often)
    drawn = _drawn(groups, np.random.default_rng(random_state))
    return tuple(_metric(name, value, drawn[name], p.size) for name, value in figures.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    """Groups of rows with nearly equal scores, ascending, for which labels are drawn."""

    n: NDArray[np.int64]
    """Independent labels of each group: its rows, or fewer if some count more than others."""
    weight: Floats
    """How often the rows of each group count together."""
    score: Floats
    """Mean score."""
    odds: Floats
    """Log odds of each group's mean probability."""
    error: Floats
    """Mean deviations, of shape (n_directions, n_groups)."""
    decided: Floats
    """1 for groups predicted as positive; no group is mixed."""
    loss_positive: Floats
    """Mean log loss per row if the label is positive."""
    loss_negative: Floats
    """Mean log loss per row if the label is negative."""


def _grouped(score: Floats, p: Floats, decided: Floats, error: Floats, often: Floats) -> _Groups:
    """Group rows of equal scores, or of neighbouring scores if there are too many."""
    levels, index = np.unique(score, return_inverse=True)
    if levels.size > _N_GROUPS:
        order = np.argsort(score, kind="stable")
        index = np.empty(score.size, np.int64)
        index[order] = np.arange(score.size) * _N_GROUPS // score.size
        index = np.unique(2 * index + decided.astype(np.int64), return_inverse=True)[1]
    weight = np.asarray(np.bincount(index, weights=often), np.float64)
    clipped = np.clip(score, EPS, 1 - EPS)

    def average(values: Floats) -> Floats:
        return np.asarray(np.bincount(index, weights=often * values) / weight, np.float64)

    return _Groups(
        n=np.rint(weight**2 / np.bincount(index, weights=often**2)).astype(np.int64),  # L. Kish, Survey Sampling, 1965
        weight=weight,
        score=average(score),
        odds=log_odds(np.clip(average(p), EPS, 1 - 1e-15)),
        error=np.array([average(one) for one in error]).reshape(len(error), weight.size),
        decided=average(decided),
        loss_positive=average(-np.log(clipped)),
        loss_negative=average(-np.log1p(-clipped)),
    )


def _drawn(groups: _Groups, rng: np.random.Generator) -> dict[str, Floats]:
    """Return each metric for drawn labels, whose probabilities are drawn from the curve's error distribution."""
    off = rng.standard_normal((_N_DRAWS, len(groups.error))) @ groups.error
    positive = rng.binomial(groups.n, share_of(groups.odds + off)) * (groups.weight / groups.n)
    negative = groups.weight - positive
    n, n_positive, n_negative = groups.weight.sum(), positive.sum(axis=1), negative.sum(axis=1)
    n_decided, right = groups.decided @ groups.weight, positive @ groups.decided
    below = np.cumsum(negative, axis=1) - negative / 2
    spread = groups.score**2
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw without positives has no recall; it is left out below
        return {
            "roc_auc": (positive * below).sum(axis=1) / (n_positive * n_negative),
            "accuracy": (right + negative @ (1 - groups.decided)) / n,
            "precision": right / n_decided,
            "recall": right / n_positive,
            "f1": 2 * right / (n_decided + n_positive),
            "log_loss": (positive @ groups.loss_positive + negative @ groups.loss_negative) / n,
            "brier_score": (positive @ (1 - groups.score) ** 2 + negative @ spread) / n,
            "base_rate": n_positive / n,
        }


def estimate_multiclass(
    y_score: ArrayLike,
    probability: ArrayLike,
    *,
    deviations: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    random_state: int = 0,
) -> tuple[MetricValue, ...]:
    """Estimate the quality of a multiclass model's scores.

    Parameters
    ----------
    y_score : array-like of shape (n_samples, n_classes)
        Published scores; the highest decides.
    probability : array-like of shape (n_samples, n_classes)
        Calibrated probability of each class; rows add up to 1.
    deviations : array-like of shape (n_directions, n_samples, n_classes), optional
        Error of the calibration in log odds per standard deviation, separate for each class.
    sample_weight : array-like of shape (n_samples,), optional
        How often each row counts, above 0.
    random_state : int, default 0
        Seed of the draws that the interval rests on.

    Returns
    -------
    tuple of MetricValue
        ``estimated_accuracy``, ``estimated_log_loss``, ``estimated_macro_f1`` and ``estimated_roc_auc_ovr``, the first
        two with an interval from 30 rows on.

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
        names = ("accuracy", "log_loss", "macro_f1", "roc_auc_ovr")
        return tuple(_metric(name, math.nan, None, 0) for name in names)
    often, decided = _often(sample_weight, len(p)), score.argmax(axis=1)
    loss = -np.log(np.clip(score, EPS, 1.0))
    chosen = np.eye(p.shape[1])[decided]
    f1 = [_ratio(2 * often * c * q, often * (c + q)) for c, q in zip(chosen.T, p.T, strict=True)]
    auc = [_ranking(s, q, often) for s, q in zip(score.T, p.T, strict=True)]
    gains = {"accuracy": chosen, "log_loss": loss}
    rng = np.random.default_rng(random_state)
    drawn = _drawn_means(p, gains, deviations, rng, often) if len(p) >= _MANY else {}
    means = {name: _mean((p * gain).sum(axis=1), often) for name, gain in gains.items()}
    return (
        *(_metric(name, value, drawn.get(name), len(p)) for name, value in means.items()),
        _metric("macro_f1", float(np.mean(f1)), None, len(p)),
        _metric("roc_auc_ovr", float(np.mean(auc)), None, len(p)),
    )


def _drawn_means(
    p: Floats, gains: Mapping[str, Floats], deviations: ArrayLike | None, rng: np.random.Generator, often: Floats
) -> dict[str, Floats]:
    """Return means of each row's gain by label, for drawn calibrations; label noise is nearly normal."""
    error = np.zeros((0, *p.shape)) if deviations is None else np.asarray(deviations, np.float64)
    odds = log_odds(np.clip(p, EPS, 1 - 1e-15))
    drawn: dict[str, list[float]] = {name: [] for name in gains}
    for _ in range(_N_MEANS):
        off = (rng.standard_normal((len(error), 1, p.shape[1])) * error).sum(axis=0)
        q = share_of(odds + off) if len(error) else p
        q = q / q.sum(axis=1, keepdims=True)
        for name, gain in gains.items():
            expected = (q * gain).sum(axis=1)
            variance = often**2 @ ((q * gain**2).sum(axis=1) - expected**2).clip(0) / often.sum() ** 2
            drawn[name].append(float(rng.normal(_mean(expected, often), math.sqrt(variance))))
    return {name: np.array(values) for name, values in drawn.items()}


def _checked(y_score: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    score, p = np.asarray(y_score, np.float64), np.asarray(probability, np.float64)
    if score.shape != p.shape:
        raise ValueError(f"scores of shape {score.shape}, probabilities of shape {p.shape}: they must be alike")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a probability lies outside 0 to 1")
    return score, p


def _often(sample_weight: ArrayLike | None, n_samples: int) -> Floats:
    return np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, np.float64)


def _ranking(score: Floats, p: Floats, often: Floats) -> float:
    """Return the expected area under the curve: correctly ordered pairs of rows that belong to both classes in part.

    As in a curve through expected counts, equal scores are ties, and a row is also compared with itself.
    """
    positive, negative = often @ p, often @ (1 - p)
    if min(positive, negative) < _LEAST_COUNT:
        return math.nan
    levels, index = np.unique(score, return_inverse=True)
    of_positive = np.bincount(index, weights=often * p, minlength=levels.size)
    of_negative = np.bincount(index, weights=often * (1 - p), minlength=levels.size)
    below = np.cumsum(of_negative) - of_negative / 2  # negatives that a positive of this level outranks
    return float((of_positive * below).sum() / (positive * negative))


def _mean(expected: Floats, often: Floats) -> float:
    return float(np.average(expected, weights=often)) if expected.size else math.nan


def _ratio(part: Floats, whole: Floats) -> float:
    total = float(whole.sum())
    return float(part.sum()) / total if total >= _LEAST_COUNT else math.nan


def _metric(name: str, value: float, drawn: Floats | None, n: int) -> MetricValue:
    known = np.empty(0) if drawn is None or math.isnan(value) else drawn[np.isfinite(drawn)]
    low, high = _middle_95(known) if known.size else (None, None)
    return MetricValue(
        name=f"{PREFIX}{name}",
        value=value,
        low=None if low is None else min(low, value),
        high=None if high is None else max(high, value),
        n=n,
    )


def _middle_95(drawn: Floats) -> tuple[float, float]:
    """Return the 0.025 and the 0.975 quantile, between the values of a count: of equal draws, half are below.

    Source: Y. Ma, M. Genton, E. Parzen, *Annals of the Institute of Statistical Mathematics* 63 (2011).
    """
    values, n = np.unique(drawn, return_counts=True)
    low, high = np.interp((0.025, 0.975), (np.cumsum(n) - (n - 1) / 2) / (drawn.size + 1), values).tolist()
    return low, high
