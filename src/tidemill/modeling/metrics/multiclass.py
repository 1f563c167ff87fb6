"""Metrics of one class among several, from a probability for each.

A label that the model does not know is a row that it cannot get right: it counts as wrong, with probability 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

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

__all__ = ["MULTICLASS", "encode", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """Rows with what every metric needs of them."""

    y: Integers
    """Code of the class, -1 for a class that the model does not know."""
    score: Floats
    """Probabilities, shape (n_samples, n_classes)."""
    truth: Floats
    """1 in the column of the label, shape (n_samples, n_classes + 1); the last column is for unknown ones."""
    chosen: Floats
    """1 in the column of the largest probability, same shape."""
    block: Integers
    """Number of each row's block."""


def encode(y: npt.ArrayLike, classes: Sequence[str]) -> Integers:
    """Return labels as positions in ``classes``, -1 where they are none of them.

    Examples
    --------
    >>> encode(["b", "a", "z"], ("a", "b"))
    array([ 1,  0, -1])
    """
    return np.asarray(pd.Index(list(classes)).get_indexer(pd.Index(np.asarray(y, dtype=object))), dtype=np.int64)


def spread(score: Floats, classes: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Return probabilities in the columns of other classes, 0 where the model does not know one.

    Examples
    --------
    >>> spread(np.array([[0.2, 0.8]]), ("a", "c"), ("a", "b", "c"))
    array([[0.2, 0. , 0.8]])
    """
    wide = np.zeros((len(score), len(wanted)))
    wide[:, [list(wanted).index(name) for name in classes]] = score
    return wide


def _sample(y_true: npt.ArrayLike, y_score: npt.ArrayLike, block: Integers, options: Mapping[str, Any]) -> Any:
    """Take labels, or codes if no classes are named; None if no metric is defined on the rows."""
    labels, score, classes = np.asarray(y_true), np.asarray(y_score, dtype=np.float64), options["classes"]
    if score.ndim != 2 or len(labels) != len(score) or (classes is not None and len(classes) != score.shape[1]):
        raise ValueError(f"{len(labels)} labels of {classes} do not fit scores of shape {score.shape}")
    if not len(labels) or pd.isna(labels).any() or not ((score >= 0) & (score <= 1)).all():
        return None
    y = labels.astype(np.int64) if classes is None else encode(labels, classes)
    n_classes = score.shape[1]
    columns = np.arange(n_classes + 1)
    return _Sample(
        y=y,
        score=score,
        truth=(np.where((y < 0) | (y >= n_classes), n_classes, y)[:, None] == columns).astype(np.float64),
        chosen=(score.argmax(axis=1)[:, None] == columns).astype(np.float64),
        block=block,
    )


def _log_loss(sample: _Sample, weights: Floats) -> Floats:
    of_label = (sample.score * sample.truth[:, :-1]).sum(axis=1)
    return weighted_mean(-np.log(np.clip(of_label, EPS, 1.0)), weights)


def _brier_score(sample: _Sample, weights: Floats) -> Floats:
    """Squared distance of the probabilities from the label's, 0 to 2 (Brier 1950)."""
    unknown = sample.truth[:, -1]
    return weighted_mean(((sample.score - sample.truth[:, :-1]) ** 2).sum(axis=1) + unknown, weights)


def _right(sample: _Sample) -> Floats:
    return np.asarray((sample.truth * sample.chosen).sum(axis=1))


def _accuracy(sample: _Sample, weights: Floats) -> Floats:
    return weighted_mean(_right(sample), weights)


def _calibration_error(sample: _Sample, weights: Floats) -> Floats:
    """Mean distance of the largest probability from how often it is right, over ten bins of it."""
    confidence = sample.score.max(axis=1)
    bins = np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)
    gap_of_bin = np.zeros((len(bins), N_BINS))
    gap_of_bin[np.arange(len(bins)), bins] = _right(sample) - confidence
    return divide(np.abs(weights @ gap_of_bin).sum(axis=1), weights.sum(axis=1))


def _balanced_accuracy(sample: _Sample, weights: Floats) -> Floats:
    """Mean recall over the classes that the rows hold."""
    return _mean_of_defined(divide(weights @ (sample.truth * sample.chosen), weights @ sample.truth))


def _macro_f1(sample: _Sample, weights: Floats) -> Floats:
    """Mean F1 over the classes that the rows hold or the model names."""
    named = weights @ sample.truth + weights @ sample.chosen
    return _mean_of_defined(divide(2 * (weights @ (sample.truth * sample.chosen)), named))


def _roc_auc_ovr(sample: _Sample, weights: Floats) -> Floats:
    """Mean ROC AUC of each class against the rest, over the classes that the rows hold beside others."""
    aucs = np.full((len(weights), sample.score.shape[1]), np.nan)
    for column in range(aucs.shape[1]):
        order = np.argsort(sample.score[:, column], kind="stable")
        starts = tie_starts(sample.score[order, column])
        ordered = weights[:, order]
        positives = np.add.reduceat(ordered * sample.truth[order, column], starts, axis=1)
        aucs[:, column] = ranking_quality(positives, np.add.reduceat(ordered, starts, axis=1) - positives)
    return _mean_of_defined(aucs)


def _mean_of_defined(values: Floats) -> Floats:
    return divide(np.nansum(values, axis=1), np.isfinite(values).sum(axis=1))


MULTICLASS = TaskMetrics(
    _sample,
    {
        "log_loss": _log_loss,
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced_accuracy,
        "macro_f1": _macro_f1,
        "roc_auc_ovr": _roc_auc_ovr,
        "brier_score": _brier_score,
        "expected_calibration_error": _calibration_error,
    },
)
"""Metrics of the task ``multiclass``; the option is ``classes``, the names of the score's columns."""
