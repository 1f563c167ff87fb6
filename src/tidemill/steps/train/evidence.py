"""Artifacts of an evaluation: charts for the task, and the reference for monitoring."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.modeling.bundle import Bundle
from tidemill.monitoring.profile import ColumnProfile, build_profile
from tidemill.report import answer_charts, charts
from tidemill.steps.data.features import LabelledSet
from tidemill.storage.layout import SCORE

__all__ = ["reference_of", "task_pictures"]

PREDICTED = "predicted"

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.generic]
Pictures = dict[str, charts.Chart]


def task_pictures(
    bundle: Bundle, y_true: npt.NDArray[np.generic], scores: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, charts.Chart]:
    """Draw the predictions against the labels.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,)
        Labels of the test set.
    scores : mapping of str to ndarray
        Scores on the same rows by model name, the candidate first.
    """
    score = next(iter(scores.values()))
    return _PICTURES[bundle.task](bundle, y_true, score, scores)


def _of_two(bundle: Bundle, y_true: Labels, score: Floats, scores: Mapping[str, Floats]) -> Pictures:
    return {
        "roc_curve": charts.roc_curve(y_true, scores),
        "calibration": charts.reliability(y_true, score),
        "scores": charts.score_histogram(score, y_true),
    }


def _of_classes(bundle: Bundle, y_true: Labels, score: Floats, scores: Mapping[str, Floats]) -> Pictures:
    answer, truth = bundle.answer_of(score), y_true.astype(str)
    return {
        "confusion": answer_charts.confusion_matrix(list(truth), list(answer)),
        "calibration": charts.reliability(answer == truth, score.max(axis=1)),
    }


def _of_numbers(bundle: Bundle, y_true: Labels, score: Floats, scores: Mapping[str, Floats]) -> Pictures:
    truth, (low, high) = y_true.astype(np.float64), bundle.interval_of(score)
    return {
        "predicted": answer_charts.predicted_against_actual(truth, score, low, high),
        "residuals": answer_charts.residuals(truth, score),
    }


_PICTURES: Mapping[str, Callable[[Bundle, Labels, Floats, Mapping[str, Floats]], Pictures]] = {
    "binary": _of_two,
    "multiclass": _of_classes,
    "regression": _of_numbers,
}


def reference_of(
    train: LabelledSet, test: LabelledSet, bundle: Bundle, score: npt.NDArray[np.float64]
) -> tuple[ColumnProfile, ...]:
    """Profile the train set's features, then the test set's scores, values or predicted classes."""
    rows = pa.Table.from_pandas(train.X[list(train.schema.names)], preserve_index=False)
    features = build_profile(
        rows,
        train.schema.numeric,
        train.schema.categorical,
        blocks=np.unique(train.blocks, return_inverse=True)[1],
    )
    blocks = np.unique(test.blocks, return_inverse=True)[1]
    if bundle.task_type.score_per_class:
        answered = pa.table({PREDICTED: pa.array(bundle.answer_of(score), pa.string())})
        return (*features, *build_profile(answered, [], [PREDICTED], blocks=blocks))
    return (*features, *build_profile(pa.table({SCORE: score}), [SCORE], [], blocks=blocks))
