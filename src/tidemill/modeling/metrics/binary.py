"""Metrics of yes and no: ranking, probability, and decisions at a threshold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bootstrap import Floats, Integers
from tidemill.modeling.metrics.arithmetic import (
    EPS,
    N_BINS,
    TaskMetrics,
    divide,
    ranking_quality,
    tie_starts,
    weighted_mean,
)

__all__ = ["BINARY"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """Rows in ascending order of score, with what every metric needs of them."""

    y: Floats
    """0 or 1."""
    score: Floats
    """Probability of the positive class."""
    positive: npt.NDArray[np.bool_]
    """True where the score reaches the threshold."""
    tie_starts: Integers
    """First row of each run of equal scores."""
    block: Integers
    """Number of each row's block."""


def _sample(y_true: npt.ArrayLike, y_score: npt.ArrayLike, block: Integers, options: Mapping[str, Any]) -> Any:
    """Sort the rows; None if no metric is defined on them."""
    y, score = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
    if y.shape != score.shape:
        raise ValueError(f"{len(y)} labels do not fit {len(score)} scores")
    if not len(y) or not np.isin(y, (0.0, 1.0)).all() or not ((score >= 0) & (score <= 1)).all():
        return None
    order = np.argsort(score, kind="stable")
    y, score = y[order], score[order]
    return _Sample(
        y=y, score=score, positive=score >= options["threshold"], tie_starts=tie_starts(score), block=block[order]
    )


def _class_weights(sample: _Sample, weights: Floats) -> tuple[Floats, Floats]:
    """Weights of positives and of negatives in each run of equal scores, ascending."""
    of_positives = np.add.reduceat(weights * sample.y, sample.tie_starts, axis=1)
    return of_positives, np.add.reduceat(weights, sample.tie_starts, axis=1) - of_positives


def _roc_auc(sample: _Sample, weights: Floats) -> Floats:
    return ranking_quality(*_class_weights(sample, weights))


def _average_precision(sample: _Sample, weights: Floats) -> Floats:
    """Precision, averaged over the steps of recall, from the highest score down."""
    positives, negatives = _class_weights(sample, weights)
    true = np.cumsum(positives[:, ::-1], axis=1)
    false = np.cumsum(negatives[:, ::-1], axis=1)
    precision = np.nan_to_num(divide(true, true + false))  # weightless steps add nothing to recall either
    undefined = (positives.sum(axis=1) == 0) | (negatives.sum(axis=1) == 0)
    area = divide((positives[:, ::-1] * precision).sum(axis=1), positives.sum(axis=1))
    return np.where(undefined, np.nan, area)


def _log_loss(sample: _Sample, weights: Floats) -> Floats:
    score = np.clip(sample.score, EPS, 1 - EPS)
    return weighted_mean(-np.where(sample.y == 1, np.log(score), np.log1p(-score)), weights)


def _brier_score(sample: _Sample, weights: Floats) -> Floats:
    return weighted_mean((sample.score - sample.y) ** 2, weights)


def _calibration_error(sample: _Sample, weights: Floats) -> Floats:
    """Mean distance of score and label over ten bins of the score, weighted by the rows in each."""
    bins = np.minimum((sample.score * N_BINS).astype(np.int64), N_BINS - 1)
    gap_of_bin = np.zeros((len(bins), N_BINS))
    gap_of_bin[np.arange(len(bins)), bins] = sample.y - sample.score
    return divide(np.abs(weights @ gap_of_bin).sum(axis=1), weights.sum(axis=1))


def _accuracy(sample: _Sample, weights: Floats) -> Floats:
    return weighted_mean(sample.positive == (sample.y == 1), weights)


def _precision(sample: _Sample, weights: Floats) -> Floats:
    return divide(weights @ (sample.positive * sample.y), weights @ sample.positive.astype(np.float64))


def _recall(sample: _Sample, weights: Floats) -> Floats:
    return divide(weights @ (sample.positive * sample.y), weights @ sample.y)


def _f1(sample: _Sample, weights: Floats) -> Floats:
    return divide(2 * (weights @ (sample.positive * sample.y)), weights @ (sample.positive + sample.y))


def _base_rate(sample: _Sample, weights: Floats) -> Floats:
    return weighted_mean(sample.y, weights)


BINARY = TaskMetrics(
    _sample,
    {
        "roc_auc": _roc_auc,
        "average_precision": _average_precision,
        "log_loss": _log_loss,
        "brier_score": _brier_score,
        "expected_calibration_error": _calibration_error,
        "accuracy": _accuracy,
        "precision": _precision,
        "recall": _recall,
        "f1": _f1,
        "base_rate": _base_rate,
    },
)
"""Metrics of the task ``binary``; labels are 0 and 1, scores the probability of 1, the option is ``threshold``."""
