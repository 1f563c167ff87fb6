"""The acceptance gate: from evidence to a verdict.

Pure, and closed by default. Each thing that is weighed gives a sentence with its numbers, whether it passed or not;
what is missing, not a number or infinite is a no. Nothing here measures: `tidemill.modeling.metrics` did.
"""

import math
from dataclasses import dataclass
from typing import Self

from tidemill.modeling.metrics import greater_is_better
from tidemill.records import Decision, EvaluationReport, MetricValue, Verdict

__all__ = ["MIN_TEST_ROWS", "decide_acceptance"]

MIN_TEST_ROWS = 100
"""Labelled test rows below which the gate does not decide."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """One thing weighed."""

    verdict: Verdict
    """What it alone would decide."""
    reason: str
    """A sentence with the numbers."""

    @classmethod
    def of(cls, passed: bool, reason: str) -> Self:
        return cls(Verdict.ACCEPT if passed else Verdict.REJECT, reason)

    @classmethod
    def refuse(cls, reason: str) -> Self:
        return cls(Verdict.REJECT, reason)

    @classmethod
    def undecided(cls, reason: str) -> Self:
        return cls(Verdict.NOT_ENOUGH_EVIDENCE, reason)


_BY_WEIGHT = (Verdict.REJECT, Verdict.NOT_ENOUGH_EVIDENCE, Verdict.ACCEPT)  # the worst finding decides


def decide_acceptance(report: EvaluationReport, *, metric: str, minimum: float | None, margin: float) -> Decision:
    """Decide whether a candidate may serve.

    Parameters
    ----------
    report : EvaluationReport
        Evidence from the untouched test set.
    metric : str
        Metric that decides; for one where lower is better, ``minimum`` is a ceiling and differences change sign.
    minimum : float or None
        Floor of the metric's value itself. Its interval is for the comparisons: a floor on the lower end would
        refuse every model of a small but honest test set. None leaves it to the baselines.
    margin : float
        How much worse than the champion the interval may reach, in the metric's unit, from 0.

    Returns
    -------
    Decision
        ``accept`` only if the test set is large enough, the value reaches the floor, each baseline is beaten with
        the whole interval, and the interval of the difference to the champion stays above ``-margin``. Reasons come
        with the decisive ones first.

    Raises
    ------
    SpecError
        If the metric is unknown, or cannot be decided on.
    """
    sign = 1.0 if greater_is_better(metric) else -1.0
    findings = [
        _weigh_size(report.n_test),
        _weigh_floor(report, metric, minimum, sign),
        *_weigh_baselines(report, metric, sign),
        _weigh_champion(report, metric, margin, sign),
    ]
    findings.sort(key=lambda finding: _BY_WEIGHT.index(finding.verdict))
    return Decision(kind="accept", verdict=findings[0].verdict, reasons=tuple(finding.reason for finding in findings))


def _weigh_size(n_test: int) -> _Finding:
    if n_test >= MIN_TEST_ROWS:
        return _Finding.of(True, f"The test set has {n_test} labelled rows, at least the {MIN_TEST_ROWS} needed.")
    return _Finding.undecided(f"The test set has {n_test} labelled rows; at least {MIN_TEST_ROWS} are needed.")


def _weigh_floor(report: EvaluationReport, metric: str, minimum: float | None, sign: float) -> _Finding:
    whole = [figure for figure in report.metrics if figure.name == metric and not figure.slice and not figure.feature]
    if not whole:
        return _Finding.refuse(f"{metric} of the candidate is missing from the evaluation.")
    value = whole[0].value
    if not _is_number(value):
        return _Finding.refuse(f"{metric} of the candidate is {value}, not a number to decide on.")
    bound = "floor" if sign > 0 else "ceiling"
    if minimum is None:
        return _Finding.of(True, f"{metric} is {value:.4g}; the spec names no {bound}.")
    if not _is_number(minimum):
        return _Finding.refuse(f"The {bound} of {metric} is {minimum}, not a number to decide on.")
    passed = sign * value >= sign * minimum
    words = {(True, True): "at least", (True, False): "below", (False, True): "at most", (False, False): "above"}
    return _Finding.of(passed, f"{metric} {value:.4g} is {words[sign > 0, passed]} the {bound} {minimum:.4g}.")


def _weigh_baselines(report: EvaluationReport, metric: str, sign: float) -> list[_Finding]:
    if not report.baselines:
        return [_Finding.refuse("The candidate was compared with no baseline.")]
    return [_weigh_baseline(difference, metric, sign) for difference in report.baselines]


def _weigh_baseline(difference: MetricValue, metric: str, sign: float) -> _Finding:
    name = f"baseline {difference.slice or 'without a name'}"
    flaw = _flaw(difference, metric)
    if flaw:
        return _Finding.refuse(f"The difference to {name} {flaw}.")
    worst, _ = _gain_interval(difference, sign)
    passed = worst > 0
    return _Finding.of(
        passed,
        f"{metric} minus that of {name} is {_interval(difference)}: "
        f"{'better with' if passed else 'not shown to be better by'} the whole interval.",
    )


def _weigh_champion(report: EvaluationReport, metric: str, margin: float, sign: float) -> _Finding:
    difference, release = report.champion_difference, report.champion_release
    if difference is None and release is None:
        return _Finding.of(True, "There is no champion yet to compare with.")
    if difference is None:
        return _Finding.refuse(f"The difference to the champion, release {release}, is missing.")
    if release is None:
        return _Finding.refuse("There is a difference to a champion, but no release that it belongs to.")
    flaw = _flaw(difference, metric)
    if flaw:
        return _Finding.refuse(f"The difference to the champion, release {release}, {flaw}.")
    if not _is_number(margin) or margin < 0:
        return _Finding.refuse(f"The margin is {margin}; a number from 0 is needed.")
    return _compare_with_champion(report, difference, metric, margin, sign)


def _compare_with_champion(
    report: EvaluationReport, difference: MetricValue, metric: str, margin: float, sign: float
) -> _Finding:
    """Judge non-inferiority; a champion that saw test rows is flattered, so failing against it proves nothing."""
    worst, _ = _gain_interval(difference, sign)
    figures = f"{metric} minus that of the champion, release {report.champion_release}, is {_interval(difference)}"
    if worst > -margin:
        unfair = ", although the champion was trained on some of the test rows" if report.champion_saw_test else ""
        return _Finding.of(True, f"{figures}: not worse by {margin:.4g} or more{unfair}.")
    if report.champion_saw_test:
        return _Finding.undecided(
            f"{figures}, but the champion was trained on some of the test rows, which flatters it: "
            "train again when the test set lies after its training data."
        )
    return _Finding.refuse(f"{figures}: it may be worse by {margin:.4g} or more.")


def _flaw(difference: MetricValue, metric: str) -> str | None:
    """Say why a difference cannot be decided on, or None if it can."""
    if difference.name != metric:
        return f"is in {difference.name}, not in {metric}"
    for what, number in (("value", difference.value), ("low", difference.low), ("high", difference.high)):
        if not _is_number(number):
            return f"has {what} {number}, not a number to decide on"
    low, high = _gain_interval(difference, 1.0)
    return f"has an interval that is turned round: {low:.4g} to {high:.4g}" if low > high else None


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _gain_interval(difference: MetricValue, sign: float) -> tuple[float, float]:
    """Turn a checked difference into 'how much better', whatever the metric's direction."""
    assert difference.low is not None
    assert difference.high is not None
    low, high = difference.low, difference.high
    return (low, high) if sign > 0 else (-high, -low)


def _interval(difference: MetricValue) -> str:
    return f"{difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"
