"""The registry of estimators, and the one door through which a model is fitted.

A name in the spec picks a recipe; defaults are meant to be good for some ten thousand rows of a few dozen columns.
Everything random hangs on ``random_state``: the same rows, order, seed and threads give the same model, bit by bit.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from tidemill.errors import NotTrainable, SpecError
from tidemill.modeling import preprocessing
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.metrics import point_value
from tidemill.modeling.schema import FeatureSchema, align
from tidemill.modeling.threshold import choose_threshold
from tidemill.spec import BASELINES

__all__ = ["CANDIDATES", "MIN_TRAIN_ROWS", "fit"]

MIN_TRAIN_ROWS = 100
"""Rows below which nothing worth keeping can be learnt."""

_PATIENCE = 50  # boosting rounds without improvement on the validation set before stopping
_MAX_ROUNDS = 1000  # boosting rounds; at a learning rate of 0.05 early stopping comes long before
_ROUNDS_WITHOUT_VALIDATION = 200  # boosting rounds when there is nothing to stop on
_XGBOOST = {
    "objective": "binary:logistic",
    "eval_metric": "auc",  # the loss stops too early when the validation weeks have another base rate
    "tree_method": "hist",
    "learning_rate": 0.05,
    "max_depth": 5,
    "min_child_weight": 20.0,
    "reg_lambda": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """What a recipe gets: aligned features and labels of 0 and 1."""

    schema: FeatureSchema
    X: pd.DataFrame
    y: npt.NDArray[np.int8]
    X_validation: pd.DataFrame
    y_validation: npt.NDArray[np.int8]
    random_state: int
    n_threads: int

    def matrices(self, transformer: Any) -> tuple[Any, Any]:
        """Fit a transformer on the train set; give the train and the validation matrix."""
        X = transformer.fit_transform(self.X, self.y)
        return X, (transformer.transform(self.X_validation) if len(self.X_validation) else X[:0])


Fitted = tuple[Any, Any]  # preprocessing and model


def fit(
    estimator: str,
    task: str,
    schema: FeatureSchema,
    X_train: pd.DataFrame,
    y_train: npt.ArrayLike,
    X_validation: pd.DataFrame,
    y_validation: npt.ArrayLike,
    *,
    random_state: int,
    n_threads: int,
) -> Bundle:
    """Fit one estimator and choose its threshold.

    Parameters
    ----------
    estimator : str
        A name of `CANDIDATES`, or of a baseline.
    task : str
        ``binary``; the other tasks are refused for now.
    schema : FeatureSchema
        Features to read.
    X_train, X_validation : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features. The validation set stops boosting and chooses the threshold; it may be empty.
    y_train, y_validation : array-like of shape (n_samples,)
        Booleans, or 0 and 1.
    random_state : int
        Seed, 0 to 2**32 - 1.
    n_threads : int
        Threads to fit with, from 1.

    Raises
    ------
    SpecError
        If the estimator is unknown, cannot work with the schema, or the task is not supported.
    NotTrainable
        If the train set has fewer than 100 rows or a single class.
    SchemaChanged, ContractBroken
        If the frames cannot be aligned.
    """
    recipe = _recipe(estimator)
    _check_spec(estimator, task, schema)
    y = _labels(y_train)
    _check_trainable(y)
    training = _Training(
        schema=schema,
        X=align(X_train, schema),
        y=y,
        X_validation=align(X_validation, schema),
        y_validation=_labels(y_validation),
        random_state=random_state,
        n_threads=n_threads,
    )
    with threadpool_limits(limits=n_threads):  # OpenMP and BLAS take all cores otherwise, and sums follow the threads
        transformer, model = recipe(training)
    bundle = Bundle(
        task=task,
        estimator=estimator,
        schema=schema,
        preprocessing=transformer,
        model=model,
        threshold=0.5,
        threshold_criterion="not chosen yet",
        random_state=random_state,
        n_threads=n_threads,
    )
    threshold, criterion = choose_threshold(training.y_validation, bundle.score(training.X_validation))
    return replace(bundle, threshold=threshold, threshold_criterion=criterion)


def _fit_xgboost(training: _Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, X_validation = training.matrices(transformer)
    kinds = ["q"] * len(training.schema.numeric) + ["c"] * len(training.schema.categorical)
    train = _quantiles(X, training.y, kinds, training.n_threads)
    watched = []
    if len(X_validation):
        watched = [
            (_quantiles(X_validation, training.y_validation, kinds, training.n_threads, ref=train), "validation")
        ]
    booster = xgboost.train(
        {**_XGBOOST, "seed": training.random_state, "nthread": training.n_threads, "verbosity": 0},
        train,
        num_boost_round=_MAX_ROUNDS if watched else _ROUNDS_WITHOUT_VALIDATION,
        evals=watched,
        early_stopping_rounds=_PATIENCE if watched else None,
        verbose_eval=False,
    )
    return transformer, booster[: booster.best_iteration + 1] if watched else booster


def _quantiles(X: Any, y: npt.NDArray[np.int8], kinds: list[str], n_threads: int, ref: Any = None) -> Any:
    return xgboost.QuantileDMatrix(
        X.astype(np.float32), label=y, feature_types=kinds, enable_categorical=True, nthread=n_threads, ref=ref
    )


def _fit_hist_gradient_boosting(training: _Training) -> Fitted:
    # Its native categoricals would put functools.partial on the list of types that a bundle may construct.
    transformer = preprocessing.for_target_rates(training.schema, training.X, training.random_state)
    X, X_validation = training.matrices(transformer)
    both = len(np.unique(training.y_validation)) == 2  # it refuses to watch a single class
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=_MAX_ROUNDS if both else _ROUNDS_WITHOUT_VALIDATION,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=both,
        n_iter_no_change=_PATIENCE,
        random_state=training.random_state,
    )
    watched = {"X_val": X_validation, "y_val": training.y_validation} if both else {}
    return transformer, model.fit(X, training.y, **watched)


def _fit_logistic_regression(training: _Training) -> Fitted:
    transformer = preprocessing.for_linear(training.schema)
    X, _ = training.matrices(transformer)
    return transformer, LogisticRegression(max_iter=2000, random_state=training.random_state).fit(X, training.y)


def _fit_random_forest(training: _Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, _ = training.matrices(transformer)
    model = RandomForestClassifier(
        n_estimators=150,
        max_depth=12,
        min_samples_leaf=20,
        n_jobs=training.n_threads,
        random_state=training.random_state,
    ).fit(X, training.y)
    return transformer, model.set_params(n_jobs=1)  # threads add up the trees in the order in which they finish


def _fit_prior(training: _Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, _ = training.matrices(transformer)
    return transformer, DummyClassifier(strategy="prior").fit(X, training.y)


def _fit_group_rate(training: _Training) -> Fitted:
    """Fit the rate of one categorical: the one that ranks the validation set best, by default the first.

    Without a categorical there is one group, and its rate is the prior.
    """
    if not training.schema.categorical:
        return _fit_prior(training)
    best, best_auc = None, -np.inf
    for name in training.schema.categorical:
        transformer = preprocessing.for_trees(FeatureSchema(categorical=(name,)))
        X, X_validation = training.matrices(transformer)
        model = TargetEncoder(target_type="binary", smooth=preprocessing.SMOOTHING).fit(X, training.y)
        rates = model.transform(X_validation)[:, 0] if len(X_validation) else np.empty(0)
        auc = np.nan_to_num(point_value("roc_auc", training.y_validation, rates), nan=0.0)
        if auc > best_auc:
            best, best_auc = (transformer, model), auc
    assert best is not None  # _check_spec has seen a categorical
    return best


def _fit_shallow_tree(training: _Training) -> Fitted:
    transformer = preprocessing.for_trees(training.schema)
    X, _ = training.matrices(transformer)
    model = DecisionTreeClassifier(max_depth=2, min_samples_leaf=20, random_state=training.random_state)
    return transformer, model.fit(X, training.y)


_CANDIDATES: dict[str, Callable[[_Training], Fitted]] = {
    "xgboost": _fit_xgboost,
    "hist_gradient_boosting": _fit_hist_gradient_boosting,
    "logistic_regression": _fit_logistic_regression,
    "random_forest": _fit_random_forest,
}
_BASELINES: dict[str, Callable[[_Training], Fitted]] = dict(
    zip(BASELINES, (_fit_prior, _fit_group_rate, _fit_shallow_tree), strict=True)
)

CANDIDATES = tuple(_CANDIDATES)
"""Names that a spec may list under ``train.estimators``."""


def _recipe(estimator: str) -> Callable[[_Training], Fitted]:
    known = _CANDIDATES | _BASELINES
    if estimator not in known:
        near = difflib.get_close_matches(estimator, known, n=1)
        hint = f" Is it {near[0]!r}?" if near else ""
        raise SpecError(f"Estimator {estimator!r} is unknown.{hint}", f"Choose one of {', '.join(known)}.")
    return known[estimator]


def _check_spec(estimator: str, task: str, schema: FeatureSchema) -> None:
    if task in ("multiclass", "regression"):
        raise SpecError(f"Task {task!r} is not supported yet.", "Use task 'binary'.")
    if task != "binary":
        raise SpecError(f"Task {task!r} is unknown.", "Use task 'binary'.")
    if not schema.names:
        raise SpecError("The model has no features.", "Name some under 'features' in the spec.")


def _labels(y: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Give labels as 0 and 1; anything else is the caller's mistake, since unlabelled rows are left out before."""
    labels = np.asarray(y)
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be booleans, or 0 and 1, without missing values")
    return labels.astype(np.int8)


def _check_trainable(y: npt.NDArray[np.int8]) -> None:
    n_rows, n_positive = len(y), int(y.sum())
    counts = f"{n_rows} labelled rows, {n_positive} of them positive"
    if n_rows < MIN_TRAIN_ROWS:
        raise NotTrainable(
            f"The train set has {counts}; at least {MIN_TRAIN_ROWS} rows are needed.",
            "Lengthen 'train.window', or wait until more labels have matured.",
        )
    if n_positive in (0, n_rows):
        raise NotTrainable(
            f"The train set has {counts}; both classes are needed.",
            "Check 'label.positive' and the labels query, or lengthen 'train.window'.",
        )
