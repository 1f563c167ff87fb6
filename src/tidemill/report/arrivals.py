"""Label arrival as a chart and as text: the usual curve, and the progress of the newest partitions."""

import math
from collections.abc import Sequence

import altair as alt

from tidemill.records import percent
from tidemill.report.html import plural
from tidemill.report.pictures import marks
from tidemill.report.pictures.marks import ACCENT, INK, MUTED
from tidemill.report.pictures.render import Chart
from tidemill.report.values import LabelRow

__all__ = ["arrival_chart", "arrival_sentence", "hours_in_words"]

TITLE = "Labels as they arrive"


def arrival_chart(ages: Sequence[float], shares: Sequence[float], rows: Sequence[LabelRow], due: float) -> Chart:
    """Draw the usual arrival curve of labels with the newest partitions.

    Parameters
    ----------
    ages : sequence of float
        Hours since a partition's end, ascending; empty if the curve is unknown.
    shares : sequence of float
        Usual share of rows with a known label by then.
    rows : sequence of LabelRow
        The newest partitions up to the last age.
    due : float
        Hours that the spec allows for labels.
    """
    points = [
        {"x": row.hours, "y": row.coverage, "key": row.partition, "late": row.state == "late"}
        for row in rows
        if not ages or row.hours <= ages[-1]
    ]
    if not ages and not points:
        return marks.nothing(TITLE, "No partition has ended yet.", "wide")
    x = alt.X("x:Q", title="hours since the partition's end", axis=alt.Axis(tickCount=8))
    y = alt.Y("y:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=4))
    course = [{"x": age, "y": share} for age, share in zip(ages, shares, strict=True)]
    line = alt.Chart(marks.data(course)).mark_line(color=MUTED, strokeWidth=1.8).encode(x=x, y=y)
    colour = alt.condition("datum.late", alt.value(INK), alt.value(ACCENT))
    dots = alt.Chart(marks.data(points)).mark_circle(size=45, opacity=1).encode(x=x, y=y, color=colour)
    rule = alt.Chart(marks.data([{"x": due}])).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(x=x)
    note = "Line: share usually known. Dots: the newest partitions, dark where late. Dashed: the time that labels are given."
    return marks.finish(marks.layered(rule, line, dots), TITLE, note, "wide")


def arrival_sentence(*, half: float, nearly_all: float, final: float, due: float, by_then: float, n: int) -> str:
    """Return a summary of how labels arrive.

    Parameters
    ----------
    half, nearly_all : float
        Hours until 50 % and 99 % of all labels that ever arrive are known; NaN if unknown.
    final : float
        Share of rows that eventually get a label.
    due : float
        Hours that the spec allows for them.
    by_then : float
        Share of rows with a known label by then.
    n : int
        Partitions that the curve was learned from.

    Examples
    --------
    >>> print(arrival_sentence(half=2.04, nearly_all=11, final=0.972, due=48, by_then=0.972, n=9))
    Half of the labels are usually known 2 hours after a partition's end, 99 % after 11 hours; 97.2 % of the rows get one \
in the end. The spec gives them 2 days, by when 97.2 % of the rows have theirs. Learned from 9 partitions.
    """
    if not math.isfinite(half):
        return f"How labels arrive is not known yet: {n} of the 3 partitions that it takes have had time to get theirs."
    return (
        f"Half of the labels are usually known {hours_in_words(half)} after a partition's end, 99 % after "
        f"{hours_in_words(nearly_all)}; {percent(final)} of the rows get one in the end. The spec gives them "
        f"{hours_in_words(due)}, by when {percent(by_then)} of the rows have theirs. Learned from {n} partitions."
    )


def hours_in_words(hours: float) -> str:
    """Return a duration in hours, or in days from two days on.

    Examples
    --------
    >>> hours_in_words(1), hours_in_words(11.26), hours_in_words(48)
    ('1 hour', '11.3 hours', '2 days')
    """
    value, unit = (hours / 24, "day") if hours >= 48 else (hours, "hour")
    text = f"{value:.1f}".removesuffix(".0")
    return f"{text} {plural(unit, float(text))}"
