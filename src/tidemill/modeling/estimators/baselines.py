"""Trivial models that a candidate must beat: with no feature, one categorical feature, or a shallow tree."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tidemill.metrics.definitions import default_metric, greater_is_better, is_own
from tidemill.metrics.evaluation import point_value
from tidemill.metrics.statistic import median
from tidemill.modeling import preprocessing
from tidemill.modeling.answers import answer
from tidemill.modeling.estimators.recipes import Fitted, Recipe, Training
from tidemill.modeling.schema import FeatureSchema

__all__ = ["GROUP_RATE", "PRIOR", "SHALLOW_TREE"]

N_CONSTANTS = 21  # tried twice per group, since a user's metric says nothing about its optimum
Weights = npt.NDArray[np.float64] | None


def _fit_prior(training: Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, _ = training.matrices(transformer)
    if training.task_type.has_classes:
        return transformer, DummyClassifier(strategy="prior").fit(X, training.y, training.sample_weight)
    constant = _best_constant(training.y, training.metric, training.sample_weight)
    return transformer, DummyRegressor(strategy="constant", constant=constant).fit(X, training.y)


def _best_constant(y: Any, metric: str, sample_weight: Weights = None) -> float:
    """Return the best constant prediction for a metric."""
    often = np.ones(len(y)) if sample_weight is None else sample_weight
    match metric:
        case "mean_absolute_error":
            return median(np.asarray(y, dtype=np.float64), often).value
        case "median_absolute_error":
            # The midpoint of the shortest interval that contains more than half of the labels.
            order = np.argsort(y, kind="stable")
            ordered, before = y[order], np.append(0.0, np.cumsum(often[order]))
            ends = np.searchsorted(before[1:], before[:-1] + before[-1] / 2, side="right")
            inside = np.flatnonzero(ends < len(ordered))
            first = int(inside[np.argmin(ordered[ends[inside]] - ordered[inside])])
            return float((ordered[first] + ordered[ends[first]]) / 2)
        case _ if is_own(metric):
            return _searched_constant(y, metric, sample_weight)
        case _:
            return float(np.average(y, weights=sample_weight))


def _searched_constant(y: Any, metric: str, sample_weight: Weights) -> float:
    """Return the best of some constants for a user's metric: quantiles, then numbers around the best one."""
    sign = 1.0 if greater_is_better(metric) else -1.0

    def goodness(constant: float) -> float:
        value = point_value(metric, y, np.full(len(y), constant), task="regression", sample_weight=sample_weight)
        return sign * value if np.isfinite(value) else -np.inf

    choices = np.append(np.quantile(y, np.linspace(0, 1, N_CONSTANTS)), np.average(y, weights=sample_weight))
    ordered = np.unique(choices)
    at = int(np.argmax([goodness(constant) for constant in ordered]))
    around = np.linspace(ordered[max(at - 1, 0)], ordered[min(at + 1, len(ordered) - 1)], N_CONSTANTS)
    return float(max((ordered[at], *around), key=goodness))


def _fit_group_rate(training: Training) -> Fitted:
    """Fit the rate, or the best constant, per level of the categorical feature that scores best on validation.

    Without validation rows, the first one is used; without categorical features, this is the prior.
    """
    groups = [_fit_group(training, name) for name in training.schema.categorical]
    if not groups:
        return _fit_prior(training)
    return groups[int(np.argmax([_quality(training, *group) for group in groups]))]


def _fit_group(training: Training, name: str) -> Fitted:
    transformer = preprocessing.for_trees(FeatureSchema(categorical=(name,)))
    X, _ = training.matrices(transformer)
    kind = training.task_type.target_type(training.n_classes)
    encoder = TargetEncoder(target_type=kind, smooth=preprocessing.SMOOTHING).fit(X, training.y)
    codes = np.asarray(X)[:, 0]
    if not training.task_type.has_classes:
        return transformer, _recentred(encoder, codes, training)
    if training.sample_weight is None:
        return transformer, encoder
    return transformer, _reweighted(encoder, codes, training, training.sample_weight)


def _recentred(encoder: TargetEncoder, codes: Any, training: Training) -> TargetEncoder:
    """Replace the mean of each group by its best constant, smoothed."""
    whole = _best_constant(training.y, training.metric, training.sample_weight)
    for position, rows in enumerate(_rows_by_level(encoder, codes)):
        own = _best_constant(training.y[rows], training.metric, _at(training.sample_weight, rows))
        counts = rows.sum() if training.sample_weight is None else training.sample_weight[rows].sum()
        weight = counts / (counts + preprocessing.SMOOTHING)
        encoder.encodings_[0][position] = weight * own + (1 - weight) * whole
    encoder.target_mean_ = whole
    return encoder


def _reweighted(
    encoder: TargetEncoder, codes: Any, training: Training, often: npt.NDArray[np.float64]
) -> TargetEncoder:
    """Replace the rate of each group, for each class, by that of weighted rows, smoothed alike."""
    levels = _rows_by_level(encoder, codes)
    is_class = [training.y == 1] if training.n_classes == 2 else [training.y == at for at in range(training.n_classes)]
    whole = [float(np.average(one, weights=often)) for one in is_class]
    for column, (one, mean) in enumerate(zip(is_class, whole, strict=True)):
        for position, rows in enumerate(levels):
            total = often[rows].sum() + preprocessing.SMOOTHING
            encoder.encodings_[column][position] = (often[rows & one].sum() + preprocessing.SMOOTHING * mean) / total
    encoder.target_mean_ = whole[0] if training.n_classes == 2 else np.array(whole)
    return encoder


def _rows_by_level(encoder: TargetEncoder, codes: Any) -> list[npt.NDArray[np.bool_]]:
    return [np.isnan(codes) if np.isnan(level) else codes == level for level in encoder.categories_[0]]


def _at(weights: Weights, rows: npt.NDArray[np.bool_]) -> Weights:
    return None if weights is None else weights[rows]


def _quality(training: Training, transformer: Any, model: Any) -> float:
    """Return the task's metric on the validation set, signed so that higher is better."""
    if not len(training.X_validation):
        return -np.inf
    matrix = transformer.transform(training.X_validation)
    rates = answer(model, matrix, task=training.task, n_threads=training.n_threads, block_rows=None)
    metric = default_metric(training.task)
    value = point_value(
        metric, training.y_validation, rates, task=training.task, sample_weight=training.validation_weight
    )
    return float(np.nan_to_num(value if greater_is_better(metric) else -value, nan=-np.inf, neginf=-np.inf))


def _fit_shallow_tree(training: Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, _ = training.matrices(transformer)
    estimator = training.task_type.pick(DecisionTreeClassifier, DecisionTreeRegressor)
    model = estimator(max_depth=2, min_samples_leaf=20, random_state=training.random_state)
    model.fit(X, training.y, training.sample_weight)
    if not training.task_type.has_classes:
        leaves = model.apply(X)
        for leaf in np.unique(leaves):
            rows = leaves == leaf
            own = _best_constant(training.y[rows], training.metric, _at(training.sample_weight, rows))
            model.tree_.value[leaf, 0, 0] = own
    return transformer, model


PRIOR = Recipe(_fit_prior)
"""One prediction for all rows: the class shares, or the best constant for the metric that decides."""

GROUP_RATE = Recipe(_fit_group_rate)
"""The rate of the row's group, or its best constant."""

SHALLOW_TREE = Recipe(_fit_shallow_tree)
"""A decision tree of depth 2."""
