"""The gate's comparisons: with each baseline, with the champion, and with the champion in every declared slice.

All are paired differences on the same rows. A difference that points the right way but whose interval is too wide decides
nothing: the finding then reports how many more days of labels would decide it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.metrics.blocks import MIN_BLOCKS
from tidemill.metrics.gaps import PREFIX
from tidemill.modeling.gate.finding import Finding, is_finite
from tidemill.modeling.gate.power import harmed, shortfall, widened
from tidemill.records import EvaluationReport, MetricValue, significant

__all__ = [
    "MIN_SLICE_ROWS",
    "SHARE_OF_LEAD",
    "Yardstick",
    "default_margin",
    "lead_over_prior",
    "weigh_anchor",
    "weigh_baselines",
    "weigh_champion",
    "weigh_gaps",
    "weigh_slices",
]

SHARE_OF_LEAD = 0.05
"""Share of the lead over ``prior`` that is the margin by default: 0.01 for a ROC AUC of 0.7, whatever the label's unit."""

MIN_SLICE_ROWS = 100
"""Rows below which a slice is shown, but not weighed."""
_MAX_NAMED = 3650  # blocks beyond which the exact number does not matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """How differences are judged."""

    metric: str
    """Metric that decides."""
    sign: float
    """1 where more is better, -1 where less is."""
    margin: float
    """How much worse than the champion the interval may reach."""
    slice_margin: float
    """How much worse a slice may be."""
    unit: str
    """What a block of time is called, e.g. ``day``."""
    look: int | None = None
    """Number of the comparison with this champion, if all of them together may err as often as one."""

    def gain(self, difference: MetricValue) -> float:
        """Turn a difference into 'how much better'."""
        return self.sign * difference.value

    def gain_interval(self, difference: MetricValue) -> tuple[float, float]:
        """Turn a checked interval into 'how much better'."""
        assert difference.low is not None
        assert difference.high is not None
        ends = (self.sign * difference.low, self.sign * difference.high)
        return min(ends), max(ends)

    def worst(self, difference: MetricValue) -> float:
        """Return how much better the candidate is at least, allowing for earlier comparisons with the same champion."""
        worst, _ = self.gain_interval(difference)
        if self.look is None or not difference.n_blocks:
            return worst
        return self.gain(difference) - widened(self.gain(difference) - worst, self.look, difference.n_blocks)

    def flaw(self, difference: MetricValue) -> str | None:
        """Return why a difference cannot be decided on, or None if it can."""
        if difference.name != self.metric:
            return f"is in {difference.name}, not in {self.metric}"
        for what, number in (("value", difference.value), ("low", difference.low), ("high", difference.high)):
            if not is_finite(number):
                return f"has {what} {number}, not a number to decide on"
        if difference.low is not None and difference.high is not None and difference.low > difference.high:
            ends = (significant(end, 4) for end in (difference.low, difference.high))
            return f"has an interval that is turned round: {' to '.join(ends)}"
        return None


def lead_over_prior(report: EvaluationReport, metric: str, sign: float) -> float | None:
    """Return how much better than the baseline ``prior`` the candidate is; None if that is not known."""
    found = (item for item in report.baselines if item.slice == "prior" and item.name == metric)
    value = next((item.value for item in found), None)
    return sign * value if value is not None and is_finite(value) else None


def default_margin(report: EvaluationReport, metric: str, sign: float) -> float:
    """Return the margin where the spec names none: a share of the lead over ``prior``, from 0.

    A challenger that is not worse by the margin keeps that much less than the whole of what a model is worth, in any unit
    of the label (preserved fraction of the effect: U.S. FDA, *Non-Inferiority Clinical Trials*, 2016, section IV).
    """
    return SHARE_OF_LEAD * max(lead_over_prior(report, metric, sign) or 0.0, 0.0)


def weigh_baselines(report: EvaluationReport, by: Yardstick) -> list[Finding]:
    """Require that the whole interval beats each baseline."""
    if not report.baselines:
        return [Finding.refuse("The candidate was compared with no baseline.")]
    return [_weigh_baseline(difference, by) for difference in report.baselines]


def _weigh_baseline(difference: MetricValue, by: Yardstick) -> Finding:
    name = f"baseline {difference.slice or 'without a name'}"
    if _spans_too_little(difference):
        return Finding.undecided(_too_few_blocks(f"The difference to {name}", difference, by))
    if _has_no_interval(difference):
        return Finding.undecided(_no_interval(f"The difference to {name}", difference, by))
    flaw = by.flaw(difference)
    if flaw:
        return Finding.refuse(f"The difference to {name} {flaw}.")
    figures = f"{by.metric} minus that of {name} is {_interval(difference)}"
    worst, _ = by.gain_interval(difference)
    if worst > 0:
        return Finding.of(
            True, f"{figures}: better, the whole 95 % interval is {'above' if by.sign > 0 else 'below'} 0."
        )
    if by.gain(difference) <= 0:
        return Finding.refuse(f"{figures}: not better.")
    return Finding.undecided(
        f"{figures}: the interval reaches 0, so it is not shown to be better{_what_would(difference, by.gain(difference), by)}."
    )


def weigh_champion(report: EvaluationReport, by: Yardstick) -> Finding:
    """Require that the whole interval stays above minus the margin."""
    difference, release = report.champion_difference, report.champion_release
    if difference is None and release is None:
        return Finding.of(True, "There is no champion yet to compare with.")
    if difference is None and report.champion_problem:
        return Finding.undecided(
            f"The champion, release {release}, cannot be compared: {report.champion_problem} Keep what it reads until "
            "another one serves, or let a person promote this release by force."
        )
    if difference is None:
        return Finding.refuse(f"The difference to the champion, release {release}, is missing.")
    if release is None:
        return Finding.refuse("There is a difference to a champion, but no release that it belongs to.")
    if _spans_too_little(difference):
        return Finding.undecided(_too_few_blocks(f"The difference to the champion, release {release}", difference, by))
    if _has_no_interval(difference):
        return Finding.undecided(_no_interval(f"The difference to the champion, release {release},", difference, by))
    flaw = by.flaw(difference)
    if flaw:
        return Finding.refuse(f"The difference to the champion, release {release}, {flaw}.")
    if not is_finite(by.margin) or by.margin < 0:
        return Finding.refuse(f"The margin is {by.margin}; a number from 0 is needed.")
    return _compare_with_champion(report, difference, by)


def _compare_with_champion(report: EvaluationReport, difference: MetricValue, by: Yardstick) -> Finding:
    """Judge non-inferiority; a champion that saw test rows is flattered, so failing against it proves nothing."""
    worst = by.worst(difference)
    figures = f"{by.metric} minus that of the champion, release {report.champion_release}, is {_interval(difference)}"
    if by.look is not None:
        figures += f", at worst {worst:+.4f} in this comparison number {by.look} with it"
    if difference.n is not None and difference.n < report.n_test:
        figures += f" on the {difference.n:,} of {report.n_test:,} test rows that the champion has not seen"
    if difference.standard_error == 0:
        figures += ", since both score every row alike"
    if worst > -by.margin:
        unfair = ", although the champion was trained on some of the test rows" if report.champion_saw_test else ""
        return Finding.of(True, f"{figures}: not worse by {significant(by.margin, 4)} or more{unfair}.")
    if report.champion_saw_test:
        return Finding.undecided(
            f"{figures}, but the champion was trained on some of the test rows, which flatters it: "
            "train again when the test set lies after its training data."
        )
    gap = by.gain(difference) + by.margin
    if gap <= 0:
        return Finding.refuse(f"{figures}: worse by {significant(by.margin, 4)} or more.")
    return Finding.undecided(
        f"{figures}: it may be worse by {significant(by.margin, 4)} or more{_what_would(difference, gap, by)}. "
        f"A margin above {significant(-worst, 2)} could be shown with what there is."
    )


def weigh_anchor(report: EvaluationReport, by: Yardstick) -> list[Finding]:
    """Require the same against the champion of some promotions ago, so that small losses do not add up."""
    difference, release = report.anchor_difference, report.anchor_release
    if release is None:
        return []
    what = f"The difference to release {release}, an earlier champion,"
    if report.anchor_problem:
        return [Finding.shown(f"{what} is unknown: {report.anchor_problem}")]
    if difference is None:
        return [Finding.refuse(f"{what} is missing.")]
    if _spans_too_little(difference):
        return [Finding.undecided(_too_few_blocks(what, difference, by))]
    if _has_no_interval(difference):
        return [Finding.undecided(_no_interval(what, difference, by))]
    flaw = by.flaw(difference)
    if flaw:
        return [Finding.refuse(f"{what} {flaw}.")]
    figures = f"{by.metric} minus that of release {release}, an earlier champion, is {_interval(difference)}"
    margin, (worst, _) = significant(by.margin, 4), by.gain_interval(difference)
    if worst > -by.margin:
        return [Finding.of(True, f"{figures}: not worse by {margin} or more.")]
    if by.gain(difference) <= -by.margin:
        return [Finding.refuse(f"{figures}: worse by {margin} or more, so small losses have added up.")]
    gap = by.gain(difference) + by.margin
    return [Finding.undecided(f"{figures}: it may be worse by {margin} or more{_what_would(difference, gap, by)}.")]


def weigh_slices(report: EvaluationReport, by: Yardstick, declared: tuple[str, ...]) -> list[Finding]:
    """Refuse a candidate that is shown to be worse than the champion in a slice."""
    if not declared or report.champion_release is None or report.champion_problem:
        return []
    if not report.champion_slices:
        return [Finding.refuse(f"The slices by {', '.join(declared)} were not compared with the champion's.")]
    weighable = [item for item in report.champion_slices if _is_weighable(item, by)]
    if not weighable:
        return [
            Finding.undecided(
                f"No slice by {', '.join(declared)} has {MIN_SLICE_ROWS} labelled rows over {MIN_BLOCKS} {by.unit}s, "
                "so that none could be compared with the champion's."
            )
        ]
    worse = harmed(
        [by.gain(item) for item in weighable],
        [item.standard_error or 0.0 for item in weighable],
        [item.n_blocks or 0 for item in weighable],
        by.slice_margin,
    )
    return _slice_findings(
        report, by, [item for item, is_worse in zip(weighable, worse, strict=True) if is_worse], len(weighable)
    )


def _slice_findings(report: EvaluationReport, by: Yardstick, worse: list[MetricValue], n_weighed: int) -> list[Finding]:
    n_slices = len(report.champion_slices)
    said = f"{n_weighed} of {n_slices} slices could be compared with the champion's"
    if not worse:
        return [Finding.of(True, f"{said}; none is shown to be worse by more than {significant(by.slice_margin, 4)}.")]
    findings = []
    for item in worse:
        reason = (
            f"For {item.slice}, {by.metric} minus that of the champion is {_interval(item)}: worse by more than "
            f"{significant(by.slice_margin, 4)}, allowing for {n_weighed} slices looked at."
        )
        findings.append(Finding.undecided(reason) if report.champion_saw_test else Finding.refuse(reason))
    return findings


def weigh_gaps(report: EvaluationReport, limits: Mapping[str, float], unit: str) -> list[Finding]:
    """Refuse a candidate of which a gap between groups is shown to be larger than its limit."""
    if not limits:
        return []
    judged = [item for item in report.gaps if item.name.removeprefix(PREFIX) in limits and is_finite(item.value)]
    weighable = [item for item in judged if is_finite(item.standard_error) and (item.n or 0) >= MIN_SLICE_ROWS]
    if not weighable:
        return [
            Finding.undecided(
                f"No group has {MIN_SLICE_ROWS} labelled rows over {MIN_BLOCKS} {unit}s, so that none could be compared "
                "with the other rows, as accept.gaps asks."
            )
        ]
    of = [limits[item.name.removeprefix(PREFIX)] for item in weighable]
    wide = harmed(
        [limit - abs(item.value) for item, limit in zip(weighable, of, strict=True)],
        [item.standard_error or 0.0 for item in weighable],
        [item.n_blocks or 0 for item in weighable],
        0.0,
    )
    found = [
        Finding.refuse(
            f"For {item.slice}, {_gap_name(item)} minus that of the other rows is {_interval(item)}: a gap above "
            f"{significant(limit, 4)}, allowing for {len(weighable)} gaps looked at."
        )
        for item, limit, is_wide in zip(weighable, of, wide, strict=True)
        if is_wide
    ]
    said = (
        f"{len(weighable)} of {len(judged)} gaps between groups could be judged; none is shown to be above its limit."
    )
    return found or [Finding.of(True, said)]


def _gap_name(item: MetricValue) -> str:
    return item.name.removeprefix(PREFIX).replace("_", " ")


def _is_weighable(item: MetricValue, by: Yardstick) -> bool:
    enough = (item.n or 0) >= MIN_SLICE_ROWS and (item.n_blocks or 0) >= MIN_BLOCKS
    return enough and by.flaw(item) is None and is_finite(item.standard_error)


def _spans_too_little(difference: MetricValue) -> bool:
    """Return whether the interval is missing for no other reason than that there are too few blocks of time."""
    return difference.n_blocks is not None and difference.n_blocks < MIN_BLOCKS and is_finite(difference.value)


def _has_no_interval(difference: MetricValue) -> bool:
    """Return whether the rows define a difference and tell nothing about its error."""
    ends = (difference.low, difference.high)
    return is_finite(difference.value) and all(end is None or math.isnan(end) for end in ends)


def _no_interval(what: str, difference: MetricValue, by: Yardstick) -> str:
    return (
        f"{what} is {difference.value:+.4f}, and has no interval: too few {by.unit}s hold rows that count for {by.metric}, "
        "or both models answer them alike. A longer train.test would tell."
    )


def _too_few_blocks(what: str, difference: MetricValue, by: Yardstick) -> str:
    n_blocks = difference.n_blocks or 0
    return (
        f"{what} rests on {_many(n_blocks, by.unit)}; at least {MIN_BLOCKS} are needed, "
        f"{_many(MIN_BLOCKS - n_blocks, by.unit)} of labels more."
    )


def _what_would(difference: MetricValue, gap: float, by: Yardstick) -> str:
    if not is_finite(difference.standard_error) or not difference.n_blocks:
        return ""
    assert difference.standard_error is not None
    missing = shortfall(gap, difference.standard_error, difference.n_blocks, difference.n or 0)
    if missing.n_blocks > _MAX_NAMED:
        return f"; no test set would show it in less than {_MAX_NAMED:,} {by.unit}s"
    n_blocks = max(missing.n_blocks, 1)
    if by.unit == "fold":  # there are 100, and more rows make them larger
        times = 1 + n_blocks / difference.n_blocks
        return f"; about {times:.1f} times as many labelled rows would decide it, if the difference stays as it is"
    rows = f" ({missing.n_rows:,} rows)" if missing.n_rows else ""
    return (
        f"; about {n_blocks:,} more {by.unit}{'' if n_blocks == 1 else 's'} of labels{rows} would decide it, "
        f"if the difference stays as it is: {_many(difference.n_blocks + n_blocks, by.unit)} of test instead of "
        f"{difference.n_blocks}"
    )


def _many(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _interval(difference: MetricValue) -> str:
    ends = (difference.value, difference.low or 0.0, difference.high or 0.0)
    size = max(map(abs, ends))
    decimals = 4 if not size or 0.001 <= size < 10 else max(3 - math.floor(math.log10(size)), 0)
    value, low, high = (f"{number:+,.{decimals}f}" for number in ends)
    return f"{value} ({low} to {high})"
