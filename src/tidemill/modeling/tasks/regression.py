"""A number, and an interval around it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.errors import NotTrainable
from tidemill.modeling.tasks.task_type import Classes, Floats, TaskType

__all__ = ["Regression"]

_LARGEST = 1e30  # estimators read float32, and square their errors


class Regression(TaskType):
    """A number; a score is the predicted value, shape (n_samples,)."""

    name = "regression"
    has_classes = False

    def classes_of(self, y: npt.ArrayLike) -> Classes:
        """Return no classes."""
        return ()

    def encode(self, y: npt.ArrayLike, classes: Classes) -> npt.NDArray[Any]:
        """Return labels as float64."""
        numbers = np.asarray(y).astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("labels must be finite numbers, without missing values")
        return numbers

    def refuse_untrainable(self, y: npt.NDArray[Any], classes: Classes) -> None:
        """Refuse a train set that is too small, constant, or has labels too large for float32."""
        super().refuse_untrainable(y, classes)
        if np.abs(y).max() > _LARGEST:
            raise NotTrainable(
                f"The train set has {self.counts(y)}, with a label of {y[np.abs(y).argmax()]:.3g}; "
                f"numbers up to {_LARGEST:.3g} fit.",
                "Choose another unit in the labels query, or correct the source.",
            )
        if np.ptp(y) == 0:
            raise NotTrainable(
                f"The train set has {self.counts(y)}, and the label is {y[0]:g} in all of them; it has to vary.",
                "Check 'label.column' and the labels query, or lengthen 'train.window'.",
            )

    def asked(self, model: Any, matrix: Floats) -> Floats:
        """Return a scikit-learn estimator's own answer."""
        return np.asarray(model.predict(matrix), dtype=np.float64)

    def interval(self, score: Floats, residual_quantiles: tuple[float, float] | None) -> tuple[Floats, Floats]:
        """Return the score plus each quantile; NaN if validation had too few rows for them."""
        below, above = residual_quantiles or (np.nan, np.nan)
        return score + below, score + above

    def columns(
        self, score: Floats, classes: Classes, residual_quantiles: tuple[float, float] | None
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the value, and ``low`` and ``high``: the ends of its interval, NaN if it has none."""
        low, high = self.interval(score, residual_quantiles)
        return {"score": score, "low": low, "high": high}

    def unsound(self, score: Floats) -> str | None:
        """Return None: any finite number will do."""
        return None

    def target_type(self, n_classes: int) -> str:
        """Return ``continuous``."""
        return "continuous"
