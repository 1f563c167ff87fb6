"""Boosted trees: XGBoost with native categorical features, and scikit-learn's histogram boosting on label rates."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from tidemill.modeling.estimators.recipes import Fitted, Parameter, Recipe, Training
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.tasks import task_type

__all__ = ["HIST_GRADIENT_BOOSTING", "MAX_ROUNDS", "ROUNDS_WITHOUT_VALIDATION", "XGBOOST", "Boosting", "patience"]

_PATIENCE = 50  # maximum boosting rounds without improvement on the validation set
_LEAST_PATIENCE = 15  # rounds; with fewer, noise would stop boosting
_PATIENT_STEPS = 2.5  # learning rate times rounds, so that large rates stop sooner: 0.05 times 50
MAX_ROUNDS = 1000
"""Boosting rounds; at a learning rate of 0.05, early stopping comes long before."""
ROUNDS_WITHOUT_VALIDATION = 200
"""Boosting rounds without a validation set."""

_XGBOOST = {
    "tree_method": "hist",
    "learning_rate": 0.05,
    "max_depth": 5,
    "min_child_weight": 20.0,
    "reg_lambda": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
}
_XGBOOST_BY_TASK: dict[str, dict[str, Any]] = {
    # The loss stops too early when the validation weeks have a different base rate.
    "binary": {"objective": "binary:logistic", "eval_metric": "auc"},
    # A row's weight in the leaves is p (1 - p), which is small with many classes.
    "multiclass": {"objective": "multi:softprob", "eval_metric": "mlogloss", "min_child_weight": 5.0},
    "regression": {"objective": "reg:squarederror", "eval_metric": "rmse"},
}
_HIST_GRADIENT_BOOSTING = {"learning_rate": 0.05, "min_samples_leaf": 20, "l2_regularization": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosting:
    """Settings of XGBoost, independent of where the rows are."""

    parameters: dict[str, Any]
    """Parameters of `xgboost.train`."""
    n_rounds: int
    """Maximum boosting rounds."""
    max_bin: int
    """Bins of a histogram."""
    kinds: list[str]
    """Feature type per column: ``q`` for a number, ``c`` for codes."""
    watched: bool
    """Whether a validation set stops boosting."""

    @classmethod
    def of(
        cls,
        task: str,
        schema: FeatureSchema,
        n_classes: int,
        parameters: Mapping[str, Parameter],
        *,
        watched: bool,
    ) -> Self:
        """Combine defaults, task settings and overrides, which include ``seed`` and ``nthread``."""
        settings = {**_XGBOOST, **_XGBOOST_BY_TASK[task], **parameters}
        if settings["objective"] == "reg:absoluteerror":
            settings["eval_metric"] = "mae"
        n_rounds = settings.pop("n_rounds", MAX_ROUNDS if watched else ROUNDS_WITHOUT_VALIDATION)
        directions = schema.directions(schema.names)
        return cls(
            parameters={
                **settings,
                **({"num_class": n_classes} if task_type(task).score_per_class else {}),
                **({"monotone_constraints": directions} if directions else {}),
                "verbosity": 0,
            },
            n_rounds=n_rounds,
            max_bin=settings.get("max_bin", 256),
            kinds=["q"] * len(schema.numeric) + ["c"] * len(schema.categorical),
            watched=watched,
        )

    def boost(self, train: xgboost.DMatrix, validation: xgboost.DMatrix | None) -> xgboost.Booster:
        """Boost until validation stops improving, and keep the trees up to the best round."""
        booster = xgboost.train(
            self.parameters,
            train,
            num_boost_round=self.n_rounds,
            evals=[(validation, "validation")] if self.watched else [],
            early_stopping_rounds=self.patience if self.watched else None,
            verbose_eval=False,
        )
        return booster[: booster.best_iteration + 1] if self.watched else booster

    @property
    def patience(self) -> int:
        """Rounds without improvement before stopping, for this learning rate."""
        return patience(self.parameters)


def _fit_xgboost(training: Training) -> Fitted:
    transformer, X, X_validation = training.encoded("codes")
    engine = {**training.parameters, "seed": training.random_state, "nthread": training.n_threads}
    watched = len(X_validation) > 0
    boosting = Boosting.of(training.task, training.schema, training.n_classes, engine, watched=watched)
    train, validation = training.once(
        ("quantiles", training.parameters.get("max_bin")), lambda: _binned(training, X, X_validation, boosting)
    )
    return transformer, boosting.boost(train, validation)


def patience(settings: Mapping[str, Any]) -> int:
    """Return the rounds without improvement before stopping, for a learning rate."""
    return min(_PATIENCE, max(_LEAST_PATIENCE, math.ceil(_PATIENT_STEPS / float(settings["learning_rate"]))))


def _binned(training: Training, X: Any, X_validation: Any, boosting: Boosting) -> tuple[Any, Any]:
    train = _quantiles(X, (training.y, training.sample_weight), boosting)
    if not boosting.watched:
        return train, None
    return train, _quantiles(X_validation, (training.y_validation, training.validation_weight), boosting, ref=train)


def _quantiles(X: Any, labels: tuple[npt.NDArray[Any], Any], boosting: Boosting, ref: Any = None) -> Any:
    return xgboost.QuantileDMatrix(
        X.astype(np.float32),
        label=labels[0],
        weight=labels[1],
        feature_types=boosting.kinds,
        enable_categorical=True,
        nthread=boosting.parameters["nthread"],
        ref=ref,
        max_bin=boosting.max_bin,
    )


def _fit_hist_gradient_boosting(training: Training) -> Fitted:
    # Native categorical features would require functools.partial on the list of types that a bundle may construct.
    transformer, X, X_validation = training.encoded("rates")
    watched = len(np.unique(training.y_validation)) > 1  # scikit-learn rejects a validation set with a single class
    estimator = training.task_type.pick(HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    settings = training.settings(
        {"max_iter": MAX_ROUNDS if watched else ROUNDS_WITHOUT_VALIDATION, **_HIST_GRADIENT_BOOSTING}
    )
    model = estimator(
        **settings,
        early_stopping=watched,
        n_iter_no_change=patience(settings),
        random_state=training.random_state,
        monotonic_cst=training.schema.directions(transformer.get_feature_names_out()),
    )
    aside = {"X_val": X_validation, "y_val": training.y_validation, "sample_weight_val": training.validation_weight}
    return transformer, model.fit(X, training.y, sample_weight=training.sample_weight, **(aside if watched else {}))


XGBOOST = Recipe(
    _fit_xgboost,
    parameters=(
        "learning_rate",
        "max_depth",
        "max_leaves",
        "grow_policy",
        "min_child_weight",
        "gamma",
        "reg_lambda",
        "reg_alpha",
        "max_delta_step",
        "subsample",
        "colsample_bytree",
        "colsample_bylevel",
        "colsample_bynode",
        "scale_pos_weight",
        "max_bin",
        "max_cat_to_onehot",
        "max_cat_threshold",
        "n_rounds",
        "objective",
    ),
    rounds=("n_rounds", lambda booster: booster.num_boosted_rounds()),
)
"""XGBoost on category codes; ``n_rounds`` is the maximum number of boosting rounds."""

HIST_GRADIENT_BOOSTING = Recipe(
    _fit_hist_gradient_boosting,
    parameters=(
        "learning_rate",
        "max_iter",
        "max_leaf_nodes",
        "max_depth",
        "min_samples_leaf",
        "l2_regularization",
        "max_features",
        "max_bins",
        "loss",
    ),
    rounds=("max_iter", lambda estimator: estimator.n_iter_),
)
"""scikit-learn's histogram gradient boosting."""
