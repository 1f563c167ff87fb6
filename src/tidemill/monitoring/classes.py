"""Realised quality of a model that names one class among several."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidemill.monitoring.influence import (
    Figure,
    as_metric,
    average,
    mean,
    members_of,
    ratio,
    roc_auc,
    without_influence,
)
from tidemill.monitoring.performance import LEAST_PROBABILITY
from tidemill.records import MetricValue

__all__ = ["realised_class_quality"]

BOUNDS = {"log_loss": (0.0, math.inf), "brier_score": (0.0, 2.0), "calibration_gap": (-1.0, 1.0)}  # others: 0 to 1
N_BINS = 10  # of the largest probability, for the calibration error

Floats = NDArray[np.float64]


def realised_class_quality(
    y_true: Sequence[str],
    probabilities: ArrayLike,
    classes: Sequence[str],
    *,
    label_coverage: float,
    blocks: ArrayLike | None = None,
) -> tuple[MetricValue, ...]:
    """Measure the probabilities of rows whose class is known.

    Parameters
    ----------
    y_true : sequence of str, of length n_samples
        The classes that came true. One that the model does not know counts as wrong, with probability 0.
    probabilities : array-like of shape (n_samples, n_classes)
        Published probabilities.
    classes : sequence of str, of length n_classes
        Class of each column.
    label_coverage : float
        Share of the scored rows whose label is known, 0 to 1; every figure carries it.
    blocks : array-like of shape (n_samples,), default None
        Groups of rows that resemble each other; None takes the rows as independent.

    Returns
    -------
    tuple of MetricValue
        Down is good in ``log_loss``, ``brier_score`` (0 to 2) and ``expected_calibration_error``; up is good in
        ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that came), ``macro_f1`` and ``roc_auc_ovr``
        (mean area of each class against the rest); then ``mean_confidence``, ``calibration_gap`` (mean confidence minus
        accuracy; 0 is good) and ``label_coverage``. Each but the calibration error and the last with a 95 % interval
        where the rows allow one. Without rows they are NaN.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> figures = realised_class_quality(["a", "b"], [[0.9, 0.1], [0.6, 0.4]], ["a", "b"], label_coverage=1.0)
    >>> {figure.name: figure.value for figure in figures}["accuracy"]
    0.5
    """
    truth = np.asarray(y_true, dtype=object)
    score = np.asarray(probabilities, np.float64).reshape(-1, max(len(classes), 1))
    members = members_of(blocks, truth.size)
    if not truth.size == len(score) == members.size:
        raise ValueError(f"{truth.size} labels, {len(score)} rows of scores and {members.size} blocks: give one a row")
    names = sorted({*classes, *map(str, truth)})
    was = (truth[:, None] == np.array(names, dtype=object)[None, :]).astype(np.float64)
    wide = np.zeros_like(was)
    if len(classes):
        wide[:, [names.index(name) for name in classes]] = score
    figures = {**_probability_figures(was, wide), **_decision_figures(was, wide)}
    return (
        *(
            as_metric(name, figure, members, label_coverage, BOUNDS.get(name, (0.0, 1.0)))
            for name, figure in figures.items()
        ),
        MetricValue(name="label_coverage", value=label_coverage, n=truth.size, label_coverage=label_coverage),
    )


def _probability_figures(was: Floats, score: Floats) -> dict[str, Figure]:
    areas = [roc_auc(of_class, probability) for of_class, probability in zip(was.T, score.T, strict=True)]
    return {
        "log_loss": mean(-np.log(np.clip((was * score).sum(axis=1), LEAST_PROBABILITY, 1.0))),
        "brier_score": mean(((score - was) ** 2).sum(axis=1)),
        "roc_auc_ovr": average(areas, len(was)),
    }


def _decision_figures(was: Floats, score: Floats) -> dict[str, Figure]:
    n = len(was)
    confidence = score.max(axis=1, initial=0.0)
    chosen = np.zeros_like(was)
    chosen[np.arange(n), score.argmax(axis=1) if n else []] = 1.0
    hits = was * chosen
    right = hits.sum(axis=1)
    columns = range(was.shape[1])
    return {
        "accuracy": mean(right),
        "balanced_accuracy": average([ratio(hits[:, k], was[:, k]) for k in columns], n),
        "macro_f1": average([ratio(2 * hits[:, k], was[:, k] + chosen[:, k]) for k in columns], n),
        "mean_confidence": mean(confidence),
        "calibration_gap": mean(confidence - right),
        "expected_calibration_error": _calibration_error(confidence, right),
    }


def _calibration_error(confidence: Floats, right: Floats) -> Figure:
    """Mean distance of confidence from accuracy over ten bins; not smooth, hence without an interval."""
    if not len(right):
        return without_influence(math.nan, 0)
    bins = np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=N_BINS)
    return without_influence(float(np.abs(gaps).sum() / len(right)), len(right))
