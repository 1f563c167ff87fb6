"""One of several classes, from the probability of each."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.errors import NotTrainable
from tidemill.modeling.tasks.task_type import MAX_CLASSES, Classes, Floats, TaskType

__all__ = ["Multiclass", "row_sums"]

_TOLERANCE = 1e-6  # how far the probabilities of a row may be from 1 in total


class Multiclass(TaskType):
    """One of several classes; a score is the probability of each, shape (n_samples, n_classes)."""

    name = "multiclass"
    score_per_class = True

    def classes_of(self, y: npt.ArrayLike) -> Classes:
        """Return the classes in alphabetical order."""
        return tuple(sorted(set(_texts(y))))

    def encode(self, y: npt.ArrayLike, classes: Classes) -> npt.NDArray[Any]:
        """Return positions in ``classes``; -1 for an unknown class."""
        return pd.Index(list(map(str, classes)), dtype=object).get_indexer(pd.Index(_texts(y)))

    def known(self, encoded: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which labels belong to a class of the train set."""
        return np.asarray(encoded >= 0)

    def refuse_untrainable(self, y: npt.NDArray[Any], classes: Classes) -> None:
        """Refuse a train set that is too small, or has one class or too many."""
        super().refuse_untrainable(y, classes)
        if not 2 <= len(classes) <= MAX_CLASSES:
            found = f"{len(classes):,} classes" if len(classes) > 1 else f"all of class {classes[0]!r}"
            raise NotTrainable(
                f"The train set has {self.counts(y)}, {found}; 2 to {MAX_CLASSES} classes are needed.",
                "Check 'label.column' and the labels query, or lengthen 'train.window'.",
            )

    def shaped(self, raw: Floats) -> Floats:
        """Return probabilities that sum to 1 per row; of two classes the estimator may return only the second."""
        both = np.column_stack([1 - np.ravel(raw), np.ravel(raw)]) if raw.ndim == 1 or raw.shape[1] == 1 else raw
        return np.ascontiguousarray(both / row_sums(both)[:, None])

    def answer(self, score: Floats, classes: Classes, threshold: float | None) -> npt.NDArray[Any]:
        """Return the most probable class."""
        return np.asarray(np.asarray(classes, dtype=object)[score.argmax(axis=1)])

    def columns(
        self, score: Floats, classes: Classes, residual_quantiles: tuple[float, float] | None
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the score of the most probable class, and the class as ``predicted``."""
        return {"score": score.max(axis=1, initial=0.0), "predicted": self.answer(score, classes, None)}

    def unsound(self, score: Floats) -> str | None:
        """Return what is wrong with finite scores, or None."""
        if flaw := super().unsound(score):
            return flaw
        apart = np.abs(score.sum(axis=1) - 1) > _TOLERANCE
        return "the probabilities of the classes do not sum to 1" if apart.any() else None

    def target_type(self, n_classes: int) -> str:
        """Return ``multiclass``, or ``binary`` for two classes."""
        return "multiclass" if n_classes > 2 else "binary"


def row_sums(values: Floats) -> Floats:
    """Sum each row column by column, so that its bits do not depend on the number of rows."""
    total = np.zeros(len(values))
    for column in values.T:
        total += column
    return total


def _texts(y: npt.ArrayLike) -> npt.NDArray[np.object_]:
    labels = np.asarray(y, dtype=object)
    if pd.isna(labels).any():
        raise ValueError("labels must be texts, without missing values")
    return np.array([str(label) for label in labels], dtype=object)
