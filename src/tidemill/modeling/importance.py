"""What the model leans on: how much worse it gets when one feature is shuffled.

Permutation importance (Breiman 2001) on the test set. Features that carry the same information share their
importance, and a feature that the model ignores gets about 0; neither says that the world works that way.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.metrics import greater_is_better, paired_difference
from tidemill.modeling.schema import align
from tidemill.records import MetricValue

__all__ = ["Shuffles", "permutation_importance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffles:
    """How many rows are shuffled how often."""

    random_state: int = 0
    """Seed of the sample and the shuffles."""
    n_repeats: int = 3
    """Shuffles per feature; their rows are judged together."""
    max_rows: int = 5000
    """Rows used, drawn without replacement; the order of the features settles long before."""


def permutation_importance(
    bundle: Bundle,
    X: pd.DataFrame,
    y_true: npt.ArrayLike,
    *,
    metric: str = "roc_auc",
    blocks: npt.ArrayLike | None = None,
    shuffles: Shuffles | None = None,
) -> tuple[MetricValue, ...]:
    """Return how much worse a metric gets when a feature is shuffled, for each feature.

    Parameters
    ----------
    bundle : Bundle
        Fitted model.
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features of the test set.
    y_true : array-like of shape (n_samples,)
        Labels.
    metric : str, default "roc_auc"
        A metric of the task that can decide; a loss that rises counts as a loss of quality, too.
    blocks : array-like of shape (n_samples,), default None
        Rows that count together, such as keys of partitions.
    shuffles : Shuffles, optional
        How many rows are shuffled how often.

    Returns
    -------
    tuple of MetricValue
        Name ``permutation_importance``, most important first, with the 95 % interval over blocks of time. NaN where the
        metric is not defined.
    """
    chosen = shuffles or Shuffles()
    rng, n_repeats = np.random.default_rng(chosen.random_state), chosen.n_repeats
    y = np.asarray(y_true)
    rows = np.sort(rng.permutation(len(y))[: chosen.max_rows])
    aligned, y = align(X, bundle.schema).iloc[rows], y[rows]
    if not len(y):
        return tuple(_figure(feature, float("nan"), (None, None), 0) for feature in bundle.schema.names)
    days = np.tile(rows if blocks is None else np.asarray(blocks)[rows], n_repeats)
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
        )
        ends = (drop.low, drop.high) if sign > 0 else (_minus(drop.high), _minus(drop.low))
        figures.append(_figure(feature, sign * drop.value, ends, len(y)))
    return tuple(sorted(figures, key=lambda figure: -np.nan_to_num(figure.value)))


def _minus(end: float | None) -> float | None:
    return None if end is None else -end


def _figure(feature: str, value: float, ends: tuple[float | None, float | None], n_samples: int) -> MetricValue:
    return MetricValue(
        name="permutation_importance", value=value, low=ends[0], high=ends[1], n=n_samples, feature=feature
    )
