"""Figures with 95 % intervals, and slices, for every task by the same three functions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.bootstrap import N_REPLICATES, index_blocks, replicate
from tidemill.modeling.metrics.computing import Interval, computation, default_metrics, figure, options, undefined
from tidemill.records import MetricValue

__all__ = ["by_slice", "evaluate", "point_value"]

_MAX_SLICE_VALUES = 20  # most frequent values of a slicing feature that are reported


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
    """Return one metric without an interval.

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
    compute = computation(task, (metric,), y_true, y_score, block, options(threshold, classes, interval))
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
    """Return metrics with 95 % intervals.

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
    names = default_metrics(task, interval) if metrics is None else metrics
    n_samples = len(np.asarray(y_true))
    block, n_blocks = index_blocks(blocks, n_samples)
    compute = computation(task, names, y_true, y_score, block, options(threshold, classes, interval))
    if compute is None:
        return tuple(undefined(metric, n_samples, slice) for metric in names)
    values = compute(np.ones((1, n_blocks), dtype=np.int64))[0]
    draws = replicate(compute, n_blocks, n_samples, random_state, n_replicates)
    return tuple(
        figure(metric, value, draws[:, position], n_samples, n_blocks, slice)
        for position, (metric, value) in enumerate(zip(names, values, strict=True))
    )


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
    """Return metrics for each value of some features.

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
