"""Which figures a person should look at: what it is, how bad, and what to do.

Rules only: opening an alert once, resolving it and telling somebody belong to the ledger and the channels. A figure
that could not be computed never passes for a good one: it becomes an alert by its name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidemill.records import Alert, MetricValue, Severity

__all__ = ["AlertThresholds", "raise_alerts"]

MOST_RANGES = 1.0  # a mean that lies a whole range beyond all that was seen is in another unit
JUMP_FACTOR, JUMP_MARGIN = 3.0, 0.25  # a year of flights exceeded it on two days, all features together
RECENT = "_recent"  # of a metric over the newest matured partitions
MOST_NULLS = 0.5  # of the rows: a feature that the model sees in a minority of them needs action today
NO_LABELS = 0.5  # of the coverage that is expected: below, labels do not come late, they do not come
MIN_EXTRA_S = 1.0  # a step that takes 0.3 s instead of 0.1 s is nobody's problem
MIN_EXTRA_BYTES = 64 * 2**20  # nor is one that takes 60 MB more: the allocator's habits come to that


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholds:
    """What is worth an alert."""

    psi: float = 0.2
    """Stability index from which a feature has drifted, where the figures bring no ``psi_threshold`` of their own."""
    null_share: float = 0.1
    """Rise of the share of nulls, as a difference, e.g. 0.1 from 2 % to 12 %."""
    drift_share: float = 0.3
    """Share of the model's importance whose features have drifted, from which the partition has."""
    unseen_share: float = 0.02
    """Share of rows with a level that the reference never held."""
    label_coverage: float = 0.9
    """Least share of labels that a matured partition should have."""
    metric: str = "roc_auc"
    """Metric that the floor is for, e.g. ``roc_auc_recent``."""
    greater_is_better: bool = True
    """False for errors and losses: their floor is a ceiling."""
    floor: float | None = None
    """Least realised quality, or greatest error; None for no floor."""
    compute_ratio: float = 2.0
    """Times the trailing median from which a step has become slow or large."""


@dataclass(frozen=True, slots=True)
class _Context:
    """The figures around the one that is judged."""

    thresholds: AlertThresholds
    by_key: Mapping[tuple[str, str | None, str | None], MetricValue]

    def beside(self, metric: MetricValue, name: str) -> float | None:
        """Give another figure of the same feature and slice."""
        found = self.by_key.get((name, metric.feature, metric.slice))
        return None if found is None else found.value

    def drifted(self, most: int = 5) -> list[str]:
        """Name the features beyond their threshold, those that contribute most first."""
        found = {
            metric.feature: self.beside(metric, "importance_share") or 0.0
            for metric in self.by_key.values()
            if metric.name == "psi"
            and metric.feature
            and metric.value > _or(self.beside(metric, "psi_threshold"), self.thresholds.psi)
        }
        names = sorted(found, key=lambda name: -found[name])
        return [f"{name} ({found[name]:.0%})" for name in names[:most]] + (["and others"] if len(names) > most else [])


def raise_alerts(metrics: Sequence[MetricValue], thresholds: AlertThresholds) -> tuple[Alert, ...]:
    """Return the alerts that a partition's figures deserve.

    Parameters
    ----------
    metrics : sequence of MetricValue
        Figures of one partition, from ``drift``, ``performance`` and ``compute``, together or apart.
    thresholds : AlertThresholds
        What is worth an alert.

    Returns
    -------
    tuple of Alert
        Those of severity ``fail`` first; rules are ``drift``, ``break:<feature>``, ``score_drift``, ``nulls:<feature>``,
        ``unseen:<feature>``, ``quality:<metric>``, ``label_coverage``, ``slow:<step>``, ``memory:<step>``, and
        ``unknown:<metric>`` for figures that are NaN or infinite, each metric's features named in one.

    Examples
    --------
    >>> figure = MetricValue(name="unseen_share", value=0.5, n=900, feature="carrier")
    >>> alert, = raise_alerts([figure], AlertThresholds())
    >>> alert.rule, str(alert.severity)
    ('unseen:carrier', 'warn')
    """
    context = _Context(thresholds, {(m.name, m.feature, m.slice): m for m in metrics})
    known = [metric for metric in metrics if math.isfinite(metric.value)]
    found = [alert for metric in known for alert in _judge(metric, context)]
    found += _unknown([metric for metric in metrics if not math.isfinite(metric.value)])
    found += _floor_without_metric(metrics, thresholds)
    found = list({alert.rule: alert for alert in reversed(found)}.values())[::-1]  # of two with one name the first
    gone = {f"break:{alert.rule.partition(':')[2]}" for alert in found if alert.rule.startswith("nulls:")}
    found = [alert for alert in found if alert.rule not in gone]  # that its values are gone says it all
    return tuple(sorted(found, key=lambda alert: alert.severity is not Severity.FAIL))


def _judge(metric: MetricValue, context: _Context) -> list[Alert]:
    rules: dict[str, Callable[[MetricValue, _Context], Alert | None]] = {
        "drift_weighted": _drift,
        "beyond_range": _unit,
        "jump": _jump,
        "score_psi": _score_drift,
        "null_share_rise": _null_jump,
        "unseen_share": _unseen_levels,
        "label_coverage": _few_labels,
        "wall_s_ratio": _slow_step,
        "peak_rss_bytes_ratio": _large_step,
        context.thresholds.metric: _low_quality,
    }
    alert = rules[metric.name](metric, context) if metric.name in rules else None
    return [] if alert is None else [alert]


def _drift(metric: MetricValue, context: _Context) -> Alert | None:
    threshold = context.thresholds.drift_share
    if metric.value < threshold:
        return None
    return Alert(
        rule="drift",
        severity=Severity.WARN,
        message=(
            f"Features that carry {metric.value:.0%} of the model's importance have drifted ({_rows(metric)}; "
            f"{threshold:.0%} is allowed): {', '.join(context.drifted()) or 'none is named'}. Compare their distributions "
            f"with the training snapshot's: mend the source if it broke, retrain if the world has changed."
        ),
        value=metric.value,
        threshold=threshold,
    )


def _unit(metric: MetricValue, context: _Context) -> Alert | None:
    if metric.value <= MOST_RANGES:
        return None
    return Alert(
        rule=f"break:{metric.feature}",
        severity=Severity.FAIL,
        message=(
            f"Feature {metric.feature!r} has changed overnight: its mean lies beyond everything seen so far, by "
            f"{metric.value:.3g} times the range of all that ({_rows(metric)}). Has its unit changed? Mend the source or "
            f"the features query, and predict the partition again."
        ),
        value=metric.value,
        threshold=MOST_RANGES,
    )


def _jump(metric: MetricValue, context: _Context) -> Alert | None:
    usual, psi = context.beside(metric, "jump_usual"), context.beside(metric, "psi")
    threshold = JUMP_FACTOR * (usual or 0.0) + JUMP_MARGIN
    drifted = psi is None or psi > _or(context.beside(metric, "psi_threshold"), context.thresholds.psi)
    if metric.value <= threshold or not drifted:
        return None
    return Alert(
        rule=f"break:{metric.feature}",
        severity=Severity.FAIL,
        message=(
            f"Feature {metric.feature!r} has changed overnight: its stability index against the partitions before is "
            f"{metric.value:.2f}, and among themselves they never had more than {_or(usual, 0.0):.2f} ({_rows(metric)}). "
            f"Was a category renamed, a unit changed, a default filled in? Mend the source or the features query, and "
            f"predict the partition again."
        ),
        value=metric.value,
        threshold=threshold,
    )


def _score_drift(metric: MetricValue, context: _Context) -> Alert | None:
    threshold = _or(context.beside(metric, "score_psi_threshold"), context.thresholds.psi)
    if metric.value <= threshold:
        return None
    return Alert(
        rule="score_drift",
        severity=Severity.WARN,
        message=(
            f"The scores have drifted: stability index {metric.value:.2f} against a threshold of {threshold:.2f} "
            f"({_rows(metric)}). Look at the features that drifted with them, and at the realised quality once the "
            f"labels are in."
        ),
        value=metric.value,
        threshold=threshold,
    )


def _null_jump(metric: MetricValue, context: _Context) -> Alert | None:
    threshold = context.thresholds.null_share
    share, usual = context.beside(metric, "null_share"), context.beside(metric, "null_share_usual")
    was_usual = share is not None and usual is not None and share <= usual
    if metric.value <= threshold or was_usual:
        return None
    now = "" if share is None else f" to {share:.1%}"
    return Alert(
        rule=f"nulls:{metric.feature}",
        severity=Severity.FAIL if share is not None and share >= MOST_NULLS else Severity.WARN,
        message=(
            f"Feature {metric.feature!r} lacks values: its share of nulls has risen by {100 * metric.value:.1f} points"
            f"{now} ({_rows(metric)}; {100 * threshold:.0f} points are allowed). Look at the table that it comes from, "
            f"and at what was loaded late."
        ),
        value=metric.value,
        threshold=threshold,
    )


def _unseen_levels(metric: MetricValue, context: _Context) -> Alert | None:
    threshold = context.thresholds.unseen_share
    if metric.value <= threshold:
        return None
    return Alert(
        rule=f"unseen:{metric.feature}",
        severity=Severity.WARN,
        message=(
            f"Feature {metric.feature!r} has levels that training never saw, in {metric.value:.1%} of {_rows(metric)} "
            f"({threshold:.0%} is allowed). Was a level renamed? Map it back in the features query; if it is new, "
            f"retrain."
        ),
        value=metric.value,
        threshold=threshold,
    )


def _few_labels(metric: MetricValue, context: _Context) -> Alert | None:
    threshold = context.thresholds.label_coverage
    if metric.value >= threshold:
        return None
    return Alert(
        rule="label_coverage",
        severity=Severity.FAIL if metric.value < NO_LABELS * threshold else Severity.WARN,
        message=(
            f"Only {metric.value:.1%} of the labels are in, {threshold:.0%} are expected of a matured partition. "
            f"Look at the source of the labels; until it delivers, read the realised quality with care."
        ),
        value=metric.value,
        threshold=threshold,
    )


def _low_quality(metric: MetricValue, context: _Context) -> Alert | None:
    floor, up = context.thresholds.floor, context.thresholds.greater_is_better
    if floor is None or metric.slice is not None or (metric.value >= floor if up else metric.value <= floor):
        return None
    nearest = metric.high if up else metric.low
    surely = nearest is not None and (nearest < floor if up else nearest > floor)
    beyond, limit = ("below", "floor") if up else ("above", "ceiling")
    interval = "" if metric.low is None or metric.high is None else f", interval {metric.low:.3f} to {metric.high:.3f}"
    weight = f"The interval lies {beyond} the {limit}: this is no chance" if surely else "Chance can explain it"
    step = "roll back or retrain today" if surely else "watch the next partitions"
    name = metric.name.replace(RECENT, ", over the newest matured partitions,")
    return Alert(
        rule=f"quality:{metric.name.removesuffix(RECENT)}",
        severity=Severity.FAIL if surely else Severity.WARN,
        message=(
            f"Realised {name} is {metric.value:.3f}, {beyond} its {limit} of {floor:.3f} "
            f"({_rows(metric)}{interval}). {weight}; {step}."
        ),
        value=metric.value,
        threshold=floor,
    )


def _slow_step(metric: MetricValue, context: _Context) -> Alert | None:
    limit = context.thresholds.compute_ratio
    wall_s, pace = context.beside(metric, "wall_s"), context.beside(metric, "rows_per_s_ratio")
    # More rows may take more time: where there are rows, the pace decides.
    slow = metric.value > limit if pace is None else pace < 1 / limit
    if not slow or wall_s is None or _extra(wall_s, metric.value) < MIN_EXTRA_S:
        return None
    return Alert(
        rule=f"slow:{_step(metric)}",
        severity=Severity.WARN,
        message=(
            f"Step {_step(metric)!r} took {wall_s:.1f} s, {metric.value:.1f} times the median of {metric.n} runs"
            f"{'' if pace is None else f', at {pace:.0%} of the usual rows a second'}. Look for locks, a changed "
            f"query plan or a busy machine."
        ),
        value=metric.value,
        threshold=limit,
    )


def _large_step(metric: MetricValue, context: _Context) -> Alert | None:
    limit = context.thresholds.compute_ratio
    size_bytes = context.beside(metric, "peak_rss_bytes")
    if metric.value <= limit or size_bytes is None or _extra(size_bytes, metric.value) < MIN_EXTRA_BYTES:
        return None
    return Alert(
        rule=f"memory:{_step(metric)}",
        severity=Severity.WARN,
        message=(
            f"Step {_step(metric)!r} took {size_bytes / 2**20:,.0f} MiB at its peak, {metric.value:.1f} times the "
            f"median of {metric.n} runs. Look at its rows and at what it keeps in memory, before it gets killed."
        ),
        value=metric.value,
        threshold=limit,
    )


def _unknown(metrics: Sequence[MetricValue]) -> list[Alert]:
    """Return one alert for each name among figures that could not be computed."""
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
            f"{name}{of_what} could not be computed{rows}. That is no sign of health: look whether the partition has "
            f"rows, and labels of both classes."
        ),
        value=metrics[0].value,
        threshold=math.nan,
    )


def _floor_without_metric(metrics: Sequence[MetricValue], thresholds: AlertThresholds) -> list[Alert]:
    """Refuse to stay silent when quality was measured, but not in the metric that has a floor."""
    names = {metric.name for metric in metrics}
    if thresholds.floor is None or thresholds.metric in names or "label_coverage" not in names:
        return []
    return [_unknown_figure(thresholds.metric, [MetricValue(name=thresholds.metric, value=math.nan)])]


def _extra(value: float, ratio: float) -> float:
    """Return by how much a figure exceeds the median that its ratio refers to."""
    return value - value / ratio if ratio else 0.0


def _or(value: float | None, default: float) -> float:
    return default if value is None or math.isnan(value) else value


def _rows(metric: MetricValue) -> str:
    return "rows unknown" if metric.n is None else f"{metric.n:,} rows"


def _step(metric: MetricValue) -> str:
    return (metric.slice or "").removeprefix("step=")
