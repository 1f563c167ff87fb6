"""One of two answers, from the probability of the positive class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.errors import NotTrainable
from tidemill.modeling.tasks.task_type import Classes, TaskType

__all__ = ["Binary"]


class Binary(TaskType):
    """One of two answers; a score is the probability of the positive class, shape (n_samples,)."""

    name = "binary"
    first_threshold = 0.5

    def classes_of(self, y: npt.ArrayLike) -> Classes:
        """Return False and True."""
        return (False, True)

    def encode(self, y: npt.ArrayLike, classes: Classes) -> npt.NDArray[Any]:
        """Return labels as 0 and 1."""
        labels = np.asarray(y)
        if not np.isin(labels, (0, 1)).all():
            raise ValueError("labels must be booleans, or 0 and 1, without missing values")
        return labels.astype(np.int8)

    def counts(self, y: npt.NDArray[Any]) -> str:
        """Return the numbers of labels and of positive ones."""
        return f"{super().counts(y)}, {int(y.sum())} of them positive"

    def refuse_untrainable(self, y: npt.NDArray[Any], classes: Classes) -> None:
        """Refuse a train set that is too small, or has one class."""
        super().refuse_untrainable(y, classes)
        if int(y.sum()) in (0, len(y)):
            raise NotTrainable(
                f"The train set has {self.counts(y)}; both classes are needed.",
                "Check 'label.positive' and the labels query, or lengthen 'train.window'.",
            )

    def target_type(self, n_classes: int) -> str:
        """Return ``binary``."""
        return "binary"
