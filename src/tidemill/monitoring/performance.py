"""Realised quality: what a partition's scores were worth, once its labels have arrived.

Intervals come from each row's influence on the figure (DeLong's for the area under the curve), summed within blocks
where rows of a block resemble each other; no resampling, so that a partition costs milliseconds. Binary models only,
for now. The evidence at acceptance is ``modeling``'s work, and this room does not import it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidemill.monitoring.student import student_quantile
from tidemill.records import MetricValue

__all__ = ["realised_quality"]

LEAST_PROBABILITY = 1e-15  # a certain and wrong score costs 34.5 in log loss, and not infinity
BOUNDS = {"log_loss": (0.0, math.inf), "calibration_gap": (-1.0, 1.0)}  # all others lie between 0 and 1


@dataclass(frozen=True, slots=True)
class _Figure:
    """A statistic and each row's influence on it; the influences add up to 0."""

    value: float
    influence: NDArray[np.float64]


def realised_quality(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    label_coverage: float,
    threshold: float = 0.5,
    blocks: ArrayLike | None = None,
) -> tuple[MetricValue, ...]:
    """Measure the scores of rows whose labels are known.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_samples,)
        Probability of the positive class, 0 to 1.
    label_coverage : float
        Share of the scored rows whose label is known, 0 to 1; every figure carries it.
    threshold : float, default 0.5
        Score from which a row counts as positive.
    blocks : array-like of shape (n_samples,), default None
        Partition, or another group of rows that resemble each other. Intervals then allow for it. None takes the rows
        as independent, which is all that a single partition can tell.

    Returns
    -------
    tuple of MetricValue
        Up is good in ``roc_auc`` and ``average_precision`` (NaN if a class is missing), ``accuracy``, ``precision``,
        ``recall`` and ``f1`` (NaN without a row to divide by); down is good in ``log_loss`` and ``brier_score``; then
        ``base_rate``, ``mean_score``, ``calibration_gap`` (mean score minus base rate; 0 is good) and
        ``label_coverage``. Each but ``average_precision`` and the last with a 95 % interval where the rows allow one.
        Without rows, or with a score that is NaN, they are NaN.

    Raises
    ------
    ValueError
        If the lengths differ, or a label is neither 0 nor 1.

    Notes
    -----
    The area under the curve of one day is lower, as a rule, than that of many days together, since it gains nothing
    from telling good days from bad. Compare days with days.

    References
    ----------
    E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988); with blocks: N. Obuchowski, Biometrics 53 (1997).

    Examples
    --------
    >>> auc, *_ = realised_quality([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8], label_coverage=1.0)
    >>> auc.name, auc.value
    ('roc_auc', 0.75)
    """
    truth, score, members = _checked(y_true, y_score, blocks)
    figures = {
        "roc_auc": _roc_auc(truth, score),
        "average_precision": _average_precision(truth, score),
        **_probability_figures(truth, score),
        **_decision_figures(truth, np.where(np.isnan(score), np.nan, score >= threshold)),
    }
    return (
        *(_metric(name, figure, members, label_coverage) for name, figure in figures.items()),
        MetricValue(name="label_coverage", value=label_coverage, n=truth.size, label_coverage=label_coverage),
    )


def _checked(
    y_true: ArrayLike, y_score: ArrayLike, blocks: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    truth, score = np.asarray(y_true, np.float64), np.asarray(y_score, np.float64)
    members = np.arange(truth.size) if blocks is None else np.unique(np.asarray(blocks), return_inverse=True)[1]
    if not truth.size == score.size == members.size:
        raise ValueError(f"{truth.size} labels, {score.size} scores and {members.size} blocks: give one of each a row")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("y_true holds values other than 0 and 1: leave out rows without a label, and count them")
    return truth, score, members.astype(np.int64)


def _probability_figures(truth: NDArray[np.float64], score: NDArray[np.float64]) -> dict[str, _Figure]:
    clipped = np.clip(score, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return {
        "log_loss": _mean(-np.where(truth == 1, np.log(clipped), np.log1p(-clipped))),
        "brier_score": _mean((score - truth) ** 2),
        "base_rate": _mean(truth),
        "mean_score": _mean(score),
        "calibration_gap": _mean(score - truth),
    }


def _decision_figures(truth: NDArray[np.float64], positive: NDArray[np.float64]) -> dict[str, _Figure]:
    right = positive * truth
    return {
        "accuracy": _mean(np.where(np.isnan(positive), np.nan, positive == truth)),
        "precision": _ratio(right, positive),
        "recall": _ratio(right, truth),
        "f1": _ratio(2 * right, positive + truth),
    }


def _mean(values: NDArray[np.float64]) -> _Figure:
    return _ratio(values, np.ones(values.size))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> _Figure:
    """Give the ratio of two sums; the influences are its linearisation."""
    total = float(whole.sum())
    if not total or math.isnan(total):
        return _Figure(math.nan, np.zeros(part.size))
    value = float(part.sum()) / total
    return _Figure(value, (part - value * whole) / total)


def _roc_auc(truth: NDArray[np.float64], score: NDArray[np.float64]) -> _Figure:
    """Give the area under the curve, with DeLong's components as influences."""
    positive = truth == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative or np.isnan(score).any():
        return _Figure(math.nan, np.zeros(truth.size))
    ranks = _midranks(score)
    # Share of the other class that each row is on the right side of.
    won = np.empty(truth.size)
    won[positive] = (ranks[positive] - _midranks(score[positive])) / n_negative
    won[~positive] = 1 - (ranks[~positive] - _midranks(score[~positive])) / n_positive
    value = float(won[positive].mean())
    return _Figure(value, (won - value) / np.where(positive, n_positive, n_negative))


def _average_precision(truth: NDArray[np.float64], score: NDArray[np.float64]) -> _Figure:
    """Give the mean precision at the positive rows; it has no simple influence, hence no interval."""
    no_influence = np.zeros(truth.size)
    if not truth.any() or truth.all() or np.isnan(score).any():
        return _Figure(math.nan, no_influence)
    _, index, counts = np.unique(-score, return_inverse=True, return_counts=True)
    hits = np.bincount(index, weights=truth)
    precision = np.cumsum(hits) / np.cumsum(counts)
    return _Figure(float((precision * hits).sum() / hits.sum()), no_influence)


def _midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank from 1; equal values share the mean of their ranks."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middles: NDArray[np.float64] = (last - (counts - 1) / 2)[index]
    return middles


def _metric(name: str, figure: _Figure, members: NDArray[np.int64], label_coverage: float) -> MetricValue:
    margin, bounds = _margin(figure, members), BOUNDS.get(name, (0.0, 1.0))
    return MetricValue(
        name=name,
        value=figure.value,
        low=None if margin is None else max(figure.value - margin, bounds[0]),
        high=None if margin is None else min(figure.value + margin, bounds[1]),
        n=members.size,
        label_coverage=label_coverage,
    )


def _margin(figure: _Figure, members: NDArray[np.int64]) -> float | None:
    """Give half the width of the 95 % interval; None where the rows tell nothing about it."""
    n_blocks = int(members.max(initial=-1)) + 1
    if n_blocks < 3 or math.isnan(figure.value):
        return None
    of_blocks = np.bincount(members, weights=figure.influence)
    variance = n_blocks / (n_blocks - 1) * float((of_blocks**2).sum())
    # No variance at all (every row the same, or a perfect order) is ignorance, and not certainty.
    return (
        student_quantile(n_blocks - 1) * math.sqrt(variance) if variance > 1e-30 else None
    )  # 1e-30: rounding of zeros
