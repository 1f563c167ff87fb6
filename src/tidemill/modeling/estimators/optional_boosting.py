"""Boosted trees of optional libraries: LightGBM with native categorical features, and CatBoost on label rates."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tidemill.errors import NotTrainable
from tidemill.modeling.boosters import CatBoostModel, LightGBMModel
from tidemill.modeling.estimators.boosting import MAX_ROUNDS, ROUNDS_WITHOUT_VALIDATION, patience
from tidemill.modeling.estimators.recipes import Fitted, Recipe, Training
from tidemill.versions import load_library

__all__ = ["CATBOOST", "LIGHTGBM"]

_LIGHTGBM = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,  # rounds; without it, LightGBM ignores bagging_fraction
    "feature_fraction": 0.8,
    "max_bin": 255,
}
_LIGHTGBM_BY_TASK: Mapping[str, dict[str, Any]] = {
    # As for XGBoost: the loss stops too early when the validation weeks have a different base rate.
    "binary": {"objective": "binary", "metric": "auc"},
    "multiclass": {"objective": "multiclass", "metric": "multi_logloss"},
    "regression": {"objective": "regression", "metric": "rmse"},
}
_CATBOOST = {"learning_rate": 0.05, "depth": 5, "l2_leaf_reg": 5.0}
_CATBOOST_BY_TASK: Mapping[str, dict[str, Any]] = {
    "binary": {"loss_function": "Logloss", "eval_metric": "AUC"},
    "multiclass": {"loss_function": "MultiClass"},
    "regression": {"loss_function": "RMSE"},
}
_MOST_SEEDS = 2**31  # LightGBM keeps a seed in 32 bits with a sign


def _fit_lightgbm(training: Training) -> Fitted:
    lightgbm = load_library("lightgbm")
    transformer, X, X_validation = training.encoded("codes")
    watched = len(X_validation) > 0
    settings = {**training.settings({**_LIGHTGBM, **_LIGHTGBM_BY_TASK[training.task]}), **_lightgbm_engine(training)}
    n_rounds = settings.pop("num_iterations", MAX_ROUNDS if watched else ROUNDS_WITHOUT_VALIDATION)

    def binned() -> Any:
        codes = list(range(len(training.schema.numeric), X.shape[1]))
        rows = lightgbm.Dataset(
            X,
            training.y,
            weight=training.sample_weight,
            categorical_feature=codes,
            params=settings,
            free_raw_data=False,
        )
        labels: dict[str, Any] = {"label": training.y_validation, "weight": training.validation_weight}
        aside = rows.create_valid(X_validation, **labels, params=settings) if watched else None
        return rows.construct(), aside and aside.construct()

    stop = [lightgbm.early_stopping(patience(settings), verbose=False)] if watched else []
    try:
        rows, aside = training.once(("lightgbm", settings["max_bin"]), binned)
        booster = lightgbm.train(settings, rows, n_rounds, valid_sets=[aside] if watched else None, callbacks=stop)
    except lightgbm.basic.LightGBMError as error:
        raise _rejected("lightgbm", error) from error
    return transformer, LightGBMModel.of(booster, booster.best_iteration if watched else None)


def _lightgbm_engine(training: Training) -> dict[str, Any]:
    """Return the settings that are nobody's choice: quiet, reproducible, and as the task and the spec demand."""
    directions = training.schema.directions(training.schema.names)
    return {
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,  # otherwise LightGBM chooses by a timing, and the order of sums with it
        "feature_pre_filter": False,  # the same bins serve every value of min_data_in_leaf
        "seed": training.random_state % _MOST_SEEDS,
        "num_threads": training.n_threads,
        **({"num_class": training.n_classes} if training.task_type.score_per_class else {}),
        **({"monotone_constraints": directions} if directions else {}),
    }


def _fit_catboost(training: Training) -> Fitted:
    catboost = load_library("catboost")
    # Not CatBoost's own statistics of categories: their stored form cannot be checked before it is loaded.
    transformer, X, X_validation = training.encoded("rates")
    watched = len(np.unique(training.y_validation)) > 1  # CatBoost rejects a validation set with a single class
    settings = training.settings({**_CATBOOST, **_CATBOOST_BY_TASK[training.task]})
    n_rounds = settings.pop("iterations", MAX_ROUNDS if watched else ROUNDS_WITHOUT_VALIDATION)
    directions = training.schema.directions(transformer.get_feature_names_out())
    model = catboost.CatBoost(
        {
            **settings,
            "iterations": n_rounds,
            "random_seed": training.random_state,
            "thread_count": training.n_threads,
            "allow_writing_files": False,
            "logging_level": "Silent",
            **({"monotone_constraints": list(directions)} if directions else {}),
        }
    )
    pools = [catboost.Pool(X, training.y, weight=training.sample_weight)]
    if watched:
        pools.append(catboost.Pool(X_validation, training.y_validation, weight=training.validation_weight))
    stop = {"early_stopping_rounds": patience(settings), "use_best_model": True} if watched else {}
    try:
        model.fit(pools[0], eval_set=pools[1:] or None, **stop)
    except catboost.CatBoostError as error:
        raise _rejected("catboost", error) from error
    return transformer, CatBoostModel.of(model, training.task)


def _rejected(estimator: str, error: Exception) -> NotTrainable:
    said = str(error).strip().splitlines()[-1].rstrip(".")
    return NotTrainable(
        f"{estimator!r} rejects the train set or its parameters: {said}.",
        "Correct 'train.search.space' or 'train.monotonic', or leave the estimator out.",
    )


LIGHTGBM = Recipe(
    _fit_lightgbm,
    parameters=(
        "learning_rate",
        "num_leaves",
        "max_depth",
        "min_data_in_leaf",
        "min_sum_hessian_in_leaf",
        "min_gain_to_split",
        "lambda_l1",
        "lambda_l2",
        "bagging_fraction",
        "bagging_freq",
        "feature_fraction",
        "feature_fraction_bynode",
        "path_smooth",
        "max_bin",
        "cat_l2",
        "cat_smooth",
        "max_cat_threshold",
        "max_cat_to_onehot",
        "min_data_per_group",
        "num_iterations",
    ),
    rounds=("num_iterations", lambda model: model.native.current_iteration()),
)
"""LightGBM on category codes; ``num_iterations`` is the maximum number of boosting rounds."""

CATBOOST = Recipe(
    _fit_catboost,
    parameters=(
        "learning_rate",
        "depth",
        "l2_leaf_reg",
        "random_strength",
        "bagging_temperature",
        "rsm",
        "border_count",
        "leaf_estimation_iterations",
        "iterations",
    ),
)
"""CatBoost on label rates; ``iterations`` is the maximum number of boosting rounds."""
