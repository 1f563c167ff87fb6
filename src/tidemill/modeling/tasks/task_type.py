"""What every task type decides, and what most of them share."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tidemill.errors import NotTrainable

__all__ = ["LENGTHEN", "MAX_CLASSES", "MIN_TRAIN_ROWS", "Classes", "Floats", "TaskType"]

MIN_TRAIN_ROWS = 100
"""Labelled rows that a train set needs at least."""
MAX_CLASSES = 200
"""Classes beyond which a label is taken for a key or a number."""
LENGTHEN = "Lengthen 'train.window', or wait until more labels have matured."

Classes = tuple[bool, ...] | tuple[str, ...]
Floats = npt.NDArray[np.float64]


class TaskType(ABC):
    """The decisions of one kind of answer; it holds no state."""

    name: ClassVar[str]
    """As specs and bundles write it."""
    has_classes: ClassVar[bool] = True
    """Whether labels are classes, so that scores are probabilities."""
    score_per_class: ClassVar[bool] = False
    """Whether a score has one column per class."""
    first_threshold: ClassVar[float | None] = None
    """Threshold of a model before one is chosen; None if the task has none."""

    @property
    def has_threshold(self) -> bool:
        """Whether a threshold turns a score into an answer."""
        return self.first_threshold is not None

    # ---------------------------------------------------------------- labels

    @abstractmethod
    def classes_of(self, y: npt.ArrayLike) -> Classes:
        """Return the labels that a model can answer with, in the order of a score's columns."""

    @abstractmethod
    def encode(self, y: npt.ArrayLike, classes: Classes) -> npt.NDArray[Any]:
        """Return labels as an estimator takes them: 0 and 1, positions in ``classes`` (-1 if unknown), or numbers.

        Raises
        ------
        ValueError
            If a label is missing or of another kind.
        """

    def known(self, encoded: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which encoded labels the train set has, too."""
        return np.full(len(encoded), True)

    def refuse_untrainable(self, y: npt.NDArray[Any], classes: Classes) -> None:
        """Refuse encoded labels of a train set that is too small, or whose label never changes.

        Raises
        ------
        NotTrainable
            With the counts.
        """
        if len(y) < MIN_TRAIN_ROWS:
            counts = self.counts(y)
            raise NotTrainable(f"The train set has {counts}; at least {MIN_TRAIN_ROWS} rows are needed.", LENGTHEN)

    def counts(self, y: npt.NDArray[Any]) -> str:
        """Return the numbers of labels in words."""
        return f"{len(y)} labelled rows"

    # ---------------------------------------------------------------- scores

    def asked(self, model: Any, matrix: Floats) -> Floats:
        """Return a scikit-learn estimator's own answer."""
        return np.asarray(model.predict_proba(matrix), dtype=np.float64)

    def shaped(self, raw: Floats) -> Floats:
        """Return an estimator's own answer as scores, contiguous."""
        return np.ascontiguousarray(raw[:, -1] if raw.ndim == 2 else raw)

    def no_scores(self, n_classes: int) -> Floats:
        """Return the scores of no rows."""
        return np.empty((0, n_classes) if self.score_per_class else 0)

    def class_names(self, classes: Classes) -> tuple[str, ...] | None:
        """Return the names of a score's columns; None if it has none."""
        return tuple(map(str, classes)) if self.score_per_class else None

    def answer(self, score: Floats, classes: Classes, threshold: float | None) -> npt.NDArray[Any]:
        """Return what a score means: the answer of each row."""
        return np.asarray(score if threshold is None else score >= threshold)

    def columns(
        self, score: Floats, classes: Classes, residual_quantiles: tuple[float, float] | None
    ) -> dict[str, npt.NDArray[Any]]:
        """Return what is published of a score, by column: always ``score``, one number per row."""
        return {"score": score}

    def interval(self, score: Floats, residual_quantiles: tuple[float, float] | None) -> tuple[Floats, Floats]:
        """Return the ends of an interval around each score; NaN if the bundle has none.

        Raises
        ------
        ValueError
            If the task has no intervals.
        """
        raise ValueError(f"a {self.name} model has no interval")

    def unsound(self, score: Floats) -> str | None:
        """Return what is wrong with finite scores, or None."""
        outside = int(((score < 0) | (score > 1)).sum())
        return f"{outside} of {score.size} scores lie outside 0 to 1" if outside else None

    # ---------------------------------------------------------------- fitting

    def pick(self, classifier: Any, regressor: Any) -> Any:
        """Return the one of two estimator classes that fits the task."""
        return classifier if self.has_classes else regressor

    @abstractmethod
    def target_type(self, n_classes: int) -> str:
        """Return the task in the words of scikit-learn's `TargetEncoder`."""
