"""Figures with 95 % intervals, paired differences and slices, for every task by the same four functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.errors import SpecError
from tidemill.modeling.bootstrap import (
    N_REPLICATES,
    Floats,
    Integers,
    estimate,
    index_blocks,
    percentile_interval,
    replicate,
)
from tidemill.modeling.metrics.arithmetic import TaskMetrics
from tidemill.modeling.metrics.binary import BINARY
from tidemill.modeling.metrics.multiclass import MULTICLASS, spread
from tidemill.modeling.metrics.regression import INTERVAL_METRICS, REGRESSION
from tidemill.records import MetricValue

__all__ = ["METRICS", "Pair", "by_slice", "evaluate", "mean_difference", "paired_difference", "point_value"]

_TASKS: Mapping[str, TaskMetrics] = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}
_MAX_SLICE_VALUES = 20  # most frequent values of a slicing feature that are reported

METRICS: Mapping[str, tuple[str, ...]] = {task: tuple(metrics.compute) for task, metrics in _TASKS.items()}
"""Metrics of each task, in the order in which they are shown."""

Interval = tuple[npt.ArrayLike, npt.ArrayLike]


def point_value(
    metric: str,
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    threshold: float | None = 0.5,
    *,
    task: str = "binary",
    classes: Sequence[str] | None = None,
    interval: Interval | None = None,
) -> float:
    """Give one metric without an interval.

    Parameters
    ----------
    metric : str
        A name of `METRICS` for the task.
    y_true : array-like of shape (n_samples,)
        Labels: 0 and 1, classes, or numbers.
    y_score : array-like of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        What `Bundle.score` gives.
    threshold : float or None, default 0.5
        Score from which a row counts as positive; for ``binary`` alone.
    task : str, default ``binary``
        ``binary``, ``multiclass`` or ``regression``.
    classes : sequence of str, default None
        Names of the columns of ``y_score``; None if the labels are positions of columns. For ``multiclass`` alone.
    interval : pair of array-like of shape (n_samples,), default None
        Low and high ends; for ``regression`` alone.

    Returns
    -------
    float
        NaN where the metric is not defined.

    Examples
    --------
    >>> point_value("roc_auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> point_value("roc_auc", [1, 1], [0.1, 0.4])
    nan
    >>> point_value("mean_absolute_error", [1.0, 3.0], [2.0, 3.0], task="regression")
    0.5
    """
    block = np.zeros(len(np.asarray(y_true)), dtype=np.int64)
    compute = _computation(task, (metric,), y_true, y_score, block, _options(threshold, classes, interval))
    return float("nan") if compute is None else float(compute(np.ones((1, 1), dtype=np.int64))[0, 0])


def evaluate(
    task: str,
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    threshold: float | None = 0.5,
    classes: Sequence[str] | None = None,
    interval: Interval | None = None,
    blocks: npt.ArrayLike | None = None,
    metrics: tuple[str, ...] | None = None,
    slice: str | None = None,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> tuple[MetricValue, ...]:
    """Give metrics with 95 % intervals.

    Parameters
    ----------
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    y_true, y_score, threshold, classes, interval
        As in `point_value`.
    blocks : array-like of shape (n_samples,), default None
        Rows that are drawn together, such as keys of partitions; None draws rows one by one.
    metrics : tuple of str, default None
        Names of `METRICS`; None is all of the task's, those of an interval only if there is one.
    slice : str, default None
        Label for the values, e.g. ``origin=EWR``.
    random_state : int, default 0
        Seed of the draws.
    n_replicates : int, default 200
        Number of draws.

    Returns
    -------
    tuple of MetricValue
        In the order of ``metrics``; NaN where a metric, or its interval (fewer than 5 blocks), is not defined.

    Examples
    --------
    >>> figures = evaluate("binary", [0, 1] * 50, [0.2, 0.7] * 50, metrics=("accuracy",))
    >>> figures[0].value, figures[0].low, figures[0].high, figures[0].n
    (1.0, 1.0, 1.0, 100)
    """
    names = _default_metrics(task, interval) if metrics is None else metrics
    n_samples = len(np.asarray(y_true))
    block, n_blocks = index_blocks(blocks, n_samples)
    compute = _computation(task, names, y_true, y_score, block, _options(threshold, classes, interval))
    if compute is None:
        return tuple(_undefined(metric, n_samples, slice) for metric in names)
    values = compute(np.ones((1, n_blocks), dtype=np.int64))[0]
    draws = replicate(compute, n_blocks, n_samples, random_state, n_replicates)
    return tuple(
        _figure(metric, value, draws[:, position], n_samples, n_blocks, slice)
        for position, (metric, value) in enumerate(zip(names, values, strict=True))
    )


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
    """Give the metric of A minus the metric of B on the same rows, with its 95 % interval.

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
        y_true=y_true, score_a=score_a, score_b=score_b, blocks=blocks, threshold_a=threshold_a,
        threshold_b=threshold_b, classes_a=classes_a, classes_b=classes_b,
    )  # fmt: skip
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
    """Give the mean over several sets of rows of the metric of A minus that of B, with its 95 % interval.

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
        return _undefined(metric, n_samples, slice)

    def mean(counts: Integers) -> Floats:
        total: Floats = sum((one(counts) for one in defined[1:]), start=defined[0](counts))
        return total / len(defined)

    found = estimate(mean, n_blocks, n_samples, random_state, n_replicates)
    return MetricValue(
        name=metric, value=found.value, low=found.low, high=found.high, n=n_samples, slice=slice,
        standard_error=found.standard_error, n_blocks=n_blocks,
    )  # fmt: skip


def _difference(metric: str, task: str, pair: Pair, block: Integers) -> Callable[[Integers], Floats] | None:
    classes, scores = _same_columns(pair.score_a, pair.score_b, pair.classes_a, pair.classes_b)
    a, b = (
        _computation(task, (metric,), pair.y_true, score, block, _options(threshold, classes, None))
        for score, threshold in zip(scores, (pair.threshold_a, pair.threshold_b), strict=True)
    )
    return None if a is None or b is None else lambda counts: a(counts) - b(counts)


def by_slice(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    slices: Mapping[str, Any],
    *,
    task: str = "binary",
    threshold: float | None = 0.5,
    classes: Sequence[str] | None = None,
    interval: Interval | None = None,
    blocks: npt.ArrayLike | None = None,
    metrics: tuple[str, ...] | None = None,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> tuple[MetricValue, ...]:
    """Give metrics for each value of some features.

    Parameters
    ----------
    y_true, y_score, task, threshold, classes, interval, blocks, metrics, random_state, n_replicates
        As in `evaluate`.
    slices : mapping of str to array-like of shape (n_samples,)
        Features to cut by. The 20 most frequent values of each are reported; missing ones as ``feature=missing``.

    Returns
    -------
    tuple of MetricValue
        With ``slice`` such as ``origin=EWR``; features in the order given, values in alphabetical order.

    Examples
    --------
    >>> figures = by_slice([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.3], {"origin": ["A", "A", "B", "B"]}, metrics=("f1",))
    >>> [(figure.slice, figure.value) for figure in figures]
    [('origin=A', 1.0), ('origin=B', 0.0)]
    """
    y, score = np.asarray(y_true), np.asarray(y_score)
    of_blocks = None if blocks is None else np.asarray(blocks)
    ends = None if interval is None else tuple(map(np.asarray, interval))
    figures: list[MetricValue] = []
    for label, rows in _slices(slices):
        figures += evaluate(
            task,
            y[rows],
            score[rows],
            threshold=threshold,
            classes=classes,
            interval=None if ends is None else (ends[0][rows], ends[1][rows]),
            blocks=None if of_blocks is None else of_blocks[rows],
            metrics=metrics,
            slice=label,
            random_state=random_state,
            n_replicates=n_replicates,
        )
    return tuple(figures)


def _slices(slices: Mapping[str, Any]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    for feature, column in slices.items():
        values = pd.Series(np.asarray(column, dtype=object))
        texts = values.map(str).where(values.notna(), "missing")
        for value in sorted(texts.value_counts().index[:_MAX_SLICE_VALUES]):
            yield f"{feature}={value}", (texts == value).to_numpy()


def _options(threshold: float | None, classes: Sequence[str] | None, interval: Interval | None) -> Mapping[str, Any]:
    return {"threshold": 0.5 if threshold is None else threshold, "classes": classes, "interval": interval}


def _default_metrics(task: str, interval: Interval | None) -> tuple[str, ...]:
    return tuple(name for name in _of_task(task).compute if interval is not None or name not in INTERVAL_METRICS)


def _of_task(task: str) -> TaskMetrics:
    if task not in _TASKS:
        raise SpecError(f"Task {task!r} is unknown.", f"Choose one of {', '.join(_TASKS)}.")
    return _TASKS[task]


def _computation(
    task: str,
    metrics: tuple[str, ...],
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    block: Integers,
    options: Mapping[str, Any],
) -> Callable[[Integers], Floats] | None:
    """Give a function from counts of blocks to values, one column a metric; None if none is defined on the rows."""
    of_task = _of_task(task)
    unknown = [name for name in metrics if name not in of_task.compute]
    if unknown:
        raise SpecError(f"Metric {unknown[0]!r} is unknown.", f"Choose one of {', '.join(of_task.compute)}.")
    with np.errstate(over="ignore", invalid="ignore"):
        sample = of_task.sample(y_true, y_score, block, options)
    if sample is None:
        return None

    def values(counts: Integers) -> Floats:
        weights = counts.astype(np.float64)[:, sample.block]
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near the end of float64 give NaN
            return np.column_stack([of_task.compute[name](sample, weights) for name in metrics])

    return values


def _same_columns(
    score_a: npt.ArrayLike, score_b: npt.ArrayLike, classes_a: Sequence[str] | None, classes_b: Sequence[str] | None
) -> tuple[Sequence[str] | None, tuple[npt.ArrayLike, npt.ArrayLike]]:
    if classes_a is None or classes_b is None or tuple(classes_a) == tuple(classes_b):
        return classes_a, (score_a, score_b)
    wanted = tuple(sorted({*classes_a, *classes_b}))
    a, b = spread(np.asarray(score_a), classes_a, wanted), spread(np.asarray(score_b), classes_b, wanted)
    return wanted, (a, b)


def _figure(metric: str, value: float, draws: Floats, n_samples: int, n_blocks: int, slice: str | None) -> MetricValue:
    low, high = percentile_interval(draws, n_blocks) if np.isfinite(value) else (float("nan"), float("nan"))
    return MetricValue(name=metric, value=float(value), low=low, high=high, n=n_samples, slice=slice)


def _undefined(metric: str, n_samples: int, slice: str | None) -> MetricValue:
    nan = float("nan")
    return MetricValue(name=metric, value=nan, low=nan, high=nan, n=n_samples, slice=slice)
