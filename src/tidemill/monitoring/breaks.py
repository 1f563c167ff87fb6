"""Sudden breaks: a feature that abruptly differs from the preceding weeks, typically because a feed is broken.

Drift measures the distance from the training data, and seasons drift. A break is judged against the newest partitions:
the distance of this partition from all of them, compared with the distance of each of them from the others. Weather
varies as much every day; a renamed category or a column in another unit does not. A mean that exceeds all past values
by more than their range indicates a change of unit, however variable the feature. Where most values are 0 and stay 0 in
any unit, the mean may stay within the range; then the extremes are judged, if more than a few rows are out of range.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.monitoring.counting.groups import group_counts
from tidemill.monitoring.distances import population_stability_index
from tidemill.monitoring.profile import ColumnKind, ColumnProfile
from tidemill.records import MetricValue, Record

__all__ = ["FeatureCounts", "count_groups", "detect_breaks"]

MIN_DAYS = 14  # preceding partitions; the greatest distance among fewer is not reliable
MIN_OUTSIDE, MIN_ROWS_OUTSIDE = 0.02, 5  # share as of unseen levels, and rows: fewer may be typing errors


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCounts(Record):
    """One feature of one partition, counted into the groups of a release's reference."""

    name: str
    groups: tuple[int, ...]
    """Rows in each group."""
    minimum: float | None = None
    """Minimum of the finite numbers, or None without one."""
    maximum: float | None = None
    """Maximum of the finite numbers."""


def count_groups(reference: Sequence[ColumnProfile], analysis: Sequence[ColumnProfile]) -> tuple[FeatureCounts, ...]:
    """Return the counts that later partitions are compared with: about a hundred bytes per feature.

    Parameters
    ----------
    reference : sequence of ColumnProfile
        The release's reference.
    analysis : sequence of ColumnProfile
        The partition, counted into the same bins, in the same order.
    """
    return tuple(
        FeatureCounts(
            name=before.name,
            groups=tuple(group_counts(before.groups, now.frequencies).tolist()),
            minimum=now.minimum,
            maximum=now.maximum,
        )
        for before, now in zip(reference, analysis, strict=True)
    )


def detect_breaks(
    reference: Sequence[ColumnProfile],
    analysis: Sequence[ColumnProfile],
    history: Sequence[Sequence[FeatureCounts]],
) -> tuple[MetricValue, ...]:
    """Compare each feature of a partition with the newest preceding partitions.

    Parameters
    ----------
    reference : sequence of ColumnProfile
        The release's reference.
    analysis : sequence of ColumnProfile
        The partition, counted into the same bins.
    history : sequence of sequence of FeatureCounts
        The newest preceding partitions, counted into the same bins, in any order.

    Returns
    -------
    tuple of MetricValue
        For each numeric feature ``beyond_range``: the distance of the mean outside all values of the reference and the
        newest partitions, in multiples of their range; 0 inside. If more than 2 % of the rows, and at least 5, are outside
        the reference's range, it is the distance of the most extreme value. With at least 14 partitions also ``jump``, the
        stability index of the partition against all of them, and ``jump_usual``, the greatest index of one of them
        against the others. Features without rows are omitted.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from tidemill.monitoring.profile import build_profile, count_table
    >>> reference = build_profile(pa.table({"km": list(range(100))}), ["km"], [])
    >>> usual = count_groups(reference, reference)
    >>> metres = count_table(reference, pa.table({"km": [1000 * km for km in range(100)]}))
    >>> {figure.name: round(figure.value, 1) for figure in detect_breaks(reference, metres, [usual] * 14)}
    {'beyond_range': 999.0, 'jump': 10.6, 'jump_usual': 0.0}
    """
    past = [{item.name: item for item in day} for day in history]
    metrics: list[MetricValue] = []
    for before, now, counts in zip(reference, analysis, count_groups(reference, analysis), strict=True):
        if now.n:
            mine = [day[before.name] for day in past if before.name in day]
            figures = _beyond_range(before, now, mine) | _jump(counts, mine)
            metrics += [
                MetricValue(name=name, value=value, n=now.n, feature=before.name) for name, value in figures.items()
            ]
    return tuple(metrics)


def _beyond_range(before: ColumnProfile, now: ColumnProfile, past: Sequence[FeatureCounts]) -> dict[str, float]:
    lows = [low for low in (before.minimum, *(item.minimum for item in past)) if low is not None]
    highs = [high for high in (before.maximum, *(item.maximum for item in past)) if high is not None]
    if before.kind is not ColumnKind.NUMERIC or not lows or not highs:
        return {}
    extremes = (now.minimum, now.maximum) if _many_outside(now) else (now.mean, now.mean)
    if extremes[0] is None or extremes[1] is None:
        return {}
    low, high = min(lows), max(highs)
    outside = max(low - extremes[0], extremes[1] - high, 0.0)
    # A constant feature has no range: use its magnitude, or 1 if that is 0.
    return {"beyond_range": outside / ((high - low) or abs(high) or 1.0)}


def _many_outside(now: ColumnProfile) -> bool:
    """Whether more rows are outside the reference's range than typing errors would explain."""
    return now.counts[0] + now.counts[-1] >= max(MIN_OUTSIDE * now.n, MIN_ROWS_OUTSIDE)


def _jump(counts: FeatureCounts, past: Sequence[FeatureCounts]) -> dict[str, float]:
    days: NDArray[np.float64] = np.array(
        [item.groups for item in past if len(item.groups) == len(counts.groups) and any(item.groups)], np.float64
    )
    if len(days) < MIN_DAYS:
        return {}
    together = days.sum(axis=0)
    usual = max(population_stability_index(together - day, day) for day in days)
    return {"jump": population_stability_index(together, counts.groups), "jump_usual": usual}
