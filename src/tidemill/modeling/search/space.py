"""Search spaces: the default space of each estimator, and the limits of a space in the spec."""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidemill.errors import SpecError
from tidemill.records import Parameters
from tidemill.spec import Dimension

__all__ = ["SPACES", "Space", "at_bounds", "space_of", "space_problems"]

Space = Mapping[str, Dimension]
"""Values to try, by parameter."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """Valid values of a parameter."""

    low: float
    """Lowest value."""
    high: float = math.inf
    """Highest value."""
    whole: bool = False
    """Whether only whole numbers are valid."""
    words: bool = False
    """Whether it takes text values."""


_SHARE, _STEP, _PENALTY, _COUNT = _Limits(0.01, 1), _Limits(0.001, 1), _Limits(0), _Limits(1, whole=True)
_WORD = _Limits(-math.inf, words=True)
_LIMITS: dict[str, dict[str, _Limits]] = {
    "xgboost": {
        "learning_rate": _STEP, "max_depth": _Limits(1, 30, whole=True), "min_child_weight": _PENALTY,
        "reg_lambda": _PENALTY, "reg_alpha": _PENALTY, "gamma": _PENALTY, "max_delta_step": _PENALTY,
        "subsample": _SHARE, "colsample_bytree": _SHARE, "colsample_bylevel": _SHARE, "colsample_bynode": _SHARE,
        "max_leaves": _Limits(0, whole=True), "grow_policy": _WORD, "scale_pos_weight": _Limits(1e-9),
        "max_bin": _Limits(2, whole=True), "max_cat_to_onehot": _COUNT, "max_cat_threshold": _COUNT,
        "n_rounds": _COUNT, "objective": _WORD,
    },
    "hist_gradient_boosting": {
        "learning_rate": _STEP, "max_leaf_nodes": _Limits(2, whole=True), "max_depth": _COUNT,
        "min_samples_leaf": _COUNT, "l2_regularization": _PENALTY, "max_features": _SHARE,
        "max_bins": _Limits(2, 255, whole=True), "max_iter": _COUNT, "loss": _WORD,
    },
    "lightgbm": {
        "learning_rate": _STEP, "num_leaves": _Limits(2, 131072, whole=True), "max_depth": _COUNT,
        "min_data_in_leaf": _COUNT, "min_sum_hessian_in_leaf": _PENALTY, "min_gain_to_split": _PENALTY,
        "lambda_l1": _PENALTY, "lambda_l2": _PENALTY, "bagging_fraction": _SHARE, "bagging_freq": _Limits(0, whole=True),
        "feature_fraction": _SHARE, "feature_fraction_bynode": _SHARE, "path_smooth": _PENALTY,
        "max_bin": _Limits(2, whole=True), "cat_l2": _PENALTY, "cat_smooth": _PENALTY, "max_cat_threshold": _COUNT,
        "max_cat_to_onehot": _COUNT, "min_data_per_group": _COUNT, "num_iterations": _COUNT,
    },
    "catboost": {
        "learning_rate": _STEP, "depth": _Limits(1, 16, whole=True), "l2_leaf_reg": _PENALTY, "random_strength": _PENALTY,
        "bagging_temperature": _PENALTY, "rsm": _SHARE, "border_count": _Limits(1, 65535, whole=True),
        "leaf_estimation_iterations": _COUNT, "iterations": _COUNT,
    },
    "random_forest": {
        "n_estimators": _COUNT, "max_depth": _COUNT, "min_samples_leaf": _COUNT,
        "min_samples_split": _Limits(2, whole=True), "max_features": _SHARE,
        "max_samples": _SHARE, "max_leaf_nodes": _Limits(2, whole=True), "min_impurity_decrease": _PENALTY,
        "criterion": _WORD, "ccp_alpha": _PENALTY,
    },
    "logistic_regression": {"C": _Limits(1e-9), "max_iter": _COUNT, "tol": _Limits(0)},
    "ridge": {"alpha": _PENALTY},
}  # fmt: skip

SPACES: dict[str, Space] = {
    "xgboost": {
        "max_depth": Dimension(low=3, high=9),
        "learning_rate": Dimension(low=0.03, high=0.3, log=True),
        "min_child_weight": Dimension(low=1.0, high=200.0, log=True),
        "reg_lambda": Dimension(low=0.1, high=100.0, log=True),
        "subsample": Dimension(low=0.5, high=1.0),
        "colsample_bytree": Dimension(low=0.3, high=1.0),
    },
    "hist_gradient_boosting": {
        "learning_rate": Dimension(low=0.03, high=0.3, log=True),
        "max_leaf_nodes": Dimension(low=6, high=63, log=True),
        "min_samples_leaf": Dimension(low=5, high=200, log=True),
        "l2_regularization": Dimension(low=0.1, high=100.0, log=True),
        "max_features": Dimension(low=0.3, high=1.0),
    },
    "lightgbm": {
        "learning_rate": Dimension(low=0.03, high=0.3, log=True),
        "num_leaves": Dimension(low=6, high=63, log=True),
        "min_data_in_leaf": Dimension(low=5, high=200, log=True),
        "lambda_l2": Dimension(low=0.1, high=100.0, log=True),
        "bagging_fraction": Dimension(low=0.5, high=1.0),
        "feature_fraction": Dimension(low=0.3, high=1.0),
    },
    "catboost": {
        "learning_rate": Dimension(low=0.03, high=0.3, log=True),
        "depth": Dimension(low=3, high=8),
        "l2_leaf_reg": Dimension(low=0.1, high=100.0, log=True),
        "random_strength": Dimension(low=0.1, high=10.0, log=True),
        "rsm": Dimension(low=0.3, high=1.0),
    },
    "random_forest": {
        "max_depth": Dimension(low=6, high=20),
        "min_samples_leaf": Dimension(low=5, high=100, log=True),
        "max_features": Dimension(low=0.1, high=0.8),
    },
    "logistic_regression": {"C": Dimension(low=0.001, high=100.0, log=True)},
    "ridge": {"alpha": Dimension(low=0.01, high=10000.0, log=True)},
}
"""Default search space per estimator, suited to about ten thousand rows."""

_EDGE = 0.01  # share of a range, on its own scale, that counts as its edge


def space_of(estimator: str, chosen: Mapping[str, Space]) -> Space:
    """Return the space of an estimator: that of the spec, or else the default; empty if there is none.

    Parameters
    ----------
    chosen : mapping of str to Space
        ``train.search.space`` of the spec.

    Raises
    ------
    SpecError
        If the spec's space has problems.

    Examples
    --------
    >>> sorted(space_of("random_forest", {}))
    ['max_depth', 'max_features', 'min_samples_leaf']
    """
    if estimator not in chosen:
        return SPACES.get(estimator, {})
    problems = list(space_problems(estimator, chosen[estimator]))
    if problems:
        raise SpecError(" ".join(problems), "Correct train.search.space in the spec.")
    return chosen[estimator]


def space_problems(estimator: str, space: Space) -> Iterator[str]:
    """Return the problems of a spec's space, one sentence each; custom estimators are not checked.

    Examples
    --------
    >>> list(space_problems("xgboost", {"max_dept": Dimension(low=3, high=9)}))
    ["train.search.space.xgboost names 'max_dept'; did you mean 'max_depth'?"]
    >>> list(space_problems("xgboost", {"subsample": Dimension(low=0.5, high=2.0)}))
    ['train.search.space.xgboost.subsample reaches from 0.5 to 2; valid values are 0.01 to 1.']
    """
    known = _LIMITS.get(estimator)
    for name, dimension in space.items() if known is not None else ():
        place = f"train.search.space.{estimator}"
        limits = known.get(name) if known else None
        if limits is None and (estimator, name) == ("xgboost", "booster"):
            yield f"{place} names 'booster', which is always gbtree: dart and gblinear are refused when a bundle is loaded."
        elif limits is None:
            near = difflib.get_close_matches(name, known or (), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid parameters are {', '.join(known or ())}."
            yield f"{place} names {name!r}; {hint}"
        else:
            yield from _value_problems(f"{place}.{name}", dimension, limits)


def _value_problems(place: str, dimension: Dimension, limits: _Limits) -> Iterator[str]:
    if limits.words:
        if not dimension.choices:
            yield f"{place} takes text values: write them as choices."
        return
    values = dimension.choices or (dimension.low, dimension.high)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        yield f"{place} names {[value for value in values if value not in numbers]}; it takes numbers."
    elif limits.whole and not all(isinstance(value, int) for value in numbers):
        yield f"{place} takes whole numbers, written without a decimal point."
    elif min(numbers) < limits.low or max(numbers) > limits.high:
        end = "and above" if limits.high == math.inf else f"to {limits.high:g}"
        yield f"{place} reaches from {min(numbers):g} to {max(numbers):g}; valid values are {limits.low:g} {end}."


def at_bounds(estimator: str, space: Space, parameters: Parameters) -> tuple[str, ...]:
    """Return the parameters at the edge of their range, beyond which better values may exist.

    Edges that are also limits of the parameter, like 1 for a share, are not reported.

    Examples
    --------
    >>> at_bounds("xgboost", SPACES["xgboost"], {"max_depth": 9, "subsample": 1.0, "learning_rate": 0.1})
    ('max_depth = 9 lies at the upper end of its range, 3 to 9.',)
    """
    said = []
    for name, dimension in space.items():
        value = parameters.get(name)
        if dimension.choices or isinstance(value, bool | str | None) or dimension.low is None or dimension.high is None:
            continue
        limits = _LIMITS.get(estimator, {}).get(name, _Limits(-math.inf))
        place = _place(dimension.low, dimension.high, value, log=dimension.log)
        edges = (
            ("lower", place <= _EDGE, dimension.low <= limits.low),
            ("upper", place >= 1 - _EDGE, dimension.high >= limits.high),
        )
        said += [
            f"{name} = {value:.4g} lies at the {edge} end of its range, {dimension.low:g} to {dimension.high:g}."
            for edge, reached, final in edges
            if reached and not final
        ]
    return tuple(said)


def _place(low: float, high: float, value: float, *, log: bool) -> float:
    """Return the relative position of a value in its range, 0 to 1."""
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)
