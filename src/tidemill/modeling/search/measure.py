"""What a setting is worth: fitted on each fold and measured on what follows, and compared with another in pairs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.estimators import Prepared, prepare
from tidemill.modeling.metrics import Pair, mean_difference, point_value
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.search.folds import Fold
from tidemill.modeling.search.search import Measured
from tidemill.records import MetricValue, Parameters
from tidemill.spec import Own

__all__ = ["FoldSet"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """One fold."""

    prepared: Prepared
    """Its train rows, made ready once; the measured rows stop boosting, as the validation set does afterwards."""
    X: pd.DataFrame
    """Measured rows."""
    y: npt.NDArray[Any]
    """Their labels."""
    blocks: npt.NDArray[np.object_]
    """Their partitions."""


@dataclass(frozen=True, slots=True)
class FoldSet:
    """The folds of one search."""

    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    metric: str
    """The acceptance metric."""
    rows: tuple[_Rows, ...]
    """One entry a fold."""
    memory: dict[tuple[str, int], Measured] = field(default_factory=dict, repr=False)
    """What was measured and not forgotten, by setting and fold."""

    @classmethod
    def cut(
        cls,
        folds: Sequence[Fold],
        X: pd.DataFrame,
        y: npt.NDArray[Any],
        blocks: npt.NDArray[np.object_],
        *,
        estimator: str,
        task: str,
        metric: str,
        schema: FeatureSchema,
        random_state: int,
        n_threads: int,
        own: Mapping[str, Own] | None = None,
    ) -> "FoldSet":
        """Cut the rows of train and validation set into folds, and make each ready.

        Parameters
        ----------
        folds : sequence of Fold
            From `cut_folds`.
        X : pandas.DataFrame of shape (n_samples, n_columns)
            Raw features.
        y : ndarray of shape (n_samples,)
            Labels.
        blocks : ndarray of shape (n_samples,)
            Key of each row's partition.
        estimator, task, schema, random_state, n_threads, own
            As for `tidemill.modeling.estimators.fit`.
        metric : str
            Name of a metric of the task.

        Raises
        ------
        SpecError, NotTrainable
            As `tidemill.modeling.estimators.fit` does.
        """

        def rows(fold: Fold) -> _Rows:
            train, measured = np.isin(blocks, fold.train), np.isin(blocks, fold.validation)
            prepared = prepare(
                estimator,
                task,
                schema,
                X[train],
                y[train],
                X[measured],
                y[measured],
                random_state=random_state,
                n_threads=n_threads,
                own=own,
            )
            return _Rows(prepared=prepared, X=X[measured], y=y[measured], blocks=blocks[measured])

        return cls(task, metric, tuple(rows(fold) for fold in folds))

    def measure(self, parameters: Parameters, fold: int) -> Measured:
        """Fit a setting on a fold, and measure it on the partitions that follow; the same once more is remembered."""
        key = _key(parameters), fold
        if key not in self.memory:
            self.memory[key] = self._measure(parameters, fold)
        return self.memory[key]

    def forget_all_but(self, *settings: Parameters) -> None:
        """Forget what was measured with any other settings than these: scores of a thousand trials are much."""
        kept = {_key(parameters) for parameters in settings}
        for key in [key for key in self.memory if key[0] not in kept]:
            del self.memory[key]

    def _measure(self, parameters: Parameters, fold: int) -> Measured:
        rows = self.rows[fold]
        bundle = rows.prepared.fit(parameters)
        y_score, classes = bundle.score(rows.X), bundle.class_names
        score = point_value(self.metric, rows.y, y_score, bundle.threshold, task=self.task, classes=classes)
        return Measured(score=score, y_score=y_score, threshold=bundle.threshold, classes=classes)

    def gain(self, parameters: Parameters) -> MetricValue:
        """Return the metric with some parameters minus that with the defaults: the mean over folds, with its interval.

        Parameters
        ----------
        parameters : dict
            Settings; none of them gives 0.
        """
        pairs = [self._pair(parameters, fold) for fold in range(len(self.rows))]
        return mean_difference(self.metric, pairs, task=self.task, slice="defaults")

    def _pair(self, parameters: Parameters, fold: int) -> Pair:
        rows, a, b = self.rows[fold], self.measure(parameters, fold), self.measure({}, fold)
        return Pair(
            y_true=rows.y,
            score_a=a.y_score,
            score_b=b.y_score,
            blocks=rows.blocks,
            threshold_a=a.threshold,
            threshold_b=b.threshold,
            classes_a=a.classes,
            classes_b=b.classes,
        )


def _key(parameters: Parameters) -> str:
    return json.dumps(parameters, sort_keys=True)
