"""Churn: how far a new model's predictions are from those of the serving model, as users would notice."""

import numpy as np
import numpy.typing as npt

from tidemill.metrics.blocks import estimate, index_blocks
from tidemill.metrics.statistic import mean
from tidemill.records import MetricValue

__all__ = ["changed_answers", "changed_decisions", "changed_values", "mean_change"]

Numbers = npt.NDArray[np.float64]


def changed_answers(
    answer_a: npt.ArrayLike, answer_b: npt.ArrayLike, y_true: npt.ArrayLike, blocks: npt.ArrayLike, *, has_classes: bool
) -> MetricValue:
    """Return `changed_decisions` where answers are classes, else `changed_values`."""
    if has_classes:
        return changed_decisions(answer_a, answer_b, blocks)
    return changed_values(answer_a, answer_b, y_true, blocks)


def changed_decisions(
    answer_a: npt.ArrayLike, answer_b: npt.ArrayLike, blocks: npt.ArrayLike | None = None
) -> MetricValue:
    """Return the share of rows whose decision differs, with its 95 % interval.

    Parameters
    ----------
    answer_a, answer_b : array-like of shape (n_samples,)
        Predictions of the two models: booleans or classes.
    blocks : array-like of shape (n_samples,), default None
        Block of each row, for example its partition key.

    Examples
    --------
    >>> changed_decisions([True, False, True, True], [True, True, True, True]).value
    0.25
    """
    differs = np.asarray(answer_a) != np.asarray(answer_b)
    return _mean("share_of_decisions", differs.astype(np.float64), blocks, most=1.0)


def changed_values(
    value_a: npt.ArrayLike, value_b: npt.ArrayLike, y_true: npt.ArrayLike, blocks: npt.ArrayLike | None = None
) -> MetricValue:
    """Return the mean absolute change of a predicted number, in standard deviations of the label.

    Parameters
    ----------
    value_a, value_b : array-like of shape (n_samples,)
        Predictions of the two models.
    y_true : array-like of shape (n_samples,)
        Labels, for the scale.
    blocks : array-like of shape (n_samples,), default None
        Rows that count together.

    Examples
    --------
    >>> changed_values([1.0, 2.0], [2.0, 4.0], [0.0, 6.0]).value
    0.5
    """
    spread = float(np.std(np.asarray(y_true, dtype=np.float64))) if len(np.asarray(y_true)) else 0.0
    change = np.abs(np.asarray(value_a, dtype=np.float64) - np.asarray(value_b, dtype=np.float64))
    return _mean("change_in_deviations", change / spread if spread else np.full(len(change), np.nan), blocks)


def mean_change(score_a: npt.ArrayLike, score_b: npt.ArrayLike, blocks: npt.ArrayLike | None = None) -> MetricValue:
    """Return the mean absolute difference between the scores of two models.

    Parameters
    ----------
    score_a, score_b : array-like of shape (n_samples,), or (n_samples, n_classes) with the same columns
        Scores; for several classes, half the sum of the absolute differences is used, which is 0 to 1.
    blocks : array-like of shape (n_samples,), default None
        Rows that count together.

    Examples
    --------
    >>> round(mean_change([0.2, 0.4], [0.3, 0.4]).value, 3)
    0.05
    """
    change = np.abs(np.asarray(score_a, dtype=np.float64) - np.asarray(score_b, dtype=np.float64))
    return _mean("mean_change", change.sum(axis=1) / 2 if change.ndim == 2 else change, blocks, most=1.0)


def _mean(name: str, change: Numbers, blocks: npt.ArrayLike | None, most: float = float("inf")) -> MetricValue:
    if not len(change):
        return MetricValue(name=name, value=float("nan"), n=0)
    of_rows = index_blocks(blocks, len(change))
    found = estimate(mean(change, most if np.isfinite(most) else None), of_rows, (0.0, most))
    return MetricValue(name=name, value=found.value, low=found.low, high=found.high, n=len(change), n_blocks=of_rows.n)
