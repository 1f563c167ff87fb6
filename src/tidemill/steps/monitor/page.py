"""The content of a model's daily page: the ledger's figures and bin counts as values for ``report``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from tidemill.intervals import key_order
from tidemill.metrics.definitions import greater_is_better
from tidemill.metrics.gaps import PREFIX
from tidemill.modeling.tasks import task_type
from tidemill.monitoring.arrival import Arrival
from tidemill.monitoring.profile import ColumnKind, ColumnProfile
from tidemill.records import Alert, AlertsRef, CollectedRef, MetricValue, OpenAlert, Severity, percent
from tidemill.report import charts
from tidemill.report.arrivals import arrival_chart, arrival_sentence
from tidemill.report.html import figure
from tidemill.report.monitoring import AlertsView, LabelsView, MonitorView, QualityView, monitor_page
from tidemill.report.values import Categories, DriftRow, Histogram, LabelRow, SliceRow, StepCompute
from tidemill.runtime.job import Job
from tidemill.spec import Task
from tidemill.steps.findings.reference import count_partition, read_reference
from tidemill.steps.findings.thresholds import floor_of_partitions
from tidemill.steps.monitor.label_arrival import LABELS, arrival_of, hours_since_end, label_state
from tidemill.storage.layout import SCORE
from tidemill.warehouse.releases.registry import Release

__all__ = ["Marks", "build_page", "distribution_of"]

HOUR = timedelta(hours=1)
DISTANCES = ("psi", "jensen_shannon", "wasserstein", "cohens_w")  # shown if a column has them; sorted by the first
MOST_POINTS = 61  # cut points up to which each bin of a profile is usually a single value
N_LABELS = 12  # newest partitions whose labels are shown

SHOWN: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: ("roc_auc", "log_loss", "brier_score", "base_rate", "mean_score", "label_coverage"),
    Task.MULTICLASS: ("log_loss", "accuracy", "macro_f1", "roc_auc_ovr", "mean_confidence", "label_coverage"),
    Task.REGRESSION: ("mean_absolute_error", "root_mean_squared_error", "r2_score", "mean_error", "interval_coverage",
                      "label_coverage"),
}  # fmt: skip
"""Realised quality, one row per partition."""


def build_page(job: Job, collected: CollectedRef, alerts: AlertsRef) -> str:
    """Build the page of one partition."""
    model, key = job.spec.model, collected.partition
    drift = job.ledger.metrics(model, "drift", until=key)
    # Alerts opened after an older partition are left out.
    opened = {
        item.alert.rule: item for item in job.alerts.open(model) if key_order(item.first_partition) <= key_order(key)
    }
    found = {item.rule: item for item in alerts.alerts if item.rule not in opened}
    drifted: list[DriftRow] = []
    if collected.n_rows:
        reference = read_reference(job, collected)
        marks = Marks(severities={rule: item.alert.severity for rule, item in opened.items()}, found=frozenset(found))
        drifted = _drift_rows(drift[key], reference, count_partition(job, collected, reference), marks)
    release = job.releases.release(model, collected.release_id)
    arrival = arrival_of(job, key)
    quality = _quality(job, key, arrival, release)
    return monitor_page(
        MonitorView(
            model=model,
            partition=key,
            n_rows=collected.n_rows,
            release_id=collected.release_id,
            bundle_digest="" if release is None else release.bundle_digest,
            alerts=AlertsView(
                opened=tuple(opened.values()), found=tuple(found.values()), runbook=job.workspace.runbook
            ),
            drift=drifted,
            quality=quality,
            labels=_labels(job, arrival, key),
            compute=_compute_rows(job.ledger.metrics(model, "compute", until=key)[key], opened, found),
            pictures=[charts.to_svg(chart) for chart in _pictures(drift, quality)],
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Marks of the page's rows."""

    severities: Mapping[str, Severity]
    """Severity of each open alert, by rule."""
    found: frozenset[str]
    """Rules that the partition crossed without opening an alert yet."""


def _quality(job: Job, key: str, arrival: Arrival, release: Release | None) -> QualityView:
    accept = job.spec.accept
    shown = (accept.metric, *SHOWN[job.spec.task])
    quality = job.ledger.metrics(job.spec.model, "performance", until=key)
    recent = [
        figure
        for values in quality.values()
        for figure in values
        if figure.name == f"{accept.metric}_recent" and figure.slice is None
    ]
    sliced = [figure for values in quality.values() for figure in values if figure.slice is not None]
    whole = {item: tuple(m for m in values if m.slice is None) for item, values in quality.items()}
    return QualityView(
        metric=accept.metric,
        floor=floor_of_partitions(job),
        greater_is_better=greater_is_better(accept.metric),
        recent=recent[-1] if recent else None,
        realised={item: [m for m in values if m.name in shown] for item, values in whole.items()},
        late=frozenset(item for item, values in whole.items() if _is_late(job, arrival, item, values)),
        slices=_slice_rows(job, sliced, release),
        gaps=_gap_rows(sliced, release),
        is_estimated=task_type(job.spec.task).has_classes,
    )


def distribution_of(counted: ColumnProfile) -> Histogram | Categories:
    """Return a counted column in the form that charts draw."""
    if counted.kind is not ColumnKind.NUMERIC:
        names = (*counted.categories, *(("all others",) if len(counted.counts) > len(counted.categories) else ()))
        return Categories(names=names, counts=counted.counts)
    edges = counted.edges
    if counted.minimum is None or counted.maximum is None or not edges:
        return Histogram(edges=(-math.inf, *edges, math.inf), counts=counted.counts)
    low, high = min(counted.minimum, edges[0]), max(counted.maximum, edges[-1])
    if len(edges) <= MOST_POINTS:  # a bin per value: below the first, the values, above the last
        return Histogram(edges=(low, *edges[:-1], high, math.inf), counts=counted.counts, points=True)
    return Histogram(edges=(low, *edges, high), counts=counted.counts)


def _pictures(drift: dict[str, tuple[MetricValue, ...]], quality: QualityView) -> list[charts.Chart]:
    realised = {
        key: value
        for key, values in quality.realised.items()
        for value in values
        if value.name == quality.metric and key not in quality.late
    }
    by_feature: dict[str, dict[str, float]] = {}
    for key, values in drift.items():
        for value in values:
            if value.name in ("psi", "score_psi"):
                by_feature.setdefault(value.feature or SCORE, {})[key] = value.value
    return [
        charts.metric_over_partitions(realised, title=f"Realised {quality.metric}", threshold=quality.floor),
        charts.drift_over_time(by_feature, metric="psi"),
    ]


def _drift_rows(
    metrics: Iterable[MetricValue],
    reference: tuple[ColumnProfile, ...],
    analysis: tuple[ColumnProfile, ...],
    marks: Marks,
) -> list[DriftRow]:
    by_key = {(m.feature or reference[-1].name, m.name.removeprefix("score_")): m for m in metrics}
    return [
        _drift_row(by_key, before, now, marks, is_feature=before is not reference[-1])
        for before, now in zip(reference, analysis, strict=True)
    ]


def _drift_row(
    by_key: Mapping[tuple[str, str], MetricValue],
    before: ColumnProfile,
    now: ColumnProfile,
    marks: Marks,
    *,
    is_feature: bool,
) -> DriftRow:
    name, rules = before.name, _rules_of(before.name) if is_feature else ("score_drift",)
    psi, threshold = by_key[name, "psi"].value, by_key[name, "psi_threshold"].value
    open_rules = (*rules, *(("drift",) if is_feature and psi > threshold else ()))
    return DriftRow(
        feature=name,
        metrics=tuple(replace(by_key[name, of], name=of) for of in DISTANCES if (name, of) in by_key),
        threshold=threshold,
        severity=next((marks.severities[rule] for rule in open_rules if rule in marks.severities), None),
        found=not marks.found.isdisjoint(rules),
        is_feature=is_feature,
        reference=_in_words(before),
        analysis=_in_words(now),
        picture=charts.to_svg(
            charts.distribution(distribution_of(before), distribution_of(now), title=name, size="mini")
        ),
    )


def _rules_of(feature: str) -> tuple[str, ...]:
    return tuple(f"{family}:{feature}" for family in ("break", "nulls", "unseen"))


def _in_words(counted: ColumnProfile) -> str:
    null = f"{percent(counted.n_null / counted.n)} null" if counted.n_null else "no null"
    if counted.kind is ColumnKind.NUMERIC:
        return null if counted.mean is None else f"mean {figure(counted.mean)}, {null}"
    most = max(zip(counted.counts, counted.categories, strict=False), default=(0, "no values"))[1]
    return f"mostly {most}, {null}"


def _slice_rows(job: Job, figures: Iterable[MetricValue], release: Release | None) -> list[SliceRow]:
    """Return the newest figure of each slice over all partitions, with its value at acceptance; no rows if it has none."""
    name = f"{job.spec.accept.metric}_recent"
    recent = {figure.slice: figure for figure in figures if figure.name == name and figure.slice}
    known = () if release is None else (MetricValue.from_dict(item) for item in release.evidence["metrics"])
    accepted = {figure.slice: figure for figure in known if figure.name == job.spec.accept.metric and figure.slice}
    if recent:
        recent = {label: MetricValue(name=name, value=math.nan, n=0, slice=label) for label in accepted} | recent
    return [SliceRow(recent=figure, accepted=accepted.get(label)) for label, figure in recent.items()]


def _gap_rows(figures: Iterable[MetricValue], release: Release | None) -> list[SliceRow]:
    """Return the newest gap of each figure and group over all partitions, with its value at acceptance."""
    known = () if release is None else (MetricValue.from_dict(item) for item in release.evidence.get("gaps", ()))
    accepted = {(gap.name, gap.slice): gap for gap in known}
    recent = {
        (figure.name.removesuffix("_recent"), figure.slice): figure
        for figure in figures
        if figure.name.startswith(PREFIX) and figure.name.endswith("_recent")
    }
    return [
        SliceRow(recent=replace(figure, name=key[0].removeprefix(PREFIX)), accepted=accepted.get(key))
        for key, figure in sorted(recent.items(), key=lambda item: (item[0][1] or "", item[0][0]))
    ]


def _is_late(job: Job, arrival: Arrival, key: str, figures: Iterable[MetricValue]) -> bool:
    coverage = next((figure.value for figure in figures if figure.name == "label_coverage"), 1.0)
    return not arrival.has_enough(coverage, hours_since_end(job, key))


def _labels(job: Job, arrival: Arrival, key: str) -> LabelsView:
    due = job.spec.label.matures_after / HOUR
    rows = []
    for partition, figures in list(job.ledger.metrics(job.spec.model, LABELS, until=key).items())[-N_LABELS:]:
        by_name = {figure.name: figure.value for figure in figures if figure.slice is None}
        hours, coverage = by_name["hours_since_end"], by_name["label_coverage"]
        state = label_state(job.spec, partition, hours=hours, coverage=coverage, arrival=arrival)
        rows.append(
            LabelRow(partition=partition, hours=hours, coverage=coverage, usual=arrival.expected(hours), state=state)
        )
    sentence = arrival_sentence(
        half=arrival.after(0.5),
        nearly_all=arrival.after(0.99),
        final=arrival.final,
        due=due,
        by_then=arrival.expected(due),
        n=arrival.n_partitions,
    )
    ages, shares = (arrival.ages, arrival.shares) if arrival.known else ((), ())
    picture = charts.to_svg(arrival_chart(ages, shares, rows, due))
    return LabelsView(rows=rows, sentence=sentence, picture=picture)


def _compute_rows(
    metrics: Iterable[MetricValue], opened: Mapping[str, OpenAlert], found: Mapping[str, Alert]
) -> list[StepCompute]:
    by_step: dict[str, dict[str, MetricValue]] = {}
    for metric in metrics:
        by_step.setdefault((metric.slice or "").removeprefix("step="), {})[metric.name] = metric
    return [
        StepCompute(
            step=step,
            wall_s=figures["wall_s"].value,
            cpu_s=figures["cpu_s"].value,
            n_rows=figures["wall_s"].n,
            peak_rss_bytes=int(figures["peak_rss_bytes"].value),
            usual_wall_s=_usual(figures),
            severity=next((opened[rule].alert.severity for rule in _compute_rules(step) if rule in opened), None),
            found=any(rule in found for rule in _compute_rules(step)),
        )
        for step, figures in by_step.items()
    ]


def _compute_rules(step: str) -> tuple[str, ...]:
    return tuple(f"{family}:{step}" for family in ("slow", "memory", "growth"))


def _usual(figures: Mapping[str, MetricValue]) -> float | None:
    """Return the median seconds of past runs."""
    return figures["wall_s"].value / figures["wall_s_ratio"].value if "wall_s_ratio" in figures else None
