"""The page of a simulation: what retraining would have been worth, and what the monitors would have said."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import altair as alt

from tidemill.records import MetricValue
from tidemill.report import marks
from tidemill.report.html import Answer, Tile, page
from tidemill.report.marks import SERIES
from tidemill.report.render import Chart, to_svg

__all__ = ["PolicyFacts", "quality_by_policy", "simulation_page"]

SMOOTHED = 7  # partitions in one point: single days scatter more than policies differ


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """One policy of a simulation."""

    name: str
    """Such as ``weekly``."""
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
        """Trainings whose model served."""
        return sum(promoted for *_, promoted in self.trained)


def quality_by_policy(policies: Sequence[PolicyFacts], metric: str) -> Chart:
    """Draw the metric of each policy over time; a dot where a new model began to serve."""
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
    colour = marks.series(names, SERIES)
    line = alt.Chart(marks.data(rows)).mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour)
    dots = alt.Chart(marks.data(served)).mark_circle(size=40, opacity=1).encode(x=x, y=y, color=colour)
    note = f"Mean of {SMOOTHED} partitions. Dots: a newly trained model begins to serve."
    return marks.finish(marks.layered(line, dots), title, note, "wide")


def simulation_page(
    model: str,
    first: str,
    last: str,
    *,
    metric: str,
    policies: Sequence[PolicyFacts],
    gains: Sequence[MetricValue],
    injections: Sequence[str] = (),
) -> str:
    """Say whether retraining would have been worth it.

    Parameters
    ----------
    model, first, last : str
        What was lived again.
    metric : str
        The acceptance metric.
    policies : sequence of PolicyFacts
        In the order of the picture.
    gains : sequence of MetricValue
        Mean gain a partition; ``slice`` says of what over what.
    injections : sequence of str, default ()
        Faults that were put in, in words.
    """
    return page(
        "simulation.html",
        kind="Simulation",
        model=model,
        partition=f"{first} to {last}",
        answer=_answer(gains),
        tiles=[
            Tile(label=policy.name, value=f"{policy.mean_quality:.4f}", note=f"mean {metric}, {_trainings(policy)}")
            for policy in policies
        ],
        policies=policies,
        gains=gains,
        metric=metric,
        injections=injections,
        pictures=[to_svg(quality_by_policy(policies, metric))],
    )


def _smooth(quality: Mapping[str, float | None]) -> dict[str, float | None]:
    """Give the trailing mean of a few partitions."""
    keys = sorted(quality)
    smooth: dict[str, float | None] = {}
    for position, key in enumerate(keys):
        recent = [quality[other] for other in keys[max(0, position - SMOOTHED + 1) : position + 1]]
        known = [value for value in recent if value is not None]
        smooth[key] = mean(known) if known else None
    return smooth


def _trainings(policy: PolicyFacts) -> str:
    return f"{len(policy.trained)} training{'' if len(policy.trained) == 1 else 's'}, {policy.n_promoted} served"


def _answer(gains: Sequence[MetricValue]) -> Answer:
    question = "Would retraining have been worth it?"
    reasons = tuple(
        f"{item.slice}: {item.value:+.4f} {item.name} a partition"
        + ("" if item.low is None or item.high is None else f", 95 % interval {item.low:+.4f} to {item.high:+.4f}")
        + f", over {item.n} partitions."
        for item in gains
    )
    if not gains or all(item.low is None for item in gains):
        return Answer(tone="none", question=question, answer="This past is too short to tell.", reasons=reasons)
    better = [str(item.slice) for item in gains if item.low is not None and item.low > 0]
    worse = [str(item.slice) for item in gains if item.high is not None and item.high < 0]
    if better:
        return Answer(tone="good", question=question, answer=f"Yes: {' and '.join(better)}.", reasons=reasons)
    if worse:
        return Answer(tone="fail", question=question, answer=f"No: worse, {' and '.join(worse)}.", reasons=reasons)
    return Answer(tone="warn", question=question, answer="Not that this past could show.", reasons=reasons)
