"""The past of a model over its partitions: coordinates of the quality chart, the calendar, and the drift of each feature.

The templates draw from these values without a chart library: a page with a hundred partitions takes milliseconds.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard
from urllib.parse import quote

from tidemill.errors import PartitionError
from tidemill.intervals import Every, Interval, key_order
from tidemill.records import (
    FeatureDrift,
    MetricValue,
    ModelState,
    OpenAlert,
    PublishedPartition,
    RowDecision,
    Verdict,
)
from tidemill.report.html import figure

__all__ = ["Cell", "DriftRow", "Event", "Point", "QualityChart", "calendar", "drift_rows", "quality_chart"]

WIDTH, HEIGHT = 1080, 240  # of the whole chart, in pixels
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 22, 26  # margins for labels
N_TICKS, N_LABELS = 4, 8
LEVELS = (0.5, 1.0, 2.0)  # distance in thresholds at which a cell gets darker
_TONES = {"withheld": "fail", "released": "good", "discarded": "muted"}


@dataclass(frozen=True, slots=True)
class Point:
    """A figure of one partition, in pixels."""

    x: float
    y: float
    low: float | None
    high: float | None
    partition: PublishedPartition
    value: MetricValue


@dataclass(frozen=True, slots=True)
class Event:
    """A vertical mark with its meaning."""

    x: float
    label: str
    tone: str
    href: str
    """Its link, relative to the model's page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityChart:
    """What the template draws, in pixels."""

    metric: str
    realised: tuple[Point, ...]
    estimated: tuple[Point, ...]
    accepted: float | None
    """Height of the line at the value at acceptance."""
    floor: float | None
    """Height of the line at the floor."""
    ticks: tuple[tuple[float, float], ...]
    """Height and value of each horizontal line."""
    labels: tuple[tuple[float, str], ...]
    """Position and key of the labelled partitions."""
    events: tuple[Event, ...]

    @property
    def lines(self) -> dict[str, list[str]]:
        """The lines through neighbouring figures, as points of a polyline; a gap ends a line."""
        return {"realised": _lines(self.realised), "estimated": _lines(self.estimated)}


@dataclass(frozen=True, slots=True)
class Cell:
    """A partition in the calendar."""

    key: str
    state: str
    """``failed``, ``withheld``, ``missing``, ``none``, ``simulated``, ``published`` or ``empty``."""
    partition: PublishedPartition | None
    month: str
    """Month, at its first cell."""


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A feature's distance from training, one level for each partition."""

    feature: str
    importance: float
    cells: tuple[tuple[str, int, str], ...]
    """Key, level from 0 to 3, and words; level -1 where nothing was measured."""


def quality_chart(
    partitions: Sequence[PublishedPartition], state: ModelState, decisions: Sequence[RowDecision] = ()
) -> QualityChart | None:
    """Return the chart of realised and estimated quality; None if no partition has either.

    Parameters
    ----------
    partitions : sequence of PublishedPartition
        Newest first.
    state : ModelState
        The champion's value at acceptance and the floor become lines, each open alert a mark at the partition in which it
        was first found.
    decisions : sequence of RowDecision, default ()
        Each becomes a mark at its partition.
    """
    champion = state.champion
    ordered = sorted(partitions, key=lambda item: key_order(item.partition))
    figures = [value for item in ordered for value in (item.realised, item.estimated) if _known(value)]
    if not figures:
        return None
    accepted = champion.accepted_value if champion and math.isfinite(champion.accepted_value) else None
    floor = state.floor if state.floor is not None and math.isfinite(state.floor) else None
    lines = [value for value in (accepted, floor) if value is not None]
    scale = _Scale.over([*(end for value in figures for end in _ends(value)), *lines])
    step = (WIDTH - LEFT - RIGHT) / len(ordered)
    places = {item.partition: LEFT + (number + 0.5) * step for number, item in enumerate(ordered)}
    every = math.ceil(len(ordered) / N_LABELS)
    return QualityChart(
        metric=champion.metric if champion else "quality",
        realised=_points(ordered, "realised", places, scale),
        estimated=_points(ordered, "estimated", places, scale),
        accepted=None if accepted is None else scale(accepted),
        floor=None if floor is None else scale(floor),
        ticks=tuple((scale(value), value) for value in scale.ticks()),
        labels=tuple((places[item.partition], item.partition) for item in ordered[::every]),
        events=(*_releases(ordered, places), *_alerts(state.alerts, places), *_decided(decisions, places)),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "_Scale":
        low, high = min(values), max(values)
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin)

    def __call__(self, value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low), 1)

    def ticks(self) -> list[float]:
        """Return round values within the range."""
        rough = (self.high - self.low) / N_TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]


def _known(value: MetricValue | None) -> TypeGuard[MetricValue]:
    return value is not None and math.isfinite(value.value)


def _ends(value: MetricValue) -> list[float]:
    return [end for end in (value.low, value.value, value.high) if end is not None and math.isfinite(end)]


def _points(
    ordered: Sequence[PublishedPartition], kind: str, places: dict[str, float], scale: _Scale
) -> tuple[Point, ...]:
    points = []
    for item in ordered:
        value: MetricValue | None = getattr(item, kind)
        if _known(value):
            low, high = (
                None if end is None or not math.isfinite(end) else scale(end) for end in (value.low, value.high)
            )
            points.append(Point(round(places[item.partition], 1), scale(value.value), low, high, item, value))
    return tuple(points)


def _lines(points: Sequence[Point]) -> list[str]:
    step = min((after.x - before.x for before, after in pairwise(points)), default=0.0)
    lines: list[list[str]] = []
    for number, point in enumerate(points):
        if not number or point.x - points[number - 1].x > 1.5 * step:
            lines.append([])
        lines[-1].append(f"{point.x},{point.y}")
    return [" ".join(line) for line in lines if len(line) > 1]


def _releases(ordered: Sequence[PublishedPartition], places: dict[str, float]) -> list[Event]:
    return [
        Event(
            round((places[before.partition] + places[after.partition]) / 2, 1),
            f"release {after.release_id}",
            "muted",
            f"releases/{after.release_id}/",
        )
        for before, after in pairwise(ordered)
        if after.release_id != before.release_id
    ]


def _alerts(alerts: Iterable[OpenAlert], places: dict[str, float]) -> list[Event]:
    return [
        Event(
            round(places[item.first_partition], 1),
            item.alert.message,
            str(item.alert.severity),
            f"#alert-{item.alert_id}",
        )
        for item in alerts
        if item.first_partition in places
    ]


def _decided(decisions: Sequence[RowDecision], places: dict[str, float]) -> list[Event]:
    return [
        Event(
            round(places[item.partition], 1),
            f"{_word(item)}: {' '.join(item.reasons)}",
            _TONES[_word(item)],
            f"partitions/{quote(item.partition)}/",
        )
        for item in decisions
        if item.partition in places
    ]


def _word(decision: RowDecision) -> str:
    if decision.kind == "inspect":
        return "withheld"
    return "released" if decision.verdict is Verdict.ACCEPT else "discarded"


def calendar(partitions: Sequence[PublishedPartition], state: ModelState) -> tuple[Cell, ...]:
    """Return a cell for each partition from the oldest to the newest, those without one included.

    Parameters
    ----------
    partitions : sequence of PublishedPartition
        Newest first.
    state : ModelState
        Its open failures, withheld partitions, and those that the schedule owes.
    """
    known = {item.partition: item for item in partitions}
    marked = dict.fromkeys(state.timeliness.missing if state.timeliness else (), "missing")
    marked |= dict.fromkeys(state.withheld, "withheld")
    marked |= {item.partition: "failed" for item in state.failures if item.chain == "predict"}
    cells: list[Cell] = []
    for key in _keys(sorted({*known, *marked}, key=key_order)):
        month = "" if cells and cells[-1].key[:7] == key[:7] else key[:7]
        cells.append(Cell(key, marked.get(key) or _state(known.get(key)), known.get(key), month))
    return tuple(cells)


def _state(partition: PublishedPartition | None) -> str:
    if partition is None:
        return "none"
    if partition.simulated:
        return "simulated"
    return "published" if partition.n_rows else "empty"


def _keys(known: Sequence[str]) -> list[str]:
    """Return all keys from the first to the last; only the known ones if they are hours, whose zone no key names."""
    for every in (Every.DAY, Every.WEEK, Every.MONTH) if known else ():
        try:
            first, last = every.of(known[0], "UTC"), every.of(known[-1], "UTC")
        except PartitionError:
            continue
        span = Interval(start=first.interval.start, end=last.interval.end)
        return [partition.key for partition in every.within(span, "UTC")]
    return list(known)


def drift_rows(drift: Sequence[FeatureDrift], keys: Sequence[str]) -> tuple[DriftRow, ...]:
    """Return features with their distance from training in each partition, the most important first.

    Parameters
    ----------
    drift : sequence of FeatureDrift
        In any order.
    keys : sequence of str
        Partitions in the order of the cells.
    """
    weights: dict[str, float] = {}
    found: dict[str, dict[str, FeatureDrift]] = {}
    for item in sorted(drift, key=lambda one: key_order(one.partition)):
        weights[item.feature] = item.importance if math.isfinite(item.importance) else 0.0
        found.setdefault(item.feature, {})[item.partition] = item
    ranked = sorted(weights, key=lambda name: (-weights[name], name))
    return tuple(
        DriftRow(name, weights[name], tuple(_drift_cell(key, found[name].get(key)) for key in keys)) for name in ranked
    )


def _drift_cell(key: str, item: FeatureDrift | None) -> tuple[str, int, str]:
    if item is None or not (math.isfinite(item.distance) and math.isfinite(item.threshold)):
        return key, -1, f"{key}: not measured"
    ratio = item.distance / item.threshold if item.threshold > 0 else math.inf
    level = sum(ratio > limit for limit in LEVELS)
    return key, level, f"{key}: psi {figure(item.distance)}, threshold {figure(item.threshold)}"
