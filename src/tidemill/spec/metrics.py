"""Names of the metrics that can decide, by task: which way is better, and which one decides if nobody says.

Words only, since parsing a spec must stay light; ``tidemill.modeling.metrics`` computes them.
"""

import difflib
from collections.abc import Mapping

from tidemill.errors import SpecError
from tidemill.spec.data import Task

__all__ = ["DECIDABLE", "NO_SKILL", "default_metric", "greater_is_better"]

DECIDABLE: Mapping[Task, Mapping[str, bool]] = {
    Task.BINARY: {
        "roc_auc": True,
        "average_precision": True,
        "log_loss": False,
        "brier_score": False,
        "expected_calibration_error": False,
        "accuracy": True,
        "precision": True,
        "recall": True,
        "f1": True,
    },
    Task.MULTICLASS: {
        "log_loss": False,
        "accuracy": True,
        "balanced_accuracy": True,
        "macro_f1": True,
        "roc_auc_ovr": True,
        "brier_score": False,
        "expected_calibration_error": False,
    },
    Task.REGRESSION: {
        "mean_absolute_error": False,
        "root_mean_squared_error": False,
        "median_absolute_error": False,
        "r2_score": True,
    },
}
"""Metric to True if more is better, by task; the first of each task is its default."""

NO_SKILL: Mapping[str, float] = {"roc_auc": 0.5, "roc_auc_ovr": 0.5, "r2_score": 0.0}
"""What a model that has learnt nothing gets, where that does not depend on the data: the floor if nobody names one."""


def default_metric(task: str) -> str:
    """Return the metric that decides if the spec names none.

    Examples
    --------
    >>> [default_metric(task) for task in ("binary", "multiclass", "regression")]
    ['roc_auc', 'log_loss', 'mean_absolute_error']
    """
    return next(iter(DECIDABLE[Task(task)]))


def greater_is_better(metric: str, task: str | None = None) -> bool:
    """Say in which direction a metric improves.

    Parameters
    ----------
    metric : str
        Name.
    task : str, default None
        ``binary``, ``multiclass`` or ``regression``; None takes the metrics of all.

    Raises
    ------
    SpecError
        If the task has no such metric, or the metric has no better or worse (``base_rate``, ``mean_error``).

    Examples
    --------
    >>> greater_is_better("roc_auc"), greater_is_better("log_loss")
    (True, False)
    """
    choices = {name: up for each in ([Task(task)] if task else Task) for name, up in DECIDABLE[each].items()}
    if metric not in choices:
        near = difflib.get_close_matches(metric, choices, n=1)
        hint = f" Is it {near[0]!r}?" if near else ""
        where = f" for task {Task(task).value!r}" if task else ""
        raise SpecError(f"Metric {metric!r} cannot be decided on{where}.{hint}", f"Choose one of {', '.join(choices)}.")
    return choices[metric]
