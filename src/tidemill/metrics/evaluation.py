"""Metrics with 95 % intervals, for the whole and by slice, of every task by the same three functions."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from tidemill.errors import SpecError
from tidemill.metrics.blocks import Blocks, estimate, index_blocks, partitions_of
from tidemill.metrics.definitions import METRICS, Metric, definition_of
from tidemill.metrics.rows import Columns, Interval, Reading, Rows, read_rows
from tidemill.metrics.statistic import Statistic
from tidemill.records import MetricValue

__all__ = ["OF_INTERVALS", "Showing", "by_slice", "evaluate", "measure", "point_value", "slice_masks", "statistic_of"]

_MAX_SLICE_VALUES = 20  # most frequent values of a slicing feature that are reported
OF_INTERVALS = ("interval_coverage", "interval_width")
"""Metrics of a prediction interval."""


class Showing(Reading, total=False):
    """How scores are read and figures labelled."""

    slice: str | None
    """Label of the figures, such as ``origin=EWR``."""
    random_state: int
    """Has no effect, since no interval is drawn at random."""


def statistic_of(task: str, metric: str, rows: Rows) -> Statistic:
    """Return the statistic of a metric.

    Raises
    ------
    SpecError
        If the task, or its metric, is unknown.
    """
    return definition_of(task, metric).of(rows)


def _definitions(task: str, metrics: tuple[str, ...]) -> list[Metric]:
    return [definition_of(task, metric) for metric in metrics]


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # numbers near the end of float64 are NaN
def point_value(
    metric: str,
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    threshold: float | None = 0.5,
    *,
    task: str = "binary",
    **columns: Unpack[Columns],
) -> float:
    """Return one metric without an interval.

    Parameters
    ----------
    metric : str
        A name of `METRICS` for the task.
    y_true : array-like of shape (n_samples,)
        Labels: 0 and 1, classes, or numbers.
    y_score : array-like of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        Scores, as from `Bundle.score`.
    threshold : float or None, default 0.5
        Score from which a row counts as positive; only for ``binary``.
    task : str, default ``binary``
        ``binary``, ``multiclass`` or ``regression``.
    **columns
        ``classes``, ``interval``, ``sample_weight`` and ``partitions`` as in `Columns`.

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
    definition = definition_of(task, metric)
    rows = read_rows(task, y_true, y_score, Reading(threshold=threshold, **columns))
    if rows is None:
        return float("nan")
    value = definition.of(rows).value
    return float(np.clip(value, *definition.bounds))


def evaluate(
    task: str,
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    blocks: npt.ArrayLike | None = None,
    metrics: tuple[str, ...] | None = None,
    **showing: Unpack[Showing],
) -> tuple[MetricValue, ...]:
    """Return metrics with 95 % intervals.

    Parameters
    ----------
    task, y_true, y_score
        As in `point_value`.
    blocks : array-like of shape (n_samples,), default None
        Rows that count together, such as keys of partitions; None counts rows one by one.
    metrics : tuple of str, default None
        Names of `METRICS`; None is all of the task's, those of an interval only if there is one.
    **showing
        ``threshold``, ``classes``, ``interval``, ``sample_weight`` and ``slice`` as in `Showing`.

    Returns
    -------
    tuple of MetricValue
        In the order of ``metrics``; NaN where a metric or its interval is not defined. Shares and rankings have Wilson's
        interval, medians Woodruff's, all others Student's; fewer than 5 blocks with counted rows have none.

    Examples
    --------
    >>> figure, = evaluate("binary", [0, 1] * 50, [0.2, 0.7] * 50, metrics=("accuracy",))
    >>> figure.value, round(figure.low, 2), figure.high
    (1.0, 0.96, 1.0)
    """
    names = metrics if metrics is not None else _shown(task, showing.get("interval"))
    if blocks is not None:
        showing.setdefault("partitions", partitions_of(blocks))
    of_rows = index_blocks(blocks, len(np.asarray(y_true)))
    return measure(task, names, read_rows(task, y_true, y_score, showing), of_rows, slice=showing.get("slice"))


def _shown(task: str, interval: Interval | None) -> tuple[str, ...]:
    if task not in METRICS:
        raise SpecError(f"Task {task!r} is unknown.", f"Choose one of {', '.join(METRICS)}.")
    return tuple(name for name in METRICS[task] if interval is not None or name not in OF_INTERVALS)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # numbers near the end of float64 are NaN
def measure(
    task: str, metrics: tuple[str, ...], rows: Rows | None, blocks: Blocks, **labels: Any
) -> tuple[MetricValue, ...]:
    """Return metrics of rows that have been read; NaN if no metric is defined on them.

    Parameters
    ----------
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    rows : Rows or None
        From `read_rows`.
    **labels
        Other fields of `MetricValue`.
    """
    n = len(blocks.index)
    nan = float("nan")
    figures = []
    for name, definition in zip(metrics, _definitions(task, metrics), strict=True):
        if rows is None:
            figures.append(MetricValue(name=name, value=nan, low=nan, high=nan, n=n, **labels))
            continue
        found = estimate(definition.of(rows), blocks, definition.bounds)
        figures.append(MetricValue(name=name, value=found.value, low=found.low, high=found.high, n=n, **labels))
    return tuple(figures)


def by_slice(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    slices: Mapping[str, Any],
    *,
    task: str = "binary",
    blocks: npt.ArrayLike | None = None,
    **showing: Any,
) -> tuple[MetricValue, ...]:
    """Return metrics for each value of some features.

    Parameters
    ----------
    y_true, y_score, task, blocks, **showing
        As in `evaluate`, ``metrics`` too.
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
    interval, often = showing.pop("interval", None), showing.pop("sample_weight", None)
    figures: list[MetricValue] = []
    for label, rows in slice_masks(slices):
        figures += evaluate(
            task,
            y[rows],
            score[rows],
            blocks=None if of_blocks is None else of_blocks[rows],
            interval=None if interval is None else (np.asarray(interval[0])[rows], np.asarray(interval[1])[rows]),
            sample_weight=None if often is None else np.asarray(often)[rows],
            slice=label,
            **showing,
        )
    return tuple(figures)


def slice_masks(slices: Mapping[str, Any]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield the label and the mask of the rows of each of the 20 most frequent values of some columns."""
    for feature, column in slices.items():
        values = np.asarray(column, dtype=object)
        texts = np.array(["missing" if _is_missing(value) else str(value) for value in values], dtype=object)
        for text in sorted(text for text, _ in Counter(texts).most_common(_MAX_SLICE_VALUES)):
            yield f"{feature}={text}", texts == text


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value  # NaN and NaT differ from themselves
