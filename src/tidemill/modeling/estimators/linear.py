"""Linear models on scaled numbers and one-hot encoded categories."""

from sklearn.linear_model import LogisticRegression, Ridge

from tidemill.modeling.estimators.recipes import Fitted, Recipe, Training

__all__ = ["LOGISTIC_REGRESSION", "RIDGE"]


def _fit_logistic_regression(training: Training) -> Fitted:
    transformer, X, _ = training.encoded("columns")
    settings = training.settings({"max_iter": 2000})
    return transformer, LogisticRegression(**settings, random_state=training.random_state).fit(
        X, training.y, training.sample_weight
    )


def _fit_ridge(training: Training) -> Fitted:
    transformer, X, _ = training.encoded("columns")
    return transformer, Ridge(**training.settings({"alpha": 1.0, "solver": "cholesky"})).fit(
        X, training.y, training.sample_weight
    )


LOGISTIC_REGRESSION = Recipe(_fit_logistic_regression, ("C", "max_iter", "tol"))
"""Logistic regression; softmax for several classes."""

RIDGE = Recipe(_fit_ridge, ("alpha",))
"""Least squares with an L2 penalty on the weights."""
