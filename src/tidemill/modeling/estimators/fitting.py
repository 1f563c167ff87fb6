"""Fit a model for any task and estimator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Required, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from tidemill.errors import SpecError
from tidemill.metrics.definitions import default_metric
from tidemill.modeling.alignment import align, count_rounded
from tidemill.modeling.bundle import INTERVAL_COVERAGE, Bundle
from tidemill.modeling.conformal import residual_quantiles
from tidemill.modeling.estimators.own import BLOCK_ROWS, fit_own, refuse_unsteady
from tidemill.modeling.estimators.recipes import Fitted, Parameter, Training
from tidemill.modeling.estimators.registry import recipe_of
from tidemill.modeling.estimators.targets import ClassWeight, Labels, with_class_weight
from tidemill.modeling.schema import FeatureSchema, refuse_rounded
from tidemill.modeling.tasks import TASKS
from tidemill.modeling.threshold import choose_threshold
from tidemill.spec import BASELINES, Own
from tidemill.versions import OPTIONAL_LIBRARIES, load_library

__all__ = ["Options", "Prepared", "choose_rest", "fit", "prepare", "refuse_unfit"]

Scores = Callable[[], npt.NDArray[np.float64]]
Weights = npt.NDArray[np.float64] | None

Sets = tuple[pd.DataFrame, npt.ArrayLike, pd.DataFrame, npt.ArrayLike]


SetWeights = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None


class Options(TypedDict, total=False):
    """Keyword arguments of `fit`, `prepare` and `fit_in_pieces`."""

    random_state: Required[int]
    """Seed, 0 to 2**32 - 1."""
    n_threads: Required[int]
    """Threads to fit with, from 1."""
    parameters: Mapping[str, Parameter] | None
    """Overrides of the estimator's defaults."""
    own: Mapping[str, Own] | None
    """Custom estimators by name."""
    metric: str | None
    """Acceptance metric; defaults to that of the task."""
    sample_weight: SetWeights
    """How often each row of the train and of the validation set counts, above 0; None for once."""
    class_weight: ClassWeight
    """Further weight of each class's train rows, ``balanced`` or by class; None for none. Not for baselines."""


def fit(estimator: str, task: str, schema: FeatureSchema, *sets: *Sets, **options: Unpack[Options]) -> Bundle:
    """Fit one estimator, and choose its threshold or the quantiles of its residuals.

    Parameters
    ----------
    estimator : str
        Name of a candidate, of a baseline, or of an estimator in ``own``.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    *sets : X_train, y_train, X_validation, y_validation
        Raw features, each of shape (n_samples, n_columns), and labels, each of shape (n_samples,). Labels are booleans
        or 0 and 1 (binary), texts (multiclass), or finite numbers (regression). The validation set stops boosting and
        determines the threshold; it may be empty.
    **options : Options
        ``random_state``, ``n_threads``, and optionally ``parameters``, ``own``, ``metric``, ``sample_weight`` and
        ``class_weight``.

    Raises
    ------
    SpecError
        If the estimator or a parameter is unknown, or the estimator does not support the schema or the task, or needs a
        package that is not installed.
    NotTrainable
        If the train set has fewer than 100 rows, a single class or a constant label, or if a custom estimator rejects
        it, is not reproducible, or scores a row differently depending on the batch.
    SchemaChanged, ContractBroken
        If the frames cannot be aligned.
    """
    return prepare(estimator, task, schema, *sets, **options).fit(options.get("parameters"))


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows prepared for many fits; what does not depend on parameters is computed once."""

    estimator: str
    own: Own | None
    """Its declaration, if it is a custom estimator."""
    classes: tuple[bool, ...] | tuple[str, ...]
    """Classes in the train set."""
    remarks: tuple[str, ...]
    """Remarks about the rows, for the model card."""
    training: Training
    """Rows and settings."""

    def fit(self, parameters: Mapping[str, Parameter] | None = None) -> Bundle:
        """Fit with some parameters; errors as for `fit`."""
        training = replace(self.training, parameters=parameters or {})
        recipe = _recipe(self.estimator, training.task, training.parameters, self.own)
        # OpenMP and BLAS use all cores by default, which changes the order of sums.
        with threadpool_limits(limits=training.n_threads):
            transformer, model = recipe(training)
        bundle = Bundle(
            task=training.task,
            estimator=self.estimator,
            schema=training.schema,
            preprocessing=transformer,
            model=model,
            classes=self.classes,
            threshold=training.task_type.first_threshold,
            threshold_criterion="",
            block_rows=None if self.own is None else BLOCK_ROWS,
            remarks=self.remarks,
            random_state=training.random_state,
            n_threads=training.n_threads,
        )
        return choose_rest(
            bundle,
            training.y_validation,
            lambda: bundle.score(training.X_validation),
            training.validation_weight,
        )


def prepare(estimator: str, task: str, schema: FeatureSchema, *sets: *Sets, **options: Unpack[Options]) -> Prepared:
    """Prepare rows for several fits; arguments and errors as for `fit`."""
    X_train, y_train, X_validation, y_validation = sets
    mine = (options.get("own") or {}).get(estimator)
    refuse_unfit(estimator, task, schema, {}, mine)  # before any work
    labels = Labels.of(task, y_train, y_validation)
    refuse_rounded(count_rounded(X_train, schema), len(X_train))
    aligned = align(X_validation, schema)
    often, aside = options.get("sample_weight") or (None, None)
    classes = None if estimator in BASELINES else options.get("class_weight")
    training = Training(
        task=task,
        schema=schema,
        X=align(X_train, schema),
        y=labels.train,
        X_validation=aligned[labels.known].reset_index(drop=True),
        y_validation=labels.validation[labels.known],
        n_classes=len(labels.classes),
        random_state=options["random_state"],
        n_threads=options["n_threads"],
        parameters={},
        metric=options.get("metric") or default_metric(task),
        sample_weight=with_class_weight(labels.train, often, classes),
        validation_weight=None if aside is None else aside[labels.known],
    )
    return Prepared(estimator, mine, labels.classes, labels.remarks, training)


def choose_rest(
    bundle: Bundle, y: npt.NDArray[Any], score: Scores, sample_weight: npt.NDArray[np.float64] | None = None
) -> Bundle:
    """Choose the threshold or the quantiles of the residuals on the validation set.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Encoded labels of the validation set.
    score : callable
        Returns the scores of the validation set.
    sample_weight : ndarray of shape (n_samples,), optional
        How often each of its rows counts.
    """
    return _CHOICES[bundle.task](bundle, y, score, sample_weight)


def _threshold(bundle: Bundle, y: npt.NDArray[Any], score: Scores, often: Weights) -> Bundle:
    threshold, criterion = choose_threshold(y, score(), sample_weight=often)
    return replace(bundle, threshold=threshold, threshold_criterion=criterion)


def _likeliest(bundle: Bundle, y: npt.NDArray[Any], score: Scores, often: Weights) -> Bundle:
    return replace(bundle, threshold_criterion="the likeliest class")


def _interval(bundle: Bundle, y: npt.NDArray[Any], score: Scores, often: Weights) -> Bundle:
    residuals = y - score()
    quantiles = residual_quantiles(residuals, INTERVAL_COVERAGE, sample_weight=often)
    few = f"No interval: {len(residuals)} validation rows are too few to estimate its bounds."
    return replace(bundle, residual_quantiles=quantiles, remarks=bundle.remarks + (() if quantiles else (few,)))


_CHOICES: Mapping[str, Callable[[Bundle, npt.NDArray[Any], Scores, Weights], Bundle]] = {
    "binary": _threshold,
    "multiclass": _likeliest,
    "regression": _interval,
}
"""What each task chooses on the validation set, by task."""


def refuse_unfit(
    estimator: str, task: str, schema: FeatureSchema, parameters: Mapping[str, Parameter], own: Own | None = None
) -> None:
    """Raise for settings that can never be fitted, independent of the rows; errors as for `fit`."""
    if task not in TASKS:
        raise SpecError(f"Task {task!r} is unknown.", f"Choose one of {', '.join(TASKS)}.")
    if not schema.names:
        raise SpecError("The model has no features.", "List some under 'features' in the spec.")
    _recipe(estimator, task, parameters, own)


def _recipe(
    estimator: str, task: str, parameters: Mapping[str, Parameter], own: Own | None
) -> Callable[[Training], Fitted]:
    if own is not None:
        described = own  # for the type checker: never None inside the closure

        def fit_steadily(training: Training) -> Fitted:
            fitted = fit_own(estimator, described, training)
            refuse_unsteady(estimator, described, training, fitted)
            return fitted

        return fit_steadily
    recipe = recipe_of(estimator, task)
    if estimator in OPTIONAL_LIBRARIES:
        load_library(estimator)
    unknown = [name for name in parameters if name not in recipe.parameters]
    if unknown:
        valid = ", ".join(recipe.parameters) or "none"
        raise SpecError(
            f"Estimator {estimator!r} has no parameter {', '.join(map(repr, unknown))}.", f"Valid parameters: {valid}."
        )
    return recipe.fit
