"""The named estimators, and which tasks they support."""

import difflib
from collections.abc import Mapping

from tidemill.errors import SpecError
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.estimators.baselines import GROUP_RATE, PRIOR, SHALLOW_TREE
from tidemill.modeling.estimators.boosting import HIST_GRADIENT_BOOSTING, XGBOOST
from tidemill.modeling.estimators.forests import RANDOM_FOREST
from tidemill.modeling.estimators.linear import LOGISTIC_REGRESSION, RIDGE
from tidemill.modeling.estimators.optional_boosting import CATBOOST, LIGHTGBM
from tidemill.modeling.estimators.recipes import Recipe
from tidemill.spec import BASELINES, CANDIDATES, candidates

__all__ = ["recipe_of", "rounds_of"]

_RECIPES: Mapping[str, Recipe] = {
    "xgboost": XGBOOST,
    "hist_gradient_boosting": HIST_GRADIENT_BOOSTING,
    "lightgbm": LIGHTGBM,
    "catboost": CATBOOST,
    "logistic_regression": LOGISTIC_REGRESSION,
    "ridge": RIDGE,
    "random_forest": RANDOM_FOREST,
    **dict(zip(BASELINES, (PRIOR, GROUP_RATE, SHALLOW_TREE), strict=True)),
}


def recipe_of(estimator: str, task: str) -> Recipe:
    """Return an estimator or a baseline by name.

    Raises
    ------
    SpecError
        If the task has no such estimator.

    Examples
    --------
    >>> recipe_of("ridge", "regression").parameters
    ('alpha',)
    """
    known = (*candidates(task), *BASELINES)
    if estimator in known:
        return _RECIPES[estimator]
    near = difflib.get_close_matches(estimator, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    what = f"is not for task {task!r}" if estimator in CANDIDATES else "is unknown"
    raise SpecError(f"Estimator {estimator!r} {what}.{hint}", f"Choose one of {', '.join(known)}.")


def rounds_of(bundle: Bundle) -> dict[str, int]:
    """Return the parameter that gives another fit as many rounds as this one has; empty for a model without rounds."""
    recipe = _RECIPES.get(bundle.estimator)
    if recipe is None or recipe.rounds is None:
        return {}
    name, count = recipe.rounds
    return {name: int(count(bundle.model))}
