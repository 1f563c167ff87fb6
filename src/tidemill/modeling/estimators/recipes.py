"""Recipes (how an estimator is fitted for its tasks) and their input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling import preprocessing
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.tasks import TaskType, task_type

__all__ = ["Fitted", "Parameter", "Recipe", "Training"]

Fitted = tuple[Any, Any]  # preprocessing and model
Parameter = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Input of a recipe: aligned features, encoded labels and settings."""

    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    schema: FeatureSchema
    X: pd.DataFrame
    """Aligned features of the train set."""
    y: npt.NDArray[Any]
    """0 and 1, codes of classes, or numbers."""
    X_validation: pd.DataFrame
    """Aligned features of the validation rows whose label also occurs in the train set."""
    y_validation: npt.NDArray[Any]
    """Labels of ``X_validation``, encoded as ``y``."""
    n_classes: int
    """Classes in the train set; 0 for a regression."""
    random_state: int
    n_threads: int
    parameters: Mapping[str, Parameter]
    """Overrides of the recipe's defaults."""
    metric: str
    """Metric that decides; regression baselines fit the best constant for it."""
    sample_weight: npt.NDArray[np.float64] | None = None
    """How often each train row counts, above 0; None for once."""
    validation_weight: npt.NDArray[np.float64] | None = None
    """How often each row of ``X_validation`` counts; None for once."""
    memory: dict[Any, Any] = field(default_factory=dict, repr=False)
    """Cache of results that do not depend on parameters: encodings, bins."""

    @property
    def task_type(self) -> TaskType:
        """The task's type object."""
        return task_type(self.task)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the cached result of a key, or compute it; it must not depend on parameters."""
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]

    def encoded(self, encoding: str) -> tuple[Any, Any, Any]:
        """Return the transformer of an encoding, fitted on the train set, and the train and validation matrices.

        Parameters
        ----------
        encoding : str
            ``codes`` for trees, ``rates`` of the label, or scaled ``columns``.
        """

        def encode() -> tuple[Any, Any, Any]:
            transformer = self._transformer(encoding)
            X, X_validation = self.matrices(transformer)
            if encoding == "columns" and self.sample_weight is not None:
                preprocessing.reweight(transformer, self.X[list(self.schema.numeric)], self.sample_weight)
                X = transformer.transform(self.X)
                X_validation = transformer.transform(self.X_validation) if len(self.X_validation) else X[:0]
            return transformer, X, X_validation

        found: tuple[Any, Any, Any] = self.once(("encoded", encoding), encode)
        return found

    def matrices(self, transformer: Any) -> tuple[Any, Any]:
        """Fit a transformer on the train set, and return the train and validation matrices."""
        X = transformer.fit_transform(self.X, self.y)
        return X, (transformer.transform(self.X_validation) if len(self.X_validation) else X[:0])

    def settings(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return a recipe's defaults with the overrides applied."""
        return {**defaults, **self.parameters}

    def _transformer(self, encoding: str) -> Any:
        match encoding:
            case "codes":
                return preprocessing.for_trees(self.schema)
            case "rates":
                return preprocessing.for_target_rates(self.schema, self.X, self.random_state, self.task, self.n_classes)
            case _:
                return preprocessing.for_linear(self.schema)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One estimator of the registry."""

    fit: Callable[[Training], Fitted]
    """Fits preprocessing and model."""
    parameters: tuple[str, ...] = ()
    """Parameters that may be set."""
    rounds: tuple[str, Callable[[Any], int]] | None = None
    """The parameter with the number of rounds, and how many a fitted model has; None without rounds."""
