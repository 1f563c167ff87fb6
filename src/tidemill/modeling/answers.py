"""Predict with a fitted estimator: the bits of a row's score depend only on that row.

Published predictions are compared bit by bit, whichever rows share the batch and in any order. Matrix products do not
guarantee this: BLAS chooses its order of summation by the number of rows. Therefore linear models are summed here,
column by column, and custom estimators predict in blocks of a fixed size.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import TargetEncoder
from threadpoolctl import threadpool_limits

from tidemill.modeling.boosters import LibraryModel
from tidemill.modeling.tasks import task_type
from tidemill.modeling.tasks.links import probabilities

__all__ = ["answer"]

Floats = npt.NDArray[np.float64]


def answer(model: Any, matrix: npt.NDArray[Any], *, task: str, n_threads: int, block_rows: int | None) -> Floats:
    """Return the predictions of a fitted estimator.

    Parameters
    ----------
    model : object
        Fitted scikit-learn estimator, an XGBoost booster, or a model of an optional library.
    matrix : ndarray of shape (n_samples, n_columns)
        Output of the preprocessing, at least one row.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    n_threads : int
        Threads for estimators that use all cores by default.
    block_rows : int or None
        Rows per call, padded to exactly this number; None predicts all rows in one call.

    Returns
    -------
    ndarray of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        Probability of the positive class, of each class, or the predicted value.
    """
    if isinstance(model, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        with threadpool_limits(limits=n_threads, user_api="openmp"):  # uses all cores by default
            raw = _raw(model, matrix, task)
    elif isinstance(model, LibraryModel):
        raw = model.answer(matrix, task, n_threads)
    elif block_rows is not None:
        raw = _in_blocks(model, matrix, task, block_rows)
    else:
        raw = _raw(model, matrix, task)
    return task_type(task).shaped(raw)


def _raw(model: Any, matrix: Floats, task: str) -> Floats:
    if isinstance(model, xgboost.Booster):
        return np.asarray(model.inplace_predict(matrix.astype(np.float32, copy=False)), dtype=np.float64)
    if isinstance(model, LogisticRegression):
        return _logistic(model, matrix)
    if isinstance(model, Ridge):
        return _linear(matrix, np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]))
    if isinstance(model, TargetEncoder):
        return np.asarray(model.transform(matrix), dtype=np.float64)
    if isinstance(model, HistGradientBoostingClassifier) and task_type(task).score_per_class:
        return probabilities(np.ascontiguousarray(model.decision_function(matrix)))
    return task_type(task).asked(model, matrix)


def _in_blocks(model: Any, matrix: Floats, task: str, block_rows: int) -> Floats:
    answers = []
    for start in range(0, len(matrix), block_rows):
        part = matrix[start : start + block_rows]
        filled = np.concatenate([part, np.zeros((block_rows - len(part), matrix.shape[1]))])
        answers.append(task_type(task).asked(model, filled)[: len(part)])
    return np.concatenate(answers)


def _logistic(model: Any, matrix: Floats) -> Floats:
    logits = [
        _linear(matrix, weights, intercept) for weights, intercept in zip(model.coef_, model.intercept_, strict=True)
    ]
    return probabilities(logits[0] if len(logits) == 1 else np.column_stack(logits))


def _linear(matrix: Floats, weights: Floats, intercept: float) -> Floats:
    total = np.full(len(matrix), intercept)
    for column, weight in zip(matrix.T, weights, strict=True):
        total += column * weight
    return total
