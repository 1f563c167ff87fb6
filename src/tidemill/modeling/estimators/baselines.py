"""Trivial models that a candidate has to beat: no feature, one feature, two features."""

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
    model = DummyRegressor(strategy="mean") if training.task == "regression" else DummyClassifier(strategy="prior")
    return transformer, model.fit(X, training.y)


def _fit_group_rate(training: Training) -> Fitted:
    """Fit the rate, or the mean label, of one categorical: the one that does best on validation, by default the first.

    Without a categorical there is one group, and its rate is the prior.
    """
    groups = [_fit_group(training, name) for name in training.schema.categorical]
    if not groups:
        return _fit_prior(training)
    return groups[int(np.argmax([_quality(training, *group) for group in groups]))]


def _fit_group(training: Training, name: str) -> Fitted:
    transformer = preprocessing.for_trees(FeatureSchema(categorical=(name,)))
    X, _ = training.matrices(transformer)
    kind = preprocessing.target_type(training.task, training.n_classes)
    return transformer, TargetEncoder(target_type=kind, smooth=preprocessing.SMOOTHING).fit(X, training.y)


def _quality(training: Training, transformer: Any, model: Any) -> float:
    """Return the task's metric on the validation set, the higher the better."""
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
    estimator = DecisionTreeRegressor if training.task == "regression" else DecisionTreeClassifier
    model = estimator(max_depth=2, min_samples_leaf=20, random_state=training.random_state)
    return transformer, model.fit(X, training.y)


PRIOR = Recipe(_fit_prior)
"""The same for every row: the shares of the classes, or the mean label."""

GROUP_RATE = Recipe(_fit_group_rate)
"""The rate or the mean label of the row's group."""

SHALLOW_TREE = Recipe(_fit_shallow_tree)
"""A tree of two levels."""
