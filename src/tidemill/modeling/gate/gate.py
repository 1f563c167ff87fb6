"""The acceptance gate: from evidence to a verdict.

Pure, and closed by default. Each check gives a sentence with its numbers, whether it passed or not. Evidence that is
missing, not a number or infinite never passes; what the spec sets no limit for is shown and stops nothing. Nothing is
measured here: ``tidemill.steps.train.evaluate`` does that.
"""

from collections.abc import Callable
from dataclasses import replace

from tidemill.metrics.blocks import MIN_BLOCKS
from tidemill.metrics.definitions import greater_is_better
from tidemill.modeling.gate.comparison import (
    SHARE_OF_LEAD,
    Yardstick,
    default_margin,
    lead_over_prior,
    weigh_anchor,
    weigh_baselines,
    weigh_champion,
    weigh_gaps,
    weigh_slices,
)
from tidemill.modeling.gate.finding import Finding, is_finite
from tidemill.records import (
    BehaviourCheck,
    Decision,
    EvaluationReport,
    MetricValue,
    Refit,
    Rehearsal,
    SliceSearch,
    Verdict,
    WeakSlice,
    percent,
    significant,
)
from tidemill.spec import Accept

__all__ = ["MIN_IDLE", "MIN_TEST_ROWS", "decide_acceptance"]

MIN_TEST_ROWS = 100
"""Labelled test rows below which the gate does not decide."""

MIN_IDLE = 3
"""Trainings in a row without a shown gain from which a group of features is a finding."""

_MAX_NEAR = 0.01  # largest share of rows with a nearly matching label key for which the keys count as matching
_MAX_APART = 0.5  # largest share of rows without a label, and of labels without a row, to accept
_MAX_RISE, _MAX_RISE_FACTOR = 0.1, 3.0  # of the share of rows without a label, over that of the champion's training
_BY_WEIGHT = (Verdict.REJECT, Verdict.NOT_ENOUGH_EVIDENCE, Verdict.ACCEPT)  # the worst finding decides
_MIB = 2**20  # bytes


def decide_acceptance(report: EvaluationReport, accept: Accept, *, unit: str = "day") -> Decision:
    """Decide whether a candidate may serve.

    Parameters
    ----------
    report : EvaluationReport
        Evidence from the untouched test set.
    accept : Accept
        What the spec asks for. For a metric where lower is better, ``minimum`` is a ceiling and differences change sign.
        The floor is compared with the value itself: on the lower end of its interval it would refuse every model of a
        small but honest test set.
    unit : str, default "day"
        What a block is called: a length of time, or ``fold`` if rows have no time.

    Returns
    -------
    Decision
        ``accept`` only if everything weighed says so; ``reject`` if anything does; else ``not_enough_evidence``. Reasons
        come with the decisive ones first.

    Raises
    ------
    SpecError
        If the metric is unknown, or cannot be decided on.
    """
    sign = 1.0 if greater_is_better(accept.metric) else -1.0
    margin = default_margin(report, accept.metric, sign) if accept.margin is None else accept.margin
    by = Yardstick(
        metric=accept.metric,
        sign=sign,
        margin=margin,
        slice_margin=margin if accept.slice_margin is None else accept.slice_margin,
        unit=unit,
        look=report.champion_looks if accept.looks == "together" else None,
    )
    findings = [
        *(Finding.shown(warning) for warning in report.strong_columns),
        *_weigh_size(report, unit),
        *_tell_no_time(unit),
        *_weigh_labels(report),
        _weigh_floor(report, accept.metric, accept.minimum, by.sign),
        *weigh_baselines(report, by),
        weigh_champion(report, by),
        *weigh_anchor(report, by),
        *_tell_margin(report, by, accept),
        *_tell_unknown(report),
        *weigh_slices(report, by, accept.slices),
        *weigh_gaps(report, {str(name): limit for name, limit in accept.gaps.items()}, unit),
        *_tell_weak_slices(report.slice_search),
        *_tell_idle_groups(report),
        *_weigh_calibration(report, accept.calibration_error),
        *_weigh_churn(report, accept.churn),
        *_weigh_behaviour(report.behaviour),
        *_weigh_rehearsal(report.rehearsal, accept),
        *_weigh_refit(report.refit, accept),
    ]
    findings.sort(key=lambda finding: _BY_WEIGHT.index(finding.verdict))
    return Decision(kind="accept", verdict=findings[0].verdict, reasons=tuple(finding.reason for finding in findings))


def _weigh_size(report: EvaluationReport, unit: str) -> list[Finding]:
    n_test, n_blocks = report.n_test, report.n_test_blocks
    if n_test < MIN_TEST_ROWS:
        missing = f"at least {MIN_TEST_ROWS} are needed, {MIN_TEST_ROWS - n_test} more"
        return [Finding.undecided(f"The test set has {n_test} labelled rows; {missing}.")]
    if n_blocks is not None and n_blocks < MIN_BLOCKS:
        missing = f"at least {MIN_BLOCKS} are needed, {MIN_BLOCKS - n_blocks} more"
        return [Finding.undecided(f"The test set spans {n_blocks} {unit}s with labels; {missing}.")]
    return [Finding.of(True, f"The test set has {n_test:,} labelled rows, at least the {MIN_TEST_ROWS} needed.")]


def _tell_no_time(unit: str) -> list[Finding]:
    """Return what a test set cannot show if rows have no time, and a hash of the key has cut it."""
    if unit != "fold":
        return []
    return [
        Finding.shown(
            "Rows have no time, so the test set is a share of the keys and not of later days: how the model fares on later "
            "rows is not known."
        )
    ]


def _weigh_labels(report: EvaluationReport) -> list[Finding]:
    share, unmatched, usual = report.unlabelled_share, report.unmatched_label_share, report.champion_unlabelled_share
    if share is None or unmatched is None:  # older records
        return []
    near = report.near_match_share
    if not is_finite(share) or not is_finite(unmatched) or not is_finite(near):
        found = f"{share} for rows without a label, {unmatched} for labels without a row, {near} for nearly equal keys"
        return [Finding.refuse(f"The evaluation has {found}; these are not valid shares.")]
    without = f"{percent(share)} of the rows of matured partitions have no label"
    said = f"{without}, and {percent(unmatched)} of the labels match no row"
    if near > _MAX_NEAR:
        why = (
            f"the keys of {percent(near)} of the rows differ from a label's only in blanks, case, leading zeros or '.0'"
        )
        return [Finding.refuse(f"{said}: {why}. Write the key alike in both queries, and train again.")]
    if usual is None and min(share, unmatched) > _MAX_APART:
        step = "See whether both queries return the same key; if they do, a person may promote this release"
        return [Finding.undecided(f"{said}: features and labels hardly meet. {step}.")]
    if usual is None:  # no champion, or one of an older record
        return [Finding.of(True, f"{said}.")]
    said = f"{said}; the share of rows without a label in the champion's training was {percent(usual)}"
    if is_finite(usual) and (share <= _MAX_RISE_FACTOR * usual or share - usual <= _MAX_RISE):
        return [Finding.of(True, f"{said}.")]
    step = "Find out where the labels are, and train again when they have arrived"
    return [Finding.undecided(f"{said}, so labels are missing. {step}.")]


def _weigh_floor(report: EvaluationReport, metric: str, minimum: float | None, sign: float) -> Finding:
    figure = _whole(report, metric)
    if figure is None:
        return Finding.refuse(f"{metric} of the candidate is missing from the evaluation.")
    value = figure.value
    if not is_finite(value):
        return Finding.refuse(f"{metric} of the candidate is {value}, not a number to decide on.")
    bound = "floor" if sign > 0 else "ceiling"
    if minimum is None:
        return Finding.shown(f"{metric} is {significant(value, 4)}; the spec names no {bound}.")
    if not is_finite(minimum):
        return Finding.refuse(f"The {bound} of {metric} is {minimum}, not a number to decide on.")
    passed = sign * value >= sign * minimum
    words = {(True, True): "at least", (True, False): "below", (False, True): "at most", (False, False): "above"}
    return Finding.of(
        passed, f"{metric} {significant(value, 4)} is {words[sign > 0, passed]} the {bound} {significant(minimum, 4)}."
    )


def _tell_margin(report: EvaluationReport, by: Yardstick, accept: Accept) -> list[Finding]:
    if accept.margin is not None or report.champion_difference is None:
        return []
    lead = lead_over_prior(report, by.metric, by.sign)
    over = (
        "no lead over the baseline prior is known"
        if lead is None
        else f"the lead over the baseline prior is {significant(lead, 4)}"
    )
    return [Finding.shown(f"The margin is {significant(by.margin, 4)}, {percent(SHARE_OF_LEAD)} of the lead: {over}.")]


def _tell_unknown(report: EvaluationReport) -> list[Finding]:
    share = _whole(report, "unknown_class_share")
    if share is None or share.value == 0:
        return []
    return [
        Finding.shown(
            f"{percent(share.value, 2)} of the test rows are of a class that the train set lacks, and always wrong."
        )
    ]


def _tell_weak_slices(search: SliceSearch | None) -> list[Finding]:
    if search is None:
        return []
    if not search.weak:
        return [Finding.shown(f"No weak slice is shown among {search.n_searched:,} looked at.")]
    return [Finding.shown(f"Weak slice: {_weak_slice(found)}.") for found in search.weak]


def _weak_slice(found: WeakSlice) -> str:
    value, gap = found.value, found.difference
    said = f"for {value.slice} ({value.n or 0:,} test rows), {value.name} is {significant(value.value, 4)}"
    if found.expected is None:
        return f"{said}, {significant(abs(gap.value))} worse than on the other rows"
    return (
        f"{said}, where its scores promise {significant(found.expected, 4)}: {significant(abs(gap.value))} worse than on the "
        "other rows, compared with what scores promise"
    )


def _tell_idle_groups(report: EvaluationReport) -> list[Finding]:
    return [
        Finding.shown(
            f"The features of {group.name} ({', '.join(group.features)}) have shown no gain in {group.n_idle} trainings "
            f"in a row: {group.gain.name} {group.gain.value:+.4f} with them."
        )
        for group in report.feature_groups
        if group.n_idle >= MIN_IDLE
    ]


def _weigh_calibration(report: EvaluationReport, limit: float | None) -> list[Finding]:
    figure = _whole(report, "expected_calibration_error")
    return _weigh_limit(figure, limit, "expected calibration error of the candidate", _calibration)


def _calibration(figure: MetricValue) -> str:
    return f"Scores are off by {figure.value:.4f} on average (expected calibration error)"


def _weigh_churn(report: EvaluationReport, limit: float | None) -> list[Finding]:
    if report.champion_release is None or report.champion_problem:
        return []
    return _weigh_limit(report.churn, limit, "churn against the champion", _churn)


def _churn(churn: MetricValue) -> str:
    if churn.name == "share_of_decisions":
        return f"{percent(churn.value, 2)} of the decisions differ from the champion's"
    return f"Values differ from the champion's by {churn.value:.4f} standard deviations of the label on average"


def _weigh_behaviour(checks: tuple[BehaviourCheck, ...]) -> list[Finding]:
    if not checks:
        return [Finding.refuse("The candidate's behaviour was not checked.")]
    failed = [check for check in checks if not check.passed]
    if failed:
        return [Finding.refuse(f"Check of behaviour '{check.name}' failed: {check.observed}.") for check in failed]
    names = ", ".join(check.name for check in checks)
    return [Finding.of(True, f"It behaves as it should: {names}.")]


def _weigh_rehearsal(rehearsal: Rehearsal | None, accept: Accept) -> list[Finding]:
    if rehearsal is None:
        return [Finding.refuse("The bundle was not loaded in a clean process.")]
    if rehearsal.problem is not None:
        return [Finding.refuse(f"In a clean process the bundle did not score the test rows: {rehearsal.problem}")]
    if rehearsal.n_rows < 1 or rehearsal.n_different:
        return [
            Finding.refuse(
                f"In a clean process {rehearsal.n_different:,} of {rehearsal.n_rows:,} rows score differently."
            )
        ]
    seconds, mib = rehearsal.seconds_per_million, rehearsal.peak_rss_bytes / _MIB
    return [
        Finding.of(True, f"In a clean process all {rehearsal.n_rows:,} rows get the same score, bit by bit."),
        _budget(
            seconds, accept.seconds_per_million, f"Scoring takes {seconds:.1f} processor seconds per million rows", " s"
        ),
        _budget(mib, accept.memory_mb, f"Loading and scoring takes {mib:,.0f} MiB", " MiB"),
    ]


def _weigh_refit(refit: Refit | None, accept: Accept) -> list[Finding]:
    if refit is None:
        return []
    churn = refit.churn
    if not is_finite(churn.value):
        return [
            Finding.refuse(f"The fit on all rows differs from the judged one by {churn.value}, which is not a number.")
        ]
    differs = (
        f"{percent(churn.value, 2)} of the decisions on the test rows differ from the judged fit's"
        if churn.name == "share_of_decisions"
        else f"values on the test rows differ by {churn.value:.4f} standard deviations of the label from the judged fit's"
    )
    said = f"Fitted again on all {refit.n_rows:,} labelled rows: {differs}; the figures are those of the judged fit."
    checks = [*_weigh_behaviour(refit.behaviour), *_weigh_rehearsal(refit.rehearsal, accept)]
    return [
        Finding.shown(said),
        *(
            replace(found, reason=f"Fitted again: {found.reason}")
            for found in checks
            if found.verdict is Verdict.REJECT
        ),
    ]


def _budget(value: float, limit: float | None, said: str, unit: str) -> Finding:
    if limit is None:
        return Finding.shown(f"{said}; not weighed.")
    if not is_finite(value) or value <= 0:
        return Finding.refuse(f"{said}, which is not a measurement.")
    return _within(value, limit, said, f"{limit:,g}{unit}")


def _weigh_limit(
    figure: MetricValue | None, limit: float | None, name: str, said: Callable[[MetricValue], str]
) -> list[Finding]:
    """Weigh a figure that must not exceed a limit; without a limit, only show it."""
    if figure is not None and is_finite(figure.value):
        if limit is None:
            return [Finding.shown(f"{said(figure)}; not weighed.")]
        return [_within(figure.value, limit, said(figure), significant(limit, 4))]
    if limit is None:
        return []
    found = "missing" if figure is None else f"{figure.value}, not a number to decide on"
    return [Finding.refuse(f"The {name} is {found}.")]


def _within(value: float, limit: float, said: str, shown: str) -> Finding:
    return Finding.of(value <= limit, f"{said}, {'within' if value <= limit else 'over'} the limit of {shown}.")


def _whole(report: EvaluationReport, metric: str) -> MetricValue | None:
    whole = (item for item in report.metrics if item.name == metric and not item.slice and not item.feature)
    return next(whole, None)
