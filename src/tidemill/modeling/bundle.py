"""A fitted model in memory: what turns rows into scores.

A row's score depends on that row alone: whatever rows stand around it, in whatever order, its bits are the
same. Published predictions are compared bit by bit, so each kind of estimator is asked in a way that keeps
this true. Saving and loading is ``tidemill.storage.bundles``' work.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import TargetEncoder
from threadpoolctl import threadpool_limits

from tidemill.modeling.schema import FeatureSchema, align

__all__ = ["Bundle"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A fitted model with everything that scoring needs."""

    task: str
    """``binary``."""
    estimator: str
    """Name in the registry, e.g. ``xgboost``."""
    schema: FeatureSchema
    """Features that it reads."""
    preprocessing: Any
    """Fitted scikit-learn transformer: aligned frame to a matrix of float64."""
    model: Any
    """Fitted scikit-learn estimator, or an XGBoost booster."""
    classes: tuple[bool, ...] = (False, True)
    """Labels, the positive one last."""
    threshold: float
    """Score from which a row counts as positive, 0 to 1."""
    threshold_criterion: str
    """How the threshold was chosen, e.g. ``best F1 on 900 validation rows: 0.512``."""
    random_state: int
    """Seed of the fit."""
    n_threads: int
    """Threads of the fit; bits are only promised for the same number."""

    def score(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Give the probability of the positive class.

        Parameters
        ----------
        X : pandas.DataFrame of shape (n_samples, n_columns)
            Raw features; columns are found by name and brought to the model's types.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            Between 0 and 1.

        Raises
        ------
        SchemaChanged, ContractBroken
            If the frame cannot be aligned.
        """
        aligned = align(X, self.schema)
        if aligned.empty:
            return np.empty(0, dtype=np.float64)
        matrix = self.preprocessing.transform(aligned)
        if isinstance(self.model, HistGradientBoostingClassifier):  # it takes all cores otherwise, beside other tasks
            with threadpool_limits(limits=self.n_threads, user_api="openmp"):
                return _positive_probability(self.model, matrix)
        return _positive_probability(self.model, matrix)

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Give the label of each row: True where the score is at least the threshold."""
        return np.asarray(self.score(X) >= self.threshold)


def _positive_probability(model: Any, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if isinstance(model, xgboost.Booster):
        return np.asarray(model.inplace_predict(matrix.astype(np.float32)), dtype=np.float64)
    if isinstance(model, LogisticRegression):
        return _logistic(model, matrix)
    if isinstance(model, TargetEncoder):
        return np.asarray(model.transform(matrix)[:, 0], dtype=np.float64)
    return np.asarray(model.predict_proba(matrix)[:, 1], dtype=np.float64)


def _logistic(model: Any, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum column by column: BLAS picks its order of summation by the number of rows, and the last bits with it."""
    total = np.full(len(matrix), model.intercept_[0])
    for column, weight in zip(matrix.T, model.coef_[0], strict=True):
        total += column * weight
    return np.asarray(expit(total))
