"""Evaluate a setting: fit and finish it on each fold, measure it on later rows, and compare it in pairs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.metrics.differences import Pair, mean_difference
from tidemill.metrics.evaluation import point_value
from tidemill.metrics.rows import Columns
from tidemill.modeling.calibration import newer_half
from tidemill.modeling.estimators import ClassWeight, Prepared, SetWeights, prepare
from tidemill.modeling.postprocess import Validated, finish
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.search.folds import Fold
from tidemill.modeling.search.search import Measured
from tidemill.records import MetricValue, Parameters
from tidemill.spec import Own

__all__ = ["Fitting", "FoldSet"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """One fold."""

    prepared: Prepared
    """Its prepared train rows; the measured rows stop boosting, as the validation set does in the final fit."""
    X: pd.DataFrame
    """Features of the measured rows."""
    y: npt.NDArray[Any]
    """Labels of the measured rows."""
    blocks: npt.NDArray[np.object_]
    """Partition keys of the measured rows."""
    newer: npt.NDArray[np.bool_]
    """Measured rows on which the calibration is fitted."""
    often: npt.NDArray[np.float64] | None
    """How often each measured row counts; None for once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """How each fold is fitted, finished and measured: like a candidate on the train and validation set."""

    estimator: str
    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    metric: str
    """The acceptance metric."""
    schema: FeatureSchema
    """Features to read."""
    random_state: int
    """Seed, 0 to 2**32 - 1."""
    n_threads: int
    """Threads to fit with, from 1."""
    own: Mapping[str, Own] | None = None
    """Custom estimators by name."""
    calibration: str = "none"
    """``none``, ``isotonic`` or ``sigmoid``."""
    threshold: str = "f1"
    """Rule, as in `tidemill.modeling.threshold.choose_threshold`."""

    class_weight: ClassWeight = None
    """As ``train.class_weight`` of the spec."""

    def prepared(
        self,
        train: tuple[pd.DataFrame, npt.NDArray[Any]],
        stops: tuple[pd.DataFrame, npt.NDArray[Any]],
        sample_weight: SetWeights = None,
    ) -> Prepared:
        """Prepare the rows to fit on, and the rows that stop boosting, with the weights of both."""
        return prepare(
            self.estimator,
            self.task,
            self.schema,
            *train,
            *stops,
            random_state=self.random_state,
            n_threads=self.n_threads,
            own=self.own,
            sample_weight=sample_weight,
            class_weight=self.class_weight,
        )


@dataclass(frozen=True, slots=True)
class FoldSet:
    """The folds of one search."""

    fitting: Fitting
    """How they are fitted and measured."""
    rows: tuple[_Rows, ...]
    """One entry per fold."""
    memory: dict[tuple[str, int], Measured] = field(default_factory=dict, repr=False)
    """Cached results by setting and fold."""

    @classmethod
    def cut(
        cls,
        folds: Sequence[Fold],
        X: pd.DataFrame,
        y: npt.NDArray[Any],
        blocks: npt.NDArray[np.object_],
        fitting: Fitting,
        sample_weight: npt.NDArray[np.float64] | None = None,
    ) -> "FoldSet":
        """Cut the rows of train and validation set into folds, and prepare each.

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
        sample_weight : ndarray of shape (n_samples,), optional
            How often each row counts, above 0.

        Raises
        ------
        SpecError, NotTrainable
            As for `tidemill.modeling.estimators.fit`.
        """

        def rows(fold: Fold) -> _Rows:
            train, measured = np.isin(blocks, fold.train), np.flatnonzero(np.isin(blocks, fold.validation))
            newer = newer_half(blocks[measured])
            stops = measured if fitting.calibration == "none" else measured[~newer]
            of_sets = None if sample_weight is None else (sample_weight[train], sample_weight[stops])
            return _Rows(
                prepared=fitting.prepared((X[train], y[train]), (X.iloc[stops], y[stops]), of_sets),
                X=X.iloc[measured],
                y=y[measured],
                blocks=blocks[measured],
                newer=newer,
                often=None if sample_weight is None else sample_weight[measured],
            )

        return cls(fitting, tuple(rows(fold) for fold in folds))

    def measure(self, parameters: Parameters, fold: int) -> Measured:
        """Fit a setting on a fold, and measure it on the following partitions; the result is cached."""
        key = _key(parameters), fold
        if key not in self.memory:
            self.memory[key] = self._measure(parameters, fold)
        return self.memory[key]

    def forget_all_but(self, *settings: Parameters) -> None:
        """Drop the cached results of all other settings: scores of a thousand trials take too much memory."""
        kept = {_key(parameters) for parameters in settings}
        for key in [key for key in self.memory if key[0] not in kept]:
            del self.memory[key]

    def _measure(self, parameters: Parameters, fold: int) -> Measured:
        rows = self.rows[fold]
        how, bundle = self.fitting, rows.prepared.fit(parameters)
        raw = bundle.score(rows.X)
        validated = Validated(score=raw, y=rows.y, blocks=rows.blocks, sample_weight=rows.often)
        bundle = finish(
            bundle, validated, calibration=how.calibration, calibrate_on=rows.newer, threshold=how.threshold
        )
        y_score, classes = bundle.calibrated(raw), bundle.class_names
        columns: Columns = {"classes": classes, "sample_weight": rows.often, "partitions": rows.blocks}
        score = point_value(how.metric, rows.y, y_score, bundle.threshold, task=how.task, **columns)
        return Measured(score=score, y_score=y_score, threshold=bundle.threshold, classes=classes)

    def gain(self, parameters: Parameters) -> MetricValue:
        """Return the metric of a setting minus that of the defaults: the mean over folds, with its interval.

        Parameters
        ----------
        parameters : dict
            Parameters; an empty dict returns 0.
        """
        pairs = [self._pair(parameters, fold) for fold in range(len(self.rows))]
        return mean_difference(self.fitting.metric, pairs, task=self.fitting.task, slice="defaults")

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
            sample_weight=rows.often,
        )


def _key(parameters: Parameters) -> str:
    return json.dumps(parameters, sort_keys=True)
