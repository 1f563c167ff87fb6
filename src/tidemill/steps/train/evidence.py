"""What an evaluation leaves beside its figures: pictures that suit the task, and the reference that monitoring needs."""

from collections.abc import Mapping

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


def task_pictures(
    bundle: Bundle, y_true: npt.NDArray[np.generic], scores: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, charts.Chart]:
    """Draw how the answers compare with what came.

    Parameters
    ----------
    bundle : Bundle
        The candidate.
    y_true : ndarray of shape (n_samples,)
        Labels of the test set.
    scores : mapping of str to ndarray
        Scores on the same rows by name of the model, the candidate's first.
    """
    score = next(iter(scores.values()))
    if bundle.task == "multiclass":
        answer, truth = bundle.answer_of(score), y_true.astype(str)
        return {
            "confusion": answer_charts.confusion_matrix(list(truth), list(answer)),
            "calibration": charts.reliability(answer == truth, score.max(axis=1)),
        }
    if bundle.task == "regression":
        low, high = bundle.interval_of(score)
        return {
            "predicted": answer_charts.predicted_against_actual(y_true.astype(np.float64), score, low, high),
            "residuals": answer_charts.residuals(y_true.astype(np.float64), score),
        }
    return {
        "roc_curve": charts.roc_curve(y_true, scores),
        "calibration": charts.reliability(y_true, score),
        "scores": charts.score_histogram(score, y_true),
    }


def reference_of(
    train: LabelledSet, test: LabelledSet, bundle: Bundle, score: npt.NDArray[np.float64]
) -> tuple[ColumnProfile, ...]:
    """Profile the train set's features, and last the test set's answers: scores or values, or the predicted classes."""
    rows = pa.Table.from_pandas(train.X[list(train.schema.names)], preserve_index=False)
    for name in train.schema.categorical:
        if pa.types.is_floating(rows.schema.field(name).type):  # whole numbers of which some are missing, to pandas
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, name, rows[name].cast(pa.int64()))
    features = build_profile(
        rows,
        train.schema.numeric,
        train.schema.categorical,
        blocks=np.unique(train.blocks, return_inverse=True)[1],
    )
    blocks = np.unique(test.blocks, return_inverse=True)[1]
    if bundle.task == "multiclass":
        answered = pa.table({PREDICTED: pa.array(bundle.answer_of(score), pa.string())})
        return (*features, *build_profile(answered, [], [PREDICTED], blocks=blocks))
    return (*features, *build_profile(pa.table({SCORE: score}), [SCORE], [], blocks=blocks))
