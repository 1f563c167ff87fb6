"""Random forests on category codes."""

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from tidemill.modeling.estimators.recipes import Fitted, Recipe, Training

__all__ = ["RANDOM_FOREST"]

_RANDOM_FOREST = {"n_estimators": 150, "max_depth": 12, "min_samples_leaf": 20}


def _fit_random_forest(training: Training) -> Fitted:
    transformer, X, _ = training.encoded("codes")
    estimator = training.task_type.pick(RandomForestClassifier, RandomForestRegressor)
    model = estimator(
        **training.settings(_RANDOM_FOREST), n_jobs=training.n_threads, random_state=training.random_state
    ).fit(X, training.y, training.sample_weight)
    return transformer, model.set_params(n_jobs=1)  # threads sum the trees in the order in which they finish


RANDOM_FOREST = Recipe(
    _fit_random_forest,
    parameters=(
        "n_estimators",
        "max_depth",
        "min_samples_leaf",
        "min_samples_split",
        "max_features",
        "max_samples",
        "max_leaf_nodes",
        "min_impurity_decrease",
        "criterion",
        "ccp_alpha",
    ),
)
"""scikit-learn's random forest."""
