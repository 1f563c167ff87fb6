"""Realised quality over the newest matured partitions, since a single day's figure is mostly chance."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from statistics import mean

from tidemill.errors import SpecError
from tidemill.metrics.definitions import DEFINITIONS, definition_of
from tidemill.metrics.student import half_width
from tidemill.records import MetricValue

__all__ = ["mean_of_hours", "recent_quality"]

MIN_PARTITIONS = 3  # the spread of fewer is meaningless; the newest figure is used instead


def recent_quality(figures: Sequence[MetricValue]) -> MetricValue | None:
    """Return the mean of a metric over partitions, with an interval from their spread.

    Parameters
    ----------
    figures : sequence of MetricValue
        One metric of matured partitions, oldest first; NaN is left out.

    Returns
    -------
    MetricValue or None
        ``<metric>_recent``, with the slice of the newest and the label coverage of all; the newest figure if there are
        fewer than three; None without any.

    Examples
    --------
    >>> days = [MetricValue(name="roc_auc", value=value, n=900) for value in (0.60, 0.62, 0.64)]
    >>> recent = recent_quality(days)
    >>> recent.name, round(recent.value, 2), round(recent.low, 2), recent.n
    ('roc_auc_recent', 0.62, 0.57, 2700)
    """
    known = [figure for figure in figures if math.isfinite(figure.value)]
    if not known:
        return None
    name, newest = f"{known[-1].name}_recent", known[-1]
    if len(known) < MIN_PARTITIONS:
        return replace(newest, name=name)
    values, (least, greatest) = [figure.value for figure in known], _bounds(newest.name)
    middle, spread = mean(values), half_width(values)
    return MetricValue(
        name=name,
        value=middle,
        low=max(middle - spread, least),
        high=min(middle + spread, greatest),
        n=sum(figure.n or 0 for figure in known),
        slice=newest.slice,
        label_coverage=_coverage(known),
    )


def mean_of_hours(figures: Sequence[MetricValue]) -> MetricValue | None:
    """Return the mean of a metric over the hours of a day, without an interval; None if no hour has a figure.

    Examples
    --------
    >>> hours = [MetricValue(name="roc_auc", value=value, n=n) for value, n in ((0.6, 100), (0.7, 300))]
    >>> day = mean_of_hours(hours)
    >>> round(day.value, 3), day.n, day.low
    (0.675, 400, None)
    """
    known = [figure for figure in figures if math.isfinite(figure.value) and figure.n]
    n_rows = sum(figure.n or 0 for figure in known)
    if not n_rows:
        return None
    middle = sum(figure.value * (figure.n or 0) for figure in known) / n_rows
    return replace(known[-1], value=middle, low=None, high=None, n=n_rows, label_coverage=_coverage(known))


def _bounds(name: str) -> tuple[float, float]:
    """Return the minimum and maximum possible value of a metric, for any task."""
    found = (bounds for task in DEFINITIONS if (bounds := _bounds_of(task, name)) is not None)
    known = list(found) or [(-math.inf, math.inf)]
    return min(low for low, _ in known), max(high for _, high in known)


def _bounds_of(task: str, name: str) -> tuple[float, float] | None:
    with suppress(SpecError):
        return definition_of(task, name).bounds
    return None


def _coverage(figures: Sequence[MetricValue]) -> float | None:
    """Return the label coverage of all rows together."""
    covered = [(figure.n or 0, figure.label_coverage) for figure in figures if figure.label_coverage]
    n_rows = sum(n / coverage for n, coverage in covered)
    return sum(n for n, _ in covered) / n_rows if n_rows else None
