"""The page of a simulation: the gain by retraining, and the alerts that monitoring would have raised."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import altair as alt

from tidemill.intervals import key_order
from tidemill.metrics.definitions import greater_is_better
from tidemill.records import MetricValue
from tidemill.report.html import Answer, Tile, page, plural
from tidemill.report.pictures import marks
from tidemill.report.pictures.marks import ACCENT, FAIL, INK, REFERENCE, SECOND
from tidemill.report.pictures.render import Chart, to_svg

__all__ = ["PolicyFacts", "gain_over_time", "gains_between", "quality_by_policy", "simulation_page"]

SMOOTHED = 7  # partitions per point of the quality: single days scatter
LONG = 28  # of the gain: policies differ by less than days do
_COLOURS = (REFERENCE, SECOND, ACCENT)  # baseline in grey, the subject of the page in blue
_ROW_PX, _FRAME_PX = 44, 84  # height of one gain with its label, and of the frame around them


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """One policy of a simulation."""

    name: str
    """Name, such as ``weekly retraining``."""
    quality: Mapping[str, float | None]
    """The metric by partition key."""
    trained: Sequence[tuple[str, str, str, bool]]
    """Partition, verdict, first reason, and whether it served."""
    alerts: Sequence[tuple[str, str, str, str, str]]
    """Rule, severity, first and last partition, message."""
    stopped: Sequence[tuple[str, str, str]]
    """Partition, chain and error."""

    @property
    def mean_quality(self) -> float:
        """Mean over partitions; NaN without one."""
        known = [value for value in self.quality.values() if value is not None]
        return mean(known) if known else math.nan

    @property
    def n_promoted(self) -> int:
        """Number of trainings whose model served."""
        return sum(promoted for *_, promoted in self.trained)


def quality_by_policy(policies: Sequence[PolicyFacts], metric: str) -> Chart:
    """Draw the metric of each policy over time, with a dot where a new model begins to serve."""
    title = f"{metric} under each policy"
    names = [policy.name for policy in policies]
    rows, served = [], []
    for policy in policies:
        smooth = _smooth(policy.quality)
        rows += [{"x": key, "y": value, "series": policy.name} for key, value in smooth.items()]
        served += [
            {"x": key, "y": smooth[key], "series": policy.name}
            for key, _, _, promoted in policy.trained
            if promoted and smooth.get(key) is not None
        ]
    if not any(row["y"] is not None for row in rows):
        return marks.nothing(title, "No partition has a value.", "wide")
    x = marks.over_partitions(str(row["x"]) for row in rows)
    y = alt.Y("y:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    colour = marks.series(names, _COLOURS)
    line = alt.Chart(marks.data(rows)).mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour)
    dots = alt.Chart(marks.data(served)).mark_circle(size=48, opacity=1).encode(x=x, y=y, color=colour)
    note = f"Mean of {SMOOTHED} partitions. Dots: a newly trained model begins to serve."
    return marks.finish(marks.layered(line, dots), title, note, "wide", height=300)


def gain_over_time(policies: Sequence[PolicyFacts], metric: str, *, sign: int = 1) -> Chart:
    """Draw the gain of each policy over the first one by time.

    Parameters
    ----------
    policies : sequence of PolicyFacts
        The first is the zero line.
    sign : {1, -1}, default 1
        -1 where lower is better.
    """
    first, *others = policies
    title = f"{metric}: better than with {first.name} by"
    rows = [
        {"x": key, "y": value, "series": policy.name}
        for policy in others
        for key, value in _smooth(_differences(policy, first, sign), LONG).items()
    ]
    if not any(row["y"] is not None for row in rows):
        return marks.nothing(title, "There is nothing to compare.", "wide")
    x = marks.over_partitions(str(row["x"]) for row in rows)
    y = alt.Y("y:Q", title=None, axis=alt.Axis(tickCount=5, format="+.3f"))
    colour = marks.series([policy.name for policy in others], _COLOURS[1:])
    line = alt.Chart(marks.data(rows)).mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour)
    zero = alt.Chart(marks.data([{"y": 0.0}])).mark_rule(color=REFERENCE).encode(y=alt.Y("y:Q"))
    note = f"Mean of {LONG} partitions. Above the line of 0 the policy is better."
    return marks.finish(marks.layered(zero, line), title, note, "wide")


def gains_between(gains: Sequence[MetricValue], metric: str) -> Chart:
    """Draw the mean gain of each policy over another with its interval, in blue if the interval is above 0."""
    title = f"Gain in {metric}, mean of all partitions"
    rows = [
        {"name": str(item.slice), "x": item.value, **marks.ends(item), "label": _figures(item), "sure": _side(item)}
        for item in gains
        if math.isfinite(item.value)
    ]
    if not rows:
        return marks.nothing(title, "There is nothing to compare.", "wide")
    in_two_lines = "split(replace(datum.label, ' over ', '|over '), '|')"  # fits with any font
    names = alt.Axis(grid=False, ticks=False, labelLimit=320, minExtent=150, labelFontSize=12, labelExpr=in_two_lines)
    y = alt.Y("name:N", sort=None, title=None, axis=names)
    base = alt.Chart(marks.data(rows)).encode(y=y)
    scale, axis = alt.Scale(zero=True, padding=40), alt.Axis(tickCount=7, format="+.3f")
    colour = alt.Color(
        "sure:N", legend=None, scale=alt.Scale(domain=["better", "open", "worse"], range=[ACCENT, REFERENCE, FAIL])
    )
    low, x = (alt.X(f"{name}:Q", title=None, scale=scale, axis=axis) for name in ("low", "x"))
    ranges = base.mark_rule(strokeWidth=3).encode(x=low, x2=alt.X2("high:Q"), color=colour)
    dots = base.mark_circle(size=130, opacity=1).encode(x=x, color=colour)
    labels = base.mark_text(dy=-14, fontSize=12, color=INK).encode(x=x, text=alt.Text("label:N"))
    zero = alt.Chart(marks.data([{"x": 0.0}])).mark_rule(color=INK, strokeDash=[4, 4]).encode(x=alt.X("x:Q"))
    note = "Dots with 95 % intervals over weeks; grey where the interval holds 0, so that no difference is shown."
    height = _FRAME_PX + _ROW_PX * len(rows)
    return marks.finish(marks.layered(zero, ranges, dots, labels), title, note, "wide", height=height)


def simulation_page(
    model: str,
    period: str,
    *,
    metric: str,
    policies: Sequence[PolicyFacts],
    gains: Sequence[MetricValue],
    injections: Sequence[str] = (),
) -> str:
    """Return the page that answers whether retraining would have helped.

    Parameters
    ----------
    model, period : str
        Replayed model and period, e.g. ``2013-06-01 to 2013-06-14``.
    policies : sequence of PolicyFacts
        In the order of the chart.
    gains : sequence of MetricValue
        Mean gain per partition; ``slice`` names both policies.
    injections : sequence of str, default ()
        Faults that were injected, in words.
    """
    return page(
        "simulation.html",
        kind="Simulation",
        model=model,
        partition=period,
        answer=_answer(gains, policies),
        tiles=[
            Tile(label=policy.name, value=f"{policy.mean_quality:.4f}", note=f"mean {metric}, {_trainings(policy)}")
            for policy in policies
        ],
        policies=policies,
        gains=gains,
        metric=metric,
        injections=injections,
        pictures=[
            to_svg(gains_between(gains, metric)),
            to_svg(gain_over_time(policies, metric, sign=1 if greater_is_better(metric) else -1)),
            to_svg(quality_by_policy(policies, metric)),
        ],
    )


def _smooth(quality: Mapping[str, float | None], length: int = SMOOTHED) -> dict[str, float | None]:
    """Return the trailing mean of a few partitions."""
    keys = sorted(quality, key=key_order)
    smooth: dict[str, float | None] = {}
    for position, key in enumerate(keys):
        recent = [quality[other] for other in keys[max(0, position - length + 1) : position + 1]]
        known = [value for value in recent if value is not None]
        smooth[key] = mean(known) if known else None
    return smooth


def _differences(policy: PolicyFacts, other: PolicyFacts, sign: int) -> dict[str, float | None]:
    return {
        key: None if value is None or (against := other.quality.get(key)) is None else sign * (value - against)
        for key, value in policy.quality.items()
    }


def _side(gain: MetricValue) -> str:
    if gain.low is None or gain.high is None:
        return "open"
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "open"


def _figures(gain: MetricValue) -> str:
    interval = "" if gain.low is None or gain.high is None else f" ({gain.low:+.4f} to {gain.high:+.4f})"
    return f"{gain.value:+.4f}{interval}"


def _trainings(policy: PolicyFacts) -> str:
    return f"{len(policy.trained)} {plural('training', len(policy.trained))}, {policy.n_promoted} served"


def _answer(gains: Sequence[MetricValue], policies: Sequence[PolicyFacts]) -> Answer:
    """Return the answer: the policies that are better or worse, and the gains."""
    question = "Which policy of retraining is best, and by how much?"
    reasons = tuple(
        f"{item.slice}: {item.value:+.4f} {item.name} a partition"
        + ("" if item.low is None or item.high is None else f", 95 % interval {item.low:+.4f} to {item.high:+.4f}")
        + f", over {item.n} partitions: {_WORDS[_side(item)]}."
        for item in gains
    ) + tuple(f"{policy.name}: {_trainings(policy)}, mean {policy.mean_quality:.4f}." for policy in policies)
    if not gains or all(item.low is None for item in gains):
        return Answer(tone="none", question=question, answer="This past is too short to tell.", reasons=reasons)
    better = [item for item in gains if _side(item) == "better"]
    worse = [f"{item.slice} {item.value:+.4f}" for item in gains if _side(item) == "worse"]
    if better:
        said = ", ".join(f"{item.slice} {item.value:+.4f}" for item in better)
        also = f"; worse: {', '.join(worse)}" if worse else ""
        return Answer(tone="good", question=question, answer=f"Retraining helps: {said}{also}.", reasons=reasons)
    if worse:
        return Answer(tone="fail", question=question, answer=f"It harms: {', '.join(worse)}.", reasons=reasons)
    return Answer(tone="warn", question=question, answer="No difference that this past could show.", reasons=reasons)


_WORDS = {"better": "better", "worse": "worse", "open": "no difference is shown"}
