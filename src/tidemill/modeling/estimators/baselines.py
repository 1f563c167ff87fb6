"""Trivial models that a candidate must beat: with no feature, one categorical feature, or a shallow tree."""

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tidemill.modeling import preprocessing
from tidemill.modeling.answers import answer
from tidemill.modeling.estimators.recipes import Fitted, Recipe, Training
from tidemill.modeling.metrics import default_metric, greater_is_better, point_value
from tidemill.modeling.schema import FeatureSchema

__all__ = ["GROUP_RATE", "PRIOR", "SHALLOW_TREE"]


def _fit_prior(training: Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, _ = training.matrices(transformer)
    if training.task_type.has_classes:
        return transformer, DummyClassifier(strategy="prior").fit(X, training.y)
    constant = _best_constant(training.y, training.metric)
    return transformer, DummyRegressor(strategy="constant", constant=constant).fit(X, training.y)


def _best_constant(y: Any, metric: str) -> float:
    """Return the best constant prediction for a metric."""
    match metric:
        case "mean_absolute_error":
            return float(np.median(y))
        case "median_absolute_error":  # the midpoint of the shortest interval that contains half of the labels
            ordered = np.sort(y)
            half = len(ordered) // 2 + 1
            width = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
            first = int(np.argmin(width))
            return float((ordered[first] + ordered[first + half - 1]) / 2)
        case _:
            return float(np.mean(y))


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
    return transformer, _recentred(
        encoder, np.asarray(X)[:, 0], training
    ) if not training.task_type.has_classes else encoder


def _recentred(encoder: TargetEncoder, codes: Any, training: Training) -> TargetEncoder:
    """Replace the mean of each group by its best constant, smoothed."""
    whole = _best_constant(training.y, training.metric)
    for position, level in enumerate(encoder.categories_[0]):
        rows = np.isnan(codes) if np.isnan(level) else codes == level
        own = _best_constant(training.y[rows], training.metric)
        weight = rows.sum() / (rows.sum() + preprocessing.SMOOTHING)
        encoder.encodings_[0][position] = weight * own + (1 - weight) * whole
    encoder.target_mean_ = whole
    return encoder


def _quality(training: Training, transformer: Any, model: Any) -> float:
    """Return the task's metric on the validation set, signed so that higher is better."""
    if not len(training.X_validation):
        return -np.inf
    matrix = transformer.transform(training.X_validation)
    rates = answer(model, matrix, task=training.task, n_threads=training.n_threads, block_rows=None)
    metric = default_metric(training.task)
    value = point_value(metric, training.y_validation, rates, task=training.task)
    return float(np.nan_to_num(value if greater_is_better(metric) else -value, nan=-np.inf, neginf=-np.inf))


def _fit_shallow_tree(training: Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, _ = training.matrices(transformer)
    estimator = training.task_type.pick(DecisionTreeClassifier, DecisionTreeRegressor)
    model = estimator(max_depth=2, min_samples_leaf=20, random_state=training.random_state).fit(X, training.y)
    if not training.task_type.has_classes:
        leaves = model.apply(X)
        for leaf in np.unique(leaves):
            model.tree_.value[leaf, 0, 0] = _best_constant(training.y[leaves == leaf], training.metric)
    return transformer, model


PRIOR = Recipe(_fit_prior)
"""One prediction for all rows: the class shares, or the best constant for the metric that decides."""

GROUP_RATE = Recipe(_fit_group_rate)
"""The rate of the row's group, or its best constant."""

SHALLOW_TREE = Recipe(_fit_shallow_tree)
"""A decision tree of depth 2."""
