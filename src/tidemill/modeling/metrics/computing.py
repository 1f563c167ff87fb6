"""From a task's rows to the values of its metrics under many weightings; what `evaluation` and `pairs` stand on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.errors import SpecError
from tidemill.modeling.bootstrap import Floats, Integers, percentile_interval
from tidemill.modeling.metrics.arithmetic import TaskMetrics
from tidemill.modeling.metrics.binary import BINARY
from tidemill.modeling.metrics.multiclass import MULTICLASS
from tidemill.modeling.metrics.regression import INTERVAL_METRICS, REGRESSION
from tidemill.records import MetricValue

__all__ = ["METRICS", "Interval", "computation", "default_metrics", "figure", "options", "undefined"]

_TASKS: Mapping[str, TaskMetrics] = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}

METRICS: Mapping[str, tuple[str, ...]] = {task: tuple(metrics.compute) for task, metrics in _TASKS.items()}
"""Metrics of each task, in the order in which they are shown."""

Interval = tuple[npt.ArrayLike, npt.ArrayLike]


def options(threshold: float | None, classes: Sequence[str] | None, interval: Interval | None) -> Mapping[str, Any]:
    """Return what a task's sample needs beside labels and scores."""
    return {"threshold": 0.5 if threshold is None else threshold, "classes": classes, "interval": interval}


def default_metrics(task: str, interval: Interval | None) -> tuple[str, ...]:
    """Return all metrics of a task, those of an interval only if there is one."""
    return tuple(name for name in _of_task(task).compute if interval is not None or name not in INTERVAL_METRICS)


def _of_task(task: str) -> TaskMetrics:
    if task not in _TASKS:
        raise SpecError(f"Task {task!r} is unknown.", f"Choose one of {', '.join(_TASKS)}.")
    return _TASKS[task]


def computation(
    task: str,
    metrics: tuple[str, ...],
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    block: Integers,
    options: Mapping[str, Any],
) -> Callable[[Integers], Floats] | None:
    """Return a function from counts of blocks to values, one column a metric; None if none is defined on the rows."""
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


def figure(metric: str, value: float, draws: Floats, n_samples: int, n_blocks: int, slice: str | None) -> MetricValue:
    """Return a value with the interval that its draws show."""
    low, high = percentile_interval(draws, n_blocks) if np.isfinite(value) else (float("nan"), float("nan"))
    return MetricValue(name=metric, value=float(value), low=low, high=high, n=n_samples, slice=slice)


def undefined(metric: str, n_samples: int, slice: str | None) -> MetricValue:
    """Return a value that is not defined."""
    nan = float("nan")
    return MetricValue(name=metric, value=nan, low=nan, high=nan, n=n_samples, slice=slice)
