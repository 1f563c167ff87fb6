"""Shared parts of the charts: axes, legends, reference lines, bars, and the frame.

Channels are written as Altair's classes, not as shorthand strings or dicts: those take milliseconds each.

Data fields have fixed names (``x``, ``y``, ``name``, ``series``), so that no untrusted text can be read as a
field path. This module must not depend on the content of a chart.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import altair as alt

from tidemill.intervals import key_order
from tidemill.records import MetricValue
from tidemill.report.pictures.render import Chart
from tidemill.report.theme import CHART_CONFIG, COLOURS, SIZES

__all__ = [
    "Row",
    "bars",
    "data",
    "ends",
    "figure",
    "finish",
    "layered",
    "level",
    "lines",
    "nothing",
    "or_none",
    "over_partitions",
    "series",
    "share",
    "subject",
]

Row = dict[str, Any]
"""One data point of a chart."""

INK, MUTED, GRID, REFERENCE, ACCENT, SECOND, FAIL = (
    COLOURS[name][0] for name in ("ink", "muted", "grid", "reference", "accent", "second", "fail")
)
SERIES = (ACCENT, SECOND, REFERENCE, COLOURS["good"][0], COLOURS["warn"][0])
"""Colours of lines in one chart, in order of importance."""

_Position = TypeVar("_Position", alt.X, alt.Y)

_ROW_PX = 21  # height of one horizontal bar with its gap
_FRAME_PX = 84  # height of title, subtitle and horizontal axis together


def data(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Return rows as the inline data of a chart."""
    return alt.InlineData(values=list(rows))


def figure(value: float) -> str:
    """Return a figure with three decimals, or ``not defined``.

    Examples
    --------
    >>> figure(0.7421), figure(float("nan"))
    ('0.742', 'not defined')
    """
    return f"{value:.3f}" if math.isfinite(value) else "not defined"


def or_none(value: float | None) -> float | None:
    """Return a finite value, or None if it cannot be drawn."""
    return value if value is not None and math.isfinite(value) else None


def ends(value: MetricValue) -> Row:
    """Return the ends of an interval as the fields ``low`` and ``high``."""
    return {"low": or_none(value.low), "high": or_none(value.high)}


def subject(value: MetricValue) -> str:
    """Return the subject of a figure: its feature, its slice, or all rows."""
    return value.feature or value.slice or "all rows"


def share(channel: type[_Position], field: str, title: str) -> _Position:
    """Return the encoding of a share from 0 to 1."""
    axis = alt.Axis(format=".0%", tickCount=5)
    return channel(f"{field}:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=axis)


def series(names: Sequence[str], colours: Sequence[str] = SERIES) -> alt.Color:
    """Return the colours of named lines, in order of the names."""
    repeated = [colours[position % len(colours)] for position in range(len(names))]
    return alt.Color("series:N", scale=alt.Scale(domain=list(names), range=repeated))


def over_partitions(keys: Iterable[str]) -> alt.X:
    """Return the horizontal axis of partition keys, whose text order is their order in time."""
    return alt.X(
        "x:O",
        title=None,
        scale=alt.Scale(domain=[*sorted(set(keys), key=key_order)], type="point", padding=0.5),
        axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=14, labelBound=True, ticks=False),
    )


def lines(points: list[Row], *, color: str, dash: bool = False) -> alt.Chart:
    """Draw one line through points ``x``, ``y``."""
    mark = alt.Chart(data(points)).mark_line(color=color, strokeWidth=1.2, strokeDash=[4, 4] if dash else [1, 0])
    encoded: alt.Chart = mark.encode(x=alt.X("x:Q"), y=alt.Y("y:Q"))
    return encoded


def level(threshold: float | None) -> list[alt.Chart]:
    """Draw a dashed horizontal line, or nothing if there is no threshold."""
    if threshold is None:
        return []
    rule = alt.Chart(data([{"y": threshold}])).mark_rule(color=FAIL, strokeDash=[4, 4])
    return [rule.encode(y=alt.Y("y:Q"))]


def bars(values: Sequence[MetricValue], title: str, note: str) -> Chart:
    """Draw horizontal bars from zero with intervals, in the order given."""
    if not values:
        return nothing(title, "No column has a value.")
    rows = [{"name": subject(v), "x": v.value, **ends(v), "above": v.value >= 0} for v in values]
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(grid=False, ticks=False))
    )
    x = alt.X("x:Q", title=None, axis=alt.Axis(tickCount=4))
    colour = alt.condition("datum.above", alt.value(ACCENT), alt.value(SECOND))
    length = base.mark_bar(height=12).encode(x=x, color=colour)
    ranges = base.mark_rule(color=INK, strokeWidth=1.3).encode(x=alt.X("low:Q", title=None), x2=alt.X2("high:Q"))
    return finish(layered(length, ranges), title, note, height=_FRAME_PX + _ROW_PX * len(rows))


def layered(*layers: alt.Chart | Chart) -> Chart:
    """Draw several layers, the last on top."""
    return alt.LayerChart(layer=list(layers))


def nothing(title: str, message: str, size: str = "standard") -> Chart:
    """Draw a frame with the reason why there is no chart."""
    text = alt.Chart(data([{"text": message}])).mark_text(color=MUTED, fontSize=11 if size == "mini" else 12)
    return finish(layered(text.encode(text=alt.Text("text:N"))), title, "", size)


def finish(layers: Chart, title: str, note: str, size: str = "standard", height: float | None = None) -> Chart:
    """Draw layers in the frame of a size class, with title, reading note and common configuration."""
    width, usual_height = SIZES[size]
    heading = alt.TitleParams(text=title, subtitle=note) if note else alt.TitleParams(text=title)
    framed: Chart = layers.properties(
        width=width,
        height=height or usual_height,
        description=f"{title}. {note}".strip(),
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        **({} if size == "mini" else {"title": heading}),
    )
    configured: Chart = framed.configure(**CHART_CONFIG)
    return configured
