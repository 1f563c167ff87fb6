"""Two models on the same rows: the difference of a metric with its interval, on one set of rows or several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bootstrap import N_REPLICATES, Floats, Integers, estimate, index_blocks
from tidemill.modeling.metrics.computing import computation, options, undefined
from tidemill.modeling.metrics.multiclass import spread
from tidemill.records import MetricValue

__all__ = ["Pair", "mean_difference", "paired_difference"]


def paired_difference(
    metric: str,
    y_true: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    blocks: npt.ArrayLike | None,
    *,
    task: str = "binary",
    threshold_a: float | None = 0.5,
    threshold_b: float | None = 0.5,
    classes_a: Sequence[str] | None = None,
    classes_b: Sequence[str] | None = None,
    slice: str | None = None,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> MetricValue:
    """Return the metric of A minus the metric of B on the same rows, with its 95 % interval.

    Both are computed on the same days, so what makes a day hard for both cancels out.

    Parameters
    ----------
    metric : str
        A name of `METRICS`. The difference keeps the metric's sign: for a loss, negative means A is better.
    y_true : array-like of shape (n_samples,)
        Labels.
    score_a, score_b : array-like of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        Scores of either model.
    blocks : array-like of shape (n_samples,) or None
        Rows that count together; None counts rows one by one.
    task : str, default ``binary``
        ``binary``, ``multiclass`` or ``regression``.
    threshold_a, threshold_b : float or None, default 0.5
        Score from which a row counts as positive, for either model.
    classes_a, classes_b : sequence of str, default None
        Names of the columns of either score; they may differ, a class that a model does not know has probability 0.
    slice : str, default None
        Label for the value, e.g. the baseline's name.
    random_state : int, default 0
        Seed of the draws.
    n_replicates : int, default 200
        Number of draws.

    Returns
    -------
    MetricValue
        NaN where the metric is not defined.

    Examples
    --------
    >>> paired_difference("roc_auc", [0, 1] * 50, [0.2, 0.7] * 50, [0.5] * 100, None).value
    0.5
    """
    pair = Pair(
        y_true=y_true,
        score_a=score_a,
        score_b=score_b,
        blocks=blocks,
        threshold_a=threshold_a,
        threshold_b=threshold_b,
        classes_a=classes_a,
        classes_b=classes_b,
    )
    return mean_difference(
        metric, (pair,), task=task, slice=slice, random_state=random_state, n_replicates=n_replicates
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two models' scores of the same rows; fields as the arguments of `paired_difference`."""

    y_true: npt.ArrayLike
    """Labels."""
    score_a: npt.ArrayLike
    """Scores of A."""
    score_b: npt.ArrayLike
    """Scores of B."""
    blocks: npt.ArrayLike | None
    """Rows that are drawn together; None draws rows one by one."""
    threshold_a: float | None = 0.5
    """Score from which a row counts as positive for A."""
    threshold_b: float | None = 0.5
    """The same for B."""
    classes_a: Sequence[str] | None = None
    """Names of the columns of A's scores."""
    classes_b: Sequence[str] | None = None
    """The same for B."""


def mean_difference(
    metric: str,
    pairs: Sequence[Pair],
    *,
    task: str = "binary",
    slice: str | None = None,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> MetricValue:
    """Return the mean over several sets of rows of the metric of A minus that of B, with its 95 % interval.

    Scores of different sets need not be comparable, as those of models fitted on different folds are not. The blocks of
    all sets are drawn together.

    Parameters
    ----------
    metric, task, slice, random_state, n_replicates
        As in `paired_difference`.
    pairs : sequence of Pair
        Sets of rows, no block in two of them.

    Returns
    -------
    MetricValue
        NaN where the metric is not defined on one of the sets.

    Examples
    --------
    >>> sets = [Pair(y_true=[0, 1] * 50, score_a=a, score_b=[0.5] * 100, blocks=None) for a in ([0.2, 0.7] * 50, [0.5] * 100)]
    >>> mean_difference("roc_auc", sets).value
    0.25
    """
    n_samples, n_blocks, differences = 0, 0, []
    for pair in pairs:
        n_rows = len(np.asarray(pair.y_true))
        block, n_own = index_blocks(pair.blocks, n_rows)
        differences.append(_difference(metric, task, pair, block + n_blocks))
        n_samples, n_blocks = n_samples + n_rows, n_blocks + n_own
    defined = [one for one in differences if one is not None]
    if len(defined) < len(differences):
        return undefined(metric, n_samples, slice)

    def mean(counts: Integers) -> Floats:
        total: Floats = sum((one(counts) for one in defined[1:]), start=defined[0](counts))
        return total / len(defined)

    found = estimate(mean, n_blocks, n_samples, random_state, n_replicates)
    return MetricValue(
        name=metric,
        value=found.value,
        low=found.low,
        high=found.high,
        n=n_samples,
        slice=slice,
        standard_error=found.standard_error,
        n_blocks=n_blocks,
    )


def _difference(metric: str, task: str, pair: Pair, block: Integers) -> Callable[[Integers], Floats] | None:
    classes, scores = _same_columns(pair.score_a, pair.score_b, pair.classes_a, pair.classes_b)
    a, b = (
        computation(task, (metric,), pair.y_true, score, block, options(threshold, classes, None))
        for score, threshold in zip(scores, (pair.threshold_a, pair.threshold_b), strict=True)
    )
    return None if a is None or b is None else lambda counts: a(counts) - b(counts)


def _same_columns(
    score_a: npt.ArrayLike, score_b: npt.ArrayLike, classes_a: Sequence[str] | None, classes_b: Sequence[str] | None
) -> tuple[Sequence[str] | None, tuple[npt.ArrayLike, npt.ArrayLike]]:
    if classes_a is None or classes_b is None or tuple(classes_a) == tuple(classes_b):
        return classes_a, (score_a, score_b)
    wanted = tuple(sorted({*classes_a, *classes_b}))
    a, b = spread(np.asarray(score_a), classes_a, wanted), spread(np.asarray(score_b), classes_b, wanted)
    return wanted, (a, b)
