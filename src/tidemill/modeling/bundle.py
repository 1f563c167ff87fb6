"""A fitted model in memory: what turns rows into scores.

A row's score depends only on that row: its bits do not depend on other rows or their order.
Published predictions are compared bit by bit, so ``answers`` calls each kind of estimator in a way that keeps this true.
``tidemill.storage.bundles`` saves and loads bundles.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.alignment import align, count_rounded
from tidemill.modeling.answers import answer
from tidemill.modeling.boosters import LibraryModel
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.schema import FeatureSchema, refuse_rounded
from tidemill.modeling.tasks import TaskType, task_type

__all__ = ["INTERVAL_COVERAGE", "Bundle"]

INTERVAL_COVERAGE = 0.8
"""Share of labels that a regression's interval is meant to hold."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A fitted model with everything that scoring needs."""

    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    estimator: str
    """Name in the registry or in the spec's ``own``, e.g. ``xgboost``."""
    schema: FeatureSchema
    """Features that it reads."""
    preprocessing: Any
    """Fitted scikit-learn transformer: aligned frame to a matrix of float64."""
    model: Any
    """Fitted scikit-learn estimator, an XGBoost booster, or a model of an optional library."""
    classes: tuple[bool, ...] | tuple[str, ...] = (False, True)
    """Labels: False and True, or the classes in alphabetical order; none for a regression."""
    threshold: float | None
    """Score from which a row counts as positive, 0 to 1; None if the task is not binary."""
    threshold_criterion: str
    """How the threshold was chosen, e.g. ``best F1 on 900 validation rows: 0.512``."""
    calibration: Calibration | None = None
    """Stage from the model's probability to the score; None if there is none."""
    residual_quantiles: tuple[float, float] | None = None
    """What is added to a regression's score for the ends of its interval; None if validation was too small."""
    block_rows: int | None = None
    """Rows per call of the model, padded to that number; None for all rows at once."""
    remarks: tuple[str, ...] = ()
    """What a reader of the model card should know about the fit, one sentence each."""
    random_state: int
    """Seed of the fit."""
    n_threads: int
    """Threads of the fit; bits are only promised for the same number."""

    @property
    def task_type(self) -> TaskType:
        """What depends on the kind of answer."""
        return task_type(self.task)

    @property
    def libraries(self) -> tuple[str, ...]:
        """Optional packages that the model needs."""
        return (self.model.library,) if isinstance(self.model, LibraryModel) else ()

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the columns of a score, as the metrics take them; None where a score has no columns."""
        return self.task_type.class_names(self.classes)

    def score(self, X: pd.DataFrame) -> Floats:
        """Return the probability of the positive class or of each class, or the predicted value.

        Parameters
        ----------
        X : pandas.DataFrame of shape (n_samples, n_columns)
            Raw features; columns are found by name and brought to the model's types.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``, float64
            Probabilities are between 0 and 1; those of a row sum to 1, in the order of ``classes``.

        Raises
        ------
        SchemaChanged, ContractBroken
            If the frame cannot be aligned.
        """
        refuse_rounded(count_rounded(X, self.schema), len(X))
        aligned = align(X, self.schema)
        if aligned.empty:
            return self.task_type.no_scores(len(self.classes))
        return self.score_of(self.preprocessing.transform(aligned))

    def score_of(self, matrix: npt.NDArray[Any], n_threads: int | None = None) -> Floats:
        """Return the score of a matrix from the preprocessing, with at least one row, and with threads used only here."""
        score = answer(
            self.model, matrix, task=self.task, n_threads=n_threads or self.n_threads, block_rows=self.block_rows
        )
        return self.calibrated(score)

    def calibrated(self, score: Floats) -> Floats:
        """Return the scores for the model's raw answers."""
        return score if self.calibration is None else self.calibration.apply(score)

    def predict(self, X: pd.DataFrame) -> npt.NDArray[Any]:
        """Return each row's answer: True from the threshold on, the likeliest class, or the predicted value."""
        return self.answer_of(self.score(X))

    def interval(self, X: pd.DataFrame) -> tuple[Floats, Floats]:
        """Return the ends of an interval that holds 80 % of the labels of rows like those of validation.

        Split conformal (Lei et al. 2018), by the quantiles of the validation set's residuals; NaN if validation was
        too small for them.

        Raises
        ------
        ValueError
            If the task is not ``regression``.
        """
        return self.interval_of(self.score(X))

    def answer_of(self, score: Floats) -> npt.NDArray[Any]:
        """Return the answers for scores, as `predict` does."""
        return self.task_type.answer(score, self.classes, self.threshold)

    def columns(self, score: Floats) -> dict[str, npt.NDArray[Any]]:
        """Return what is published of a score, by column: ``score``, and what the task adds to it."""
        return self.task_type.columns(score, self.classes, self.residual_quantiles)

    def interval_of(self, score: Floats) -> tuple[Floats, Floats]:
        """Return the interval around a score, as `interval` does."""
        return self.task_type.interval(score, self.residual_quantiles)
