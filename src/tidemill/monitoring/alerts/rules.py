"""The alert rules: which figures need attention, how severe they are, and what to do.

`RULES` has one row per rule: the figure that it judges, its threshold, and its message. A figure that could not be
computed never counts as good: it raises an alert of its own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidemill.monitoring.alerts.reading import RECENT, AlertThresholds, Reading
from tidemill.monitoring.growth import LEAST_GROWTH
from tidemill.records import Alert, MetricValue, Severity, percent

__all__ = ["RULES", "AlertRule", "AlertThresholds", "raise_alerts"]

MOST_RANGES = 3.0  # weather left the range of 90 days by at most 2.8 in a year; a change of unit does by 5 or more
JUMP_FACTOR, JUMP_MARGIN = 3.0, 0.25  # a year of flights exceeded it on two days, over all features
MOST_NULLS = 0.5  # of the rows: if most values of a feature are missing, it needs action today
NO_LABELS = 0.5  # of the expected coverage: below it, labels are missing rather than late
USUAL_MARGIN = 1.1  # times a high quantile of past partitions, which is uncertain by about a tenth
MIN_EXTRA_S = 1.0  # a step that takes 0.3 s instead of 0.1 s is no problem
MIN_EXTRA_BYTES = 64 * 2**20  # nor is one that takes 60 MB more: the allocator varies by that much
SET_ASIDE_MARGIN = 0.5  # of the share at which a run fails, unless the past had more
SKEWED = 0.01  # share of rows; late corrections of single rows stay below it


def _above(reading: Reading, threshold: float) -> bool:
    return reading.value > threshold


def _warn(reading: Reading, threshold: float) -> Severity:
    return Severity.WARN


def _fail(reading: Reading, threshold: float) -> Severity:
    return Severity.FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule."""

    figure: str
    """Figure that the rule judges; ``{metric}`` is the metric with a floor, ``{single}`` that of one partition."""
    name: str
    """Name of the alert, ``<family>`` or ``<family>:<subject>``, from the reading ``r``."""
    threshold: Callable[[Reading], float]
    """Value to compare the figure with."""
    message: str
    """Finding, extent and next step, from the reading ``r``, the ``threshold``, and ``allowed``, the threshold in percent."""
    crossed: Callable[[Reading, float], bool] = _above
    """Whether the figure deserves an alert."""
    severity: Callable[[Reading, float], Severity] = _warn

    def judge(self, reading: Reading) -> Alert | None:
        """Return the alert for a figure, or None."""
        threshold = self.threshold(reading)
        if not self.crossed(reading, threshold):
            return None
        return Alert(
            rule=self.name.format(r=reading),
            severity=self.severity(reading, threshold),
            message=self.message.format(r=reading, threshold=threshold, allowed=percent(threshold, 2)),
            value=reading.value,
            threshold=threshold,
        )


def _lacks_quality(reading: Reading, floor: float) -> bool:
    return reading.figure.slice is None and reading.is_worse(reading.value, floor)


def _surely_lacks_quality(reading: Reading, floor: float) -> bool:
    return reading.nearest is not None and reading.is_worse(reading.nearest, floor)


def _is_slow(reading: Reading, limit: float) -> bool:
    """Whether a step is slow; where it has rows, the rows per second decide, since more rows take more time."""
    pace = reading.beside("rows_per_s_ratio")
    slow = reading.value > limit if pace is None else pace < 1 / limit
    return slow and reading.extra("wall_s") >= MIN_EXTRA_S


RULES: tuple[AlertRule, ...] = (
    AlertRule(
        figure="drift_weighted",
        name="drift",
        threshold=lambda r: r.thresholds.drift_share,
        crossed=lambda r, threshold: r.value >= threshold,
        message="Features that carry {r.share} of the model's importance have drifted ({r.rows}; {allowed} is "
        "allowed): {r.drifted}. Compare their distributions with the training snapshot's. Fix the source if it is "
        "broken; retrain if the world has changed.",
    ),
    AlertRule(
        figure="beyond_range",
        name="break:{r.subject}",
        threshold=lambda r: MOST_RANGES,
        severity=_fail,
        message="Feature {r.subject!r} has changed overnight: its values lie beyond all that were seen so far, by "
        "{r.times} times their range ({r.rows}). Has its unit changed? Fix the source or the features query, and "
        "predict the partition again.",
    ),
    AlertRule(
        figure="jump",
        name="break:{r.subject}",
        threshold=lambda r: JUMP_FACTOR * r.known("jump_usual", 0.0) + JUMP_MARGIN,
        crossed=lambda r, threshold: r.value > threshold and r.has_drifted and not r.had_such_days,
        severity=_fail,
        message="Feature {r.subject!r} has changed overnight: its stability index against the partitions before is "
        "{r.value:.2f}; among themselves they never exceeded {r.jump_usual:.2f} ({r.rows}). Was a category renamed, a "
        "unit changed, a default filled in? Fix the source or the features query, and predict the partition again.",
    ),
    AlertRule(
        figure="score_psi",
        name="score_drift",
        threshold=lambda r: r.known("score_psi_threshold", r.thresholds.psi),
        message="The scores have drifted: stability index {r.value:.2f}, threshold {threshold:.2f} ({r.rows}). Look at the "
        "features that drifted with them, and at the realised quality once the labels are in.",
    ),
    AlertRule(
        figure="null_share_rise",
        name="nulls:{r.subject}",
        threshold=lambda r: r.thresholds.null_share,
        crossed=lambda r, threshold: r.value > threshold and not r.is_usual("null_share"),
        severity=lambda r, _: Severity.FAIL if r.known("null_share", 0.0) >= MOST_NULLS else Severity.WARN,
        message="Feature {r.subject!r} lacks values: its share of nulls has risen by {r.points:.1f} points{r.null_share_now} "
        "({r.rows}; {allowed} is allowed). Look at the table that it comes from, and at what was loaded late.",
    ),
    AlertRule(
        figure="unseen_share",
        name="unseen:{r.subject}",
        threshold=lambda r: max(r.thresholds.unseen_share, USUAL_MARGIN * r.known("unseen_share_usual", 0.0)),
        message="Feature {r.subject!r} has levels that training never saw, in {r.share} of {r.rows} ({allowed} is "
        "allowed).{r.near_misses} Was a level renamed? Map it back in the features query; if it is new, retrain.",
    ),
    AlertRule(
        figure="set_aside_share",
        name="set_aside",
        threshold=lambda r: max(
            SET_ASIDE_MARGIN * r.thresholds.set_aside_share, USUAL_MARGIN * r.known("set_aside_usual", 0.0)
        ),
        severity=_fail,
        message="{r.share} of {r.rows} are set aside, because they break the contract or have no score ({allowed} is "
        "usual or allowed). See tidemill.quarantine for the reasons; fix the source, and predict the partition again.",
    ),
    AlertRule(
        figure="previous_rows_ratio",
        name="agreement:rows",
        threshold=lambda r: r.thresholds.volume_ratio,
        message="The partition has {r.rows}, {r.value:.2f} times more or fewer than its visible run; {threshold:.2f} times is "
        "allowed. Were rows deleted, or loaded twice?",
    ),
    AlertRule(
        figure="previous_score_psi",
        name="agreement:scores",
        threshold=lambda r: r.known("previous_score_psi_threshold", r.thresholds.psi),
        message="The scores differ from those of the visible run, by the same release: stability index {r.value:.2f}, "
        "threshold {threshold:.2f} ({r.rows}). See what has changed in the source since.",
    ),
    AlertRule(
        figure="label_coverage",
        name="label_coverage",
        threshold=lambda r: r.thresholds.label_coverage,
        crossed=lambda r, threshold: r.value < threshold,
        severity=lambda r, threshold: Severity.FAIL if r.value < NO_LABELS * threshold else Severity.WARN,
        message="Only {r.share} of the labels are in; {allowed} are expected of a matured partition. Look at the "
        "source of the labels; until it delivers, read the realised quality with care.",
    ),
    AlertRule(
        figure="{metric}",
        name="quality:{r.metric}",
        threshold=lambda r: r.floor,
        crossed=_lacks_quality,
        severity=lambda r, floor: Severity.FAIL if _surely_lacks_quality(r, floor) else Severity.WARN,
        message="Realised {r.metric_in_words} is {r.value:.3f}, {r.limit_in_words} of {threshold:.3f} ({r.rows}{r.interval}). "
        "{r.weight}.",
    ),
    AlertRule(
        figure="estimated_{single}",
        name="estimate:{r.metric}",
        threshold=lambda r: r.floor,
        crossed=_surely_lacks_quality,
        message="Before its labels arrive, {r.metric} of this partition is estimated at {r.value:.3f}{r.interval}, "
        "{r.limit_in_words} of {threshold:.3f}. Look at what drifted; use the scores with care until the labels are in.",
    ),
    AlertRule(
        figure="skew_share",
        name="skew:{r.subject}",
        threshold=lambda r: SKEWED,
        message="Feature {r.subject!r}{r.of_partition} differs from what was scored, in {r.share} of {r.rows}. With the "
        "same cutoff, the query must return the same values: let it use only what was observed by :cutoff.",
    ),
    AlertRule(
        figure="skew_rows",
        name="skew:rows",
        threshold=lambda r: SKEWED,
        message="The set of rows{r.of_partition} differs from what was scored, in {r.share} of {r.rows}. With the "
        "same cutoff, the query must return the same rows: let it use only what was observed by :cutoff.",
    ),
    AlertRule(
        figure="wall_s_ratio",
        name="slow:{r.subject}",
        threshold=lambda r: r.thresholds.compute_ratio,
        crossed=_is_slow,
        message="Step {r.subject!r} took {r.wall_s:.1f} s, {r.value:.1f} times the median of {r.figure.n} runs{r.pace}. Look "
        "for locks, a changed query plan or a busy machine.",
    ),
    AlertRule(
        figure="peak_rss_bytes_ratio",
        name="memory:{r.subject}",
        threshold=lambda r: r.thresholds.compute_ratio,
        crossed=lambda r, limit: r.value > limit and r.extra("peak_rss_bytes") >= MIN_EXTRA_BYTES,
        message="Step {r.subject!r} took {r.peak_mib:,.0f} MiB at its peak, {r.value:.1f} times the median of {r.figure.n} "
        "runs. Look at its rows and at what it keeps in memory, before it is killed.",
    ),
    AlertRule(
        figure="wall_s_growth",
        name="growth:{r.subject}",
        threshold=lambda r: LEAST_GROWTH,
        crossed=lambda r, threshold: r.value >= threshold and r.grown("wall_s") >= MIN_EXTRA_S,
        message="Step {r.subject!r} has become slower, by {r.share} over {r.figure.n} partitions for the same number of "
        "rows; it takes {r.wall_s:.1f} s now. Look for tables that grow without an index, and for what piles up.",
    ),
    AlertRule(
        figure="peak_rss_bytes_growth",
        name="growth:{r.subject}",
        threshold=lambda r: LEAST_GROWTH,
        crossed=lambda r, threshold: r.value >= threshold and r.grown("peak_rss_bytes") >= MIN_EXTRA_BYTES,
        message="Step {r.subject!r} needs more memory, by {r.share} over {r.figure.n} partitions: {r.peak_mib:,.0f} MiB at "
        "its peak now. Do its rows grow too? If not, look for a leak or a table that grows.",
    ),
)
"""All rules; of two with the same name the first wins."""


def raise_alerts(
    metrics: Sequence[MetricValue], thresholds: AlertThresholds, *, partition: str = ""
) -> tuple[Alert, ...]:
    """Return the alerts for a partition's figures.

    Parameters
    ----------
    metrics : sequence of MetricValue
        Figures of one partition from ``drift``, ``performance`` or ``compute``, or any mix of them.
    partition : str, default ""
        Partition of the figures, if messages should name it.

    Returns
    -------
    tuple of Alert
        Severity ``fail`` first, named as in `RULES`; for NaN or infinite figures one ``unknown:<metric>`` per metric,
        whose message lists the features.

    Examples
    --------
    >>> figure = MetricValue(name="unseen_share", value=0.5, n=900, feature="carrier")
    >>> alert, = raise_alerts([figure], AlertThresholds())
    >>> alert.rule, str(alert.severity)
    ('unseen:carrier', 'warn')
    """
    by_key = {(m.name, m.feature, m.slice): m for m in metrics}
    readings = [
        Reading(figure=metric, thresholds=thresholds, others=by_key, partition=partition)
        for metric in metrics
        if math.isfinite(metric.value)
    ]
    rules = _by_figure(thresholds)
    found = [alert for reading in readings if (alert := _judge(rules, reading)) is not None]
    found += _unknown([metric for metric in metrics if not math.isfinite(metric.value)])
    found += _floor_without_metric(metrics, thresholds)
    found = list({alert.rule: alert for alert in reversed(found)}.values())[::-1]  # first of each name
    gone = {f"break:{alert.rule.partition(':')[2]}" for alert in found if alert.rule.startswith("nulls:")}
    found = [alert for alert in found if alert.rule not in gone]  # missing values explain the break
    return tuple(sorted(found, key=lambda alert: alert.severity is not Severity.FAIL))


def _by_figure(thresholds: AlertThresholds) -> dict[str, AlertRule]:
    """Return the rule of each figure; quality is judged only if there is a floor."""
    metric = thresholds.metric
    return {
        rule.figure.format(metric=metric, single=metric.removesuffix(RECENT)): rule
        for rule in RULES
        if thresholds.floor is not None or "{" not in rule.figure
    }


def _judge(rules: Mapping[str, AlertRule], reading: Reading) -> Alert | None:
    rule = rules.get(reading.figure.name)
    return None if rule is None else rule.judge(reading)


def _unknown(metrics: Sequence[MetricValue]) -> list[Alert]:
    """Return one alert per name of the figures that could not be computed."""
    return [
        _unknown_figure(name, [m for m in metrics if m.name == name]) for name in dict.fromkeys(m.name for m in metrics)
    ]


def _unknown_figure(name: str, metrics: Sequence[MetricValue]) -> Alert:
    subjects = [subject for m in metrics if (subject := m.feature or m.slice)]
    of_what = f" of {', '.join(subjects[:5])}{' and others' if len(subjects) > 5 else ''}" if subjects else ""
    n = metrics[0].n
    rows = "" if n is None else f" ({n:,} rows)"
    return Alert(
        rule=f"unknown:{name}",
        severity=Severity.WARN,
        message=(
            f"{name}{of_what} could not be computed{rows}. A missing figure does not mean health: check that the partition has "
            f"rows, and labels of both classes."
        ),
        value=metrics[0].value,
        threshold=math.nan,
    )


def _floor_without_metric(metrics: Sequence[MetricValue], thresholds: AlertThresholds) -> list[Alert]:
    """Return an alert if quality was measured, but not in the metric with a floor."""
    names = {metric.name for metric in metrics}
    if thresholds.floor is None or thresholds.metric in names or "label_coverage" not in names:
        return []
    return [_unknown_figure(thresholds.metric, [MetricValue(name=thresholds.metric, value=math.nan)])]
