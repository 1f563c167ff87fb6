"""Search spaces: which parameters of an estimator are searched unless the spec says so, and what a spec may name."""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidemill.errors import SpecError
from tidemill.records import Parameters
from tidemill.spec import Dimension

__all__ = ["SPACES", "Space", "at_bounds", "space_of", "space_problems"]

Space = Mapping[str, Dimension]
"""Parameters by name, with the values that are tried."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """Values that a parameter can have at all."""

    low: float
    """Least value."""
    high: float = math.inf
    """Greatest value."""
    whole: bool = False
    """Whether only whole numbers make sense."""
    words: bool = False
    """Whether it takes words."""


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
    "random_forest": {
        "max_depth": Dimension(low=6, high=20),
        "min_samples_leaf": Dimension(low=5, high=100, log=True),
        "max_features": Dimension(low=0.1, high=0.8),
    },
    "logistic_regression": {"C": Dimension(low=0.001, high=100.0, log=True)},
    "ridge": {"alpha": Dimension(low=0.01, high=10000.0, log=True)},
}
"""By estimator, what is searched unless the spec says otherwise; meant for some ten thousand rows."""

_EDGE = 0.01  # share of a range, on its own scale, that counts as its edge


def space_of(estimator: str, chosen: Mapping[str, Space]) -> Space:
    """Return the space of an estimator: the spec's if it names one, else the usual one; empty if there is none.

    Parameters
    ----------
    estimator : str
        Name of the estimator.
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
    """Return what is wrong with a spec's space, one sentence each; estimators of the user's own are not judged.

    Examples
    --------
    >>> list(space_problems("xgboost", {"max_dept": Dimension(low=3, high=9)}))
    ["train.search.space.xgboost names 'max_dept'; is 'max_depth' meant?"]
    >>> list(space_problems("xgboost", {"subsample": Dimension(low=0.5, high=2.0)}))
    ['train.search.space.xgboost.subsample reaches from 0.5 to 2; it can be 0.01 to 1.']
    """
    known = _LIMITS.get(estimator)
    for name, dimension in space.items() if known is not None else ():
        place = f"train.search.space.{estimator}"
        limits = known.get(name) if known else None
        if limits is None and (estimator, name) == ("xgboost", "booster"):
            yield f"{place} names 'booster'; it is gbtree, always: dart and gblinear are refused when a bundle is loaded."
        elif limits is None:
            near = difflib.get_close_matches(name, known or (), n=1)
            hint = f"is {near[0]!r} meant?" if near else f"there are {', '.join(known or ())}."
            yield f"{place} names {name!r}; {hint}"
        else:
            yield from _value_problems(f"{place}.{name}", dimension, limits)


def _value_problems(place: str, dimension: Dimension, limits: _Limits) -> Iterator[str]:
    if limits.words:
        if not dimension.choices:
            yield f"{place} takes words: write them as choices."
        return
    values = dimension.choices or (dimension.low, dimension.high)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        yield f"{place} names {[value for value in values if value not in numbers]}; it takes numbers."
    elif limits.whole and not all(isinstance(value, int) for value in numbers):
        yield f"{place} takes whole numbers, written without a point."
    elif min(numbers) < limits.low or max(numbers) > limits.high:
        end = "up" if limits.high == math.inf else f"to {limits.high:g}"
        yield f"{place} reaches from {min(numbers):g} to {max(numbers):g}; it can be {limits.low:g} {end}."


def at_bounds(estimator: str, space: Space, parameters: Parameters) -> tuple[str, ...]:
    """Return which settings lie at the edge of their range, where something better may lie beyond.

    An edge beyond which there is nothing, such as 1 for a share, is not said.

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
    """Return where in its range a value lies, from 0 to 1."""
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)
