"""Permutation importance (Breiman 2001) on the test set: the loss of quality when one feature is shuffled.

Features with the same information share their importance, and a feature that the model ignores gets about 0. Importance
describes the model, not causes in the world. Groups of related features are therefore also judged by a fit without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.metrics.definitions import greater_is_better
from tidemill.metrics.differences import paired_difference
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.records import MetricValue

__all__ = ["Shuffles", "Weighting", "correlated_groups", "permutation_importance"]

_CORRELATED = 0.7  # absolute rank correlation from which two numbers carry much of the same information
_MAX_ROWS = 20_000  # rows that a correlation needs; more change its second digit at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffles:
    """Sample size and repeats of the shuffles."""

    random_state: int = 0
    """Seed of the sample and the shuffles."""
    n_repeats: int = 3
    """Shuffles per feature; their rows are evaluated together."""
    max_rows: int = 5000
    """Maximum rows, drawn without replacement; the ranking of the features is stable well below this number."""


class Weighting(TypedDict, total=False):
    """How much each row counts."""

    sample_weight: npt.NDArray[np.float64] | None
    """How often each row counts, above 0, shape (n_samples,); None for once."""


def permutation_importance(
    bundle: Bundle,
    X: pd.DataFrame,
    y_true: npt.ArrayLike,
    *,
    metric: str = "roc_auc",
    blocks: npt.ArrayLike | None = None,
    shuffles: Shuffles | None = None,
    **about: Unpack[Weighting],
) -> tuple[MetricValue, ...]:
    """Return the loss of a metric when a feature is shuffled, for each feature.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features of the test set.
    y_true : array-like of shape (n_samples,)
        Labels.
    metric : str, default "roc_auc"
        A decidable metric of the task; for losses, an increase counts as a loss of quality.
    blocks : array-like of shape (n_samples,), default None
        Block of each row, for example its partition key.
    **about
        ``sample_weight`` as in `Weighting`.

    Returns
    -------
    tuple of MetricValue
        Figures named ``permutation_importance``, most important first, with the 95 % interval over blocks. NaN where
        the metric is undefined.
    """
    chosen = shuffles or Shuffles()
    rng, n_repeats = np.random.default_rng(chosen.random_state), chosen.n_repeats
    y = np.asarray(y_true)
    rows = np.sort(rng.permutation(len(y))[: chosen.max_rows])
    aligned, y = align(X, bundle.schema).iloc[rows], y[rows]
    if not len(y):
        return tuple(_figure(feature, float("nan"), (None, None), 0) for feature in bundle.schema.names)
    days = np.concatenate([rows if blocks is None else np.asarray(blocks)[rows]] * n_repeats)
    given = about.get("sample_weight")
    often = None if given is None else np.tile(given[rows], n_repeats)
    sign, names = 1.0 if greater_is_better(metric) else -1.0, bundle.class_names
    intact = np.concatenate([bundle.score(aligned)] * n_repeats)
    figures = []
    for feature in bundle.schema.names:
        shuffled = pd.concat([aligned] * n_repeats, ignore_index=True)  # one call scores all repeats
        order = np.concatenate([rng.permutation(len(y)) for _ in range(n_repeats)])
        shuffled[feature] = aligned[feature].to_numpy()[order]
        drop = paired_difference(
            metric,
            np.tile(y, n_repeats),
            intact,
            bundle.score(shuffled),
            days,
            task=bundle.task,
            threshold_a=bundle.threshold,
            threshold_b=bundle.threshold,
            classes_a=names,
            classes_b=names,
            sample_weight=often,
        )
        ends = (drop.low, drop.high) if sign > 0 else (_minus(drop.high), _minus(drop.low))
        figures.append(_figure(feature, sign * drop.value, ends, len(y)))
    return tuple(sorted(figures, key=lambda figure: -np.nan_to_num(figure.value)))


def _minus(end: float | None) -> float | None:
    return None if end is None else 0.0 - end  # never -0.0


def _figure(feature: str, value: float, ends: tuple[float | None, float | None], n_samples: int) -> MetricValue:
    return MetricValue(
        name="permutation_importance", value=value, low=ends[0], high=ends[1], n=n_samples, feature=feature
    )


def correlated_groups(X: pd.DataFrame, numeric: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return groups of features linked by rank correlation (Spearman); texts are groups of their own.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_features)
        Aligned features.
    numeric : sequence of str
        Which of them are numbers.

    Returns
    -------
    dict of str to tuple of str
        Features by the name of the group, which is that of its first feature.

    Examples
    --------
    >>> X = pd.DataFrame({"km": [1.0, 2.0, 3.0], "miles": [0.6, 1.2, 1.9], "rain": [5.0, 1.0, 4.0]})
    >>> correlated_groups(X, ["km", "miles", "rain"])
    {'km': ('km', 'miles'), 'rain': ('rain',)}
    """
    names = list(X.columns)
    group = dict.fromkeys(names, "")
    numbers = X[list(numeric)].iloc[:: max(1, -(-len(X) // _MAX_ROWS))]
    related = (numbers.corr(method="spearman").abs() >= _CORRELATED).to_numpy()
    position = {name: number for number, name in enumerate(numeric)}
    for name in names:
        waiting = [name] if not group[name] else []
        while waiting:
            at = waiting.pop()
            group[at] = name
            near = np.flatnonzero(related[position[at]]).tolist() if at in position else []
            waiting += [numeric[number] for number in near if not group[numeric[number]]]
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        found[group[name]] = (*found.get(group[name], ()), name)
    return found
