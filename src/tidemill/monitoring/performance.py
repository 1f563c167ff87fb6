"""Realised quality: what a partition's scores were worth, once its labels have arrived.

Intervals come from each row's influence on the figure (``influence``). Here are binary models; ``classes`` and
``values`` do the same for the other tasks. The evidence at acceptance is ``modeling``'s work, and this room does not
import it.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidemill.monitoring.influence import Figure, as_metric, mean, members_of, ratio, roc_auc, without_influence
from tidemill.records import MetricValue

__all__ = ["realised_quality"]

LEAST_PROBABILITY = 1e-15  # a certain and wrong score costs 34.5 in log loss, and not infinity
BOUNDS = {"log_loss": (0.0, math.inf), "calibration_gap": (-1.0, 1.0)}  # all others lie between 0 and 1


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
        "roc_auc": roc_auc(truth, score),
        "average_precision": _average_precision(truth, score),
        **_probability_figures(truth, score),
        **_decision_figures(truth, np.where(np.isnan(score), np.nan, score >= threshold)),
    }
    return (
        *(
            as_metric(name, figure, members, label_coverage, BOUNDS.get(name, (0.0, 1.0)))
            for name, figure in figures.items()
        ),
        MetricValue(name="label_coverage", value=label_coverage, n=truth.size, label_coverage=label_coverage),
    )


def _checked(
    y_true: ArrayLike, y_score: ArrayLike, blocks: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    truth, score = np.asarray(y_true, np.float64), np.asarray(y_score, np.float64)
    members = members_of(blocks, truth.size)
    if not truth.size == score.size == members.size:
        raise ValueError(f"{truth.size} labels, {score.size} scores and {members.size} blocks: give one of each a row")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("y_true holds values other than 0 and 1: leave out rows without a label, and count them")
    return truth, score, members


def _probability_figures(truth: NDArray[np.float64], score: NDArray[np.float64]) -> dict[str, Figure]:
    clipped = np.clip(score, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return {
        "log_loss": mean(-np.where(truth == 1, np.log(clipped), np.log1p(-clipped))),
        "brier_score": mean((score - truth) ** 2),
        "base_rate": mean(truth),
        "mean_score": mean(score),
        "calibration_gap": mean(score - truth),
    }


def _decision_figures(truth: NDArray[np.float64], positive: NDArray[np.float64]) -> dict[str, Figure]:
    right = positive * truth
    return {
        "accuracy": mean(np.where(np.isnan(positive), np.nan, positive == truth)),
        "precision": ratio(right, positive),
        "recall": ratio(right, truth),
        "f1": ratio(2 * right, positive + truth),
    }


def _average_precision(truth: NDArray[np.float64], score: NDArray[np.float64]) -> Figure:
    """Return the mean precision at the positive rows; it has no simple influence, hence no interval."""
    if not truth.any() or truth.all() or np.isnan(score).any():
        return without_influence(math.nan, truth.size)
    _, index, counts = np.unique(-score, return_inverse=True, return_counts=True)
    hits = np.bincount(index, weights=truth)
    precision = np.cumsum(hits) / np.cumsum(counts)
    return without_influence(float((precision * hits).sum() / hits.sum()), truth.size)
