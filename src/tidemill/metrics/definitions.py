"""Every metric by task: formula, direction and range. To add a metric, add a line to a table of this file.

Formulas take the rows of their task and are built from the methods of these rows (`tidemill.metrics.rows`). This file must
not import numpy: specs are parsed with it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.errors import SpecError

if TYPE_CHECKING:
    from tidemill.metrics.statistic import Statistic

__all__ = [
    "DECIDABLE",
    "DEFINITIONS",
    "METRICS",
    "NO_SKILL",
    "Metric",
    "default_metric",
    "definition_of",
    "greater_is_better",
    "is_own",
    "sampled_metric",
]

_ANY = (float("-inf"), float("inf"))
_POSITIVE = (0.0, float("inf"))


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one task."""

    of: Callable[[Any], Statistic]
    """Formula: from the rows of the task to a statistic."""
    greater_is_better: bool | None = None
    """None where the metric has no direction: it describes the data or a bias, and cannot decide."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest possible value."""
    no_skill: float | None = None
    """Value of a model that has learnt nothing, where it does not depend on the data; the same in each task with this name."""
    at_acceptance: bool = True
    """False for figures that only monitoring shows."""
    by_threshold: bool = False
    """Whether it depends on the threshold of a binary model; if not, two models with equal scores are equal."""
    whole_partitions: bool = False
    """Whether it needs every row of a partition, so that it is not defined on a sample."""
    in_label_unit: bool = False
    """Whether it is an error in the label's own unit, so that a tolerated deterioration is a share of it."""
    estimated: bool = False
    """Whether monitoring estimates it before labels arrive; otherwise it is known from the first matured partition on."""


DEFINITIONS: Mapping[str, Mapping[str, Metric]] = {
    "binary": {
        "roc_auc": Metric(lambda rows: rows.roc_auc(), True, no_skill=0.5, estimated=True),
        "average_precision": Metric(lambda rows: rows.average_precision(), True),
        "log_loss": Metric(lambda rows: rows.mean(rows.log_losses), False, _POSITIVE, estimated=True),
        "brier_score": Metric(lambda rows: rows.mean((rows.score - rows.y) ** 2), False, estimated=True),
        "expected_calibration_error": Metric(lambda rows: rows.calibration_error(rows.y, rows.score), False),
        "accuracy": Metric(lambda rows: rows.share(rows.called == rows.y), True, by_threshold=True, estimated=True),
        "precision": Metric(
            lambda rows: rows.share(rows.y, among=rows.called), True, by_threshold=True, estimated=True
        ),
        "recall": Metric(lambda rows: rows.share(rows.called, among=rows.y), True, by_threshold=True, estimated=True),
        "f1": Metric(lambda rows: rows.overlap(rows.called, rows.y), True, by_threshold=True, estimated=True),
        "base_rate": Metric(lambda rows: rows.share(rows.y), estimated=True),
        "mean_score": Metric(lambda rows: rows.mean(rows.score), at_acceptance=False),
        "calibration_gap": Metric(lambda rows: rows.mean(rows.score - rows.y), None, (-1.0, 1.0), at_acceptance=False),
    },
    "multiclass": {
        "log_loss": Metric(lambda rows: rows.mean(rows.log_losses), False, _POSITIVE, estimated=True),
        "accuracy": Metric(lambda rows: rows.share(rows.right), True, estimated=True),
        "balanced_accuracy": Metric(lambda rows: rows.by_class(rows.recall), True),
        "macro_f1": Metric(lambda rows: rows.by_class(rows.f1), True, estimated=True),
        "roc_auc_ovr": Metric(lambda rows: rows.by_class(rows.roc_auc), True, no_skill=0.5, estimated=True),
        "brier_score": Metric(lambda rows: rows.mean(rows.squared_distances), False, (0.0, 2.0)),
        "expected_calibration_error": Metric(lambda rows: rows.calibration_error(rows.right, rows.confidence), False),
        "mean_confidence": Metric(lambda rows: rows.mean(rows.confidence), at_acceptance=False),
        "calibration_gap": Metric(
            lambda rows: rows.mean(rows.confidence - rows.right), None, (-1.0, 1.0), at_acceptance=False
        ),
    },
    "regression": {
        "mean_absolute_error": Metric(lambda rows: rows.mean(abs(rows.error)), False, _POSITIVE, in_label_unit=True),
        "root_mean_squared_error": Metric(
            lambda rows: rows.root_mean(rows.error**2), False, _POSITIVE, in_label_unit=True
        ),
        "median_absolute_error": Metric(
            lambda rows: rows.median(abs(rows.error)), False, _POSITIVE, in_label_unit=True
        ),
        "r2_score": Metric(lambda rows: rows.explained_variance(), True, (float("-inf"), 1.0), no_skill=0.0),
        "mean_error": Metric(lambda rows: rows.mean(rows.error), None, _ANY),
        "interval_coverage": Metric(lambda rows: rows.share(rows.covered, among=rows.with_interval)),
        "interval_width": Metric(lambda rows: rows.ratio(rows.width, rows.with_interval), None, _POSITIVE),
        "mean_label": Metric(lambda rows: rows.mean(rows.y), None, _ANY, at_acceptance=False),
        "mean_prediction": Metric(lambda rows: rows.mean(rows.score), None, _ANY, at_acceptance=False),
    },
}
"""Metrics by task and name, in the order in which they are shown; the first of each task is its default."""

METRICS: Mapping[str, tuple[str, ...]] = {
    task: tuple(name for name, metric in metrics.items() if metric.at_acceptance)
    for task, metrics in DEFINITIONS.items()
}
"""Names of the metrics of each task that acceptance shows."""

DECIDABLE: Mapping[str, Mapping[str, bool]] = {
    task: {name: metric.greater_is_better for name, metric in metrics.items() if metric.greater_is_better is not None}
    for task, metrics in DEFINITIONS.items()
}
"""Metrics that may decide, by task: True if more is better."""

NO_SKILL: Mapping[str, float] = {
    name: metric.no_skill
    for metrics in DEFINITIONS.values()
    for name, metric in metrics.items()
    if metric.no_skill is not None
}
"""What a model that has learnt nothing gets, where that does not depend on the data: the default floor."""


def default_metric(task: str) -> str:
    """Return the metric that decides if the spec names none.

    Examples
    --------
    >>> [default_metric(task) for task in ("binary", "multiclass", "regression")]
    ['roc_auc', 'log_loss', 'mean_absolute_error']
    """
    return next(iter(DECIDABLE[task]))


_PRECISION_AT = re.compile(r"precision_at_([1-9][0-9]{0,8})")


def is_own(metric: str) -> bool:
    """Whether a metric is the import path of a user's function, such as ``mycompany.metrics:profit``."""
    return ":" in metric


def definition_of(task: str, metric: str) -> Metric:
    """Return the definition of a metric, ``precision_at_<number>`` and a user's function included.

    Raises
    ------
    SpecError
        If the task or its metric is unknown.

    Examples
    --------
    >>> definition_of("binary", "precision_at_500").greater_is_better
    True
    """
    if task not in DEFINITIONS:
        raise SpecError(f"Task {task!r} is unknown.", f"Choose one of {', '.join(DEFINITIONS)}.")
    if metric in DEFINITIONS[task]:
        return DEFINITIONS[task][metric]
    if is_own(metric):
        from tidemill.metrics.own import direction_of, own_statistic  # loads numpy, and the user's code

        up = direction_of(metric)
        return Metric(lambda rows: own_statistic(metric, rows), up, _ANY, by_threshold=True, whole_partitions=True)
    found = _PRECISION_AT.fullmatch(metric) if task == "binary" else None
    if found is None:
        raise SpecError(f"Metric {metric!r} is unknown.", f"Choose one of {', '.join(METRICS[task])}.")
    n_rows = int(found[1])
    return Metric(lambda rows: rows.precision_at(n_rows), True, whole_partitions=True)


def sampled_metric(task: str, metric: str) -> str:
    """Return a metric to compare samples by: the same one, or the task's default.

    The default stands for one that needs whole partitions, and for a user's function, which could need too many calls.
    """
    return default_metric(task) if definition_of(task, metric).whole_partitions else metric


def greater_is_better(metric: str, task: str | None = None) -> bool:
    """Return whether more of a metric is better.

    Parameters
    ----------
    task : str, default None
        ``binary``, ``multiclass`` or ``regression``; None searches the metrics of all.

    Raises
    ------
    SpecError
        If the task has no such metric, or the metric has no direction (``base_rate``, ``mean_error``).

    Examples
    --------
    >>> greater_is_better("roc_auc"), greater_is_better("log_loss")
    (True, False)
    """
    choices = {name: up for each in ([task] if task else DECIDABLE) for name, up in DECIDABLE[each].items()}
    if is_own(metric):
        from tidemill.metrics.own import direction_of  # loads numpy, and the user's code

        return direction_of(metric)
    if _PRECISION_AT.fullmatch(metric) and task in (None, "binary"):
        return True
    if metric not in choices:
        near = difflib.get_close_matches(metric, choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        where = f" for task {str(task)!r}" if task else ""
        raise SpecError(f"Metric {metric!r} cannot be decided on{where}.{hint}", _choose(choices, task))
    return choices[metric]


def _choose(choices: Mapping[str, bool], task: str | None) -> str:
    at = ", precision_at_500 (or another number)" if task in (None, "binary") else ""
    return f"Choose one of {', '.join(choices)}{at}."
