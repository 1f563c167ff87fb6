"""What the daily page of a model says: the ledger's figures and counted bins, turned into the report room's values."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tidemill.monitoring.arrival import Arrival
from tidemill.monitoring.profile import ColumnKind, ColumnProfile
from tidemill.records import Alert, AlertsRef, CollectedRef, MetricValue, Severity
from tidemill.report import charts
from tidemill.report.arrivals import arrival_chart, arrival_sentence
from tidemill.report.html import Tile
from tidemill.report.pages import monitor_page
from tidemill.report.values import Categories, DriftRow, Histogram, LabelRow, SliceRow, StepCompute
from tidemill.runtime.job import Job
from tidemill.spec import Task
from tidemill.steps.monitor.label_arrival import LABELS, arrival_of, hours_since_end
from tidemill.steps.monitor.reference import count_partition, read_reference
from tidemill.storage.layout import SCORE
from tidemill.warehouse.releases.registry import Release

__all__ = ["build_page", "distribution_of"]

HOUR = timedelta(hours=1)
DISTANCES = ("psi", "jensen_shannon", "wasserstein", "cohens_w")  # those that a column has, the first to sort by
MOST_POINTS = 61  # cut points up to which each bin of a profile is a single value, as a rule
N_LABELS = 12  # newest partitions whose labels are shown

SHOWN: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: ("roc_auc", "log_loss", "brier_score", "base_rate", "mean_score", "label_coverage"),
    Task.MULTICLASS: ("log_loss", "accuracy", "macro_f1", "roc_auc_ovr", "mean_confidence", "label_coverage"),
    Task.REGRESSION: ("mean_absolute_error", "root_mean_squared_error", "r2_score", "mean_error", "interval_coverage",
                      "label_coverage"),
}  # fmt: skip
"""Realised quality, a row a partition."""


def build_page(job: Job, collected: CollectedRef, alerts: AlertsRef) -> str:
    """Build the page of one partition."""
    model, key, shown = job.spec.model, collected.partition, (job.spec.accept.metric, *SHOWN[job.spec.task])
    drift = job.ledger.metrics(model, "drift", until=key)
    quality = job.ledger.metrics(model, "performance", until=key)
    sliced = [figure for values in quality.values() for figure in values if figure.slice is not None]
    quality = {item: tuple(m for m in values if m.slice is None) for item, values in quality.items()}
    compute = job.ledger.metrics(model, "compute", until=key)
    drifted: list[DriftRow] = []
    if collected.n_rows:
        reference = read_reference(job, collected)
        counted = count_partition(job, collected, reference)
        drifted = _drift_rows(drift[key], reference, counted, alerts.alerts)
    release = job.releases.release(model, collected.release_id)
    arrival = arrival_of(job, key)
    late = {item for item, values in quality.items() if _is_late(job, arrival, item, values)}
    timely = {item: values for item, values in quality.items() if item not in late}
    # Of an older partition, what has opened since is left out.
    opened = {item.alert.rule: item for item in job.alerts.open(model) if item.first_partition <= key}
    return monitor_page(
        model,
        key,
        alerts=[item.alert for item in opened.values()],
        opened=opened,
        found=[item for item in alerts.alerts if item.rule not in opened],
        runbook=job.workspace.runbook,
        empty=not collected.n_rows,
        drift=drifted,
        late=late,
        realised={item: [m for m in values if m.name in shown] for item, values in quality.items()},
        slices=_slice_rows(job, sliced, release),
        **_labels(job, arrival, key),
        compute=_compute_rows(compute[key], alerts.alerts),
        pictures=[charts.to_svg(chart) for chart in _pictures(job, drift, timely)],
        bundle_digest="" if release is None else release.bundle_digest,
        tiles=[
            Tile(label="Rows", value=f"{collected.n_rows:,}"),
            Tile(label="Release", value=str(collected.release_id)),
        ],
    )


def distribution_of(counted: ColumnProfile) -> Histogram | Categories:
    """Return a counted column as what charts draw."""
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


def _pictures(
    job: Job, drift: dict[str, tuple[MetricValue, ...]], quality: dict[str, tuple[MetricValue, ...]]
) -> list[charts.Chart]:
    metric = job.spec.accept.metric
    realised = {key: value for key, values in quality.items() for value in values if value.name == metric}
    by_feature: dict[str, dict[str, float]] = {}
    for key, values in drift.items():
        for value in values:
            if value.name in ("psi", "score_psi"):
                by_feature.setdefault(value.feature or SCORE, {})[key] = value.value
    return [
        charts.metric_over_partitions(realised, title=f"Realised {metric}", threshold=job.spec.accept.minimum),
        charts.drift_over_time(by_feature, metric="psi"),
    ]


def _drift_rows(
    metrics: Iterable[MetricValue],
    reference: tuple[ColumnProfile, ...],
    analysis: tuple[ColumnProfile, ...],
    alerts: tuple[Alert, ...],
) -> list[DriftRow]:
    by_key = {(m.feature or reference[-1].name, m.name.removeprefix("score_")): m for m in metrics}
    return [
        DriftRow(
            feature=before.name,
            metrics=tuple(
                replace(by_key[before.name, name], name=name) for name in DISTANCES if (before.name, name) in by_key
            ),
            threshold=by_key[before.name, "psi_threshold"].value,
            severity=_severity(alerts, f"break:{before.name}", f"nulls:{before.name}", f"unseen:{before.name}")
            or (_severity(alerts, "drift") if _beyond(by_key, before.name) else None)
            or (_severity(alerts, "score_drift") if before is reference[-1] else None),
            reference=_in_words(before),
            analysis=_in_words(now),
            picture=charts.to_svg(
                charts.distribution(distribution_of(before), distribution_of(now), title=before.name, size="mini")
            ),
        )
        for before, now in zip(reference, analysis, strict=True)
    ]


def _beyond(by_key: Mapping[tuple[str, str], MetricValue], feature: str) -> bool:
    return by_key[feature, "psi"].value > by_key[feature, "psi_threshold"].value


def _in_words(counted: ColumnProfile) -> str:
    null = f"{counted.n_null / counted.n:.1%} null" if counted.n_null else "no null"
    if counted.kind is ColumnKind.NUMERIC:
        return null if counted.mean is None else f"mean {counted.mean:.3g}, {null}"
    most = max(zip(counted.counts, counted.categories, strict=False), default=(0, "no values"))[1]
    return f"mostly {most}, {null}"


def _slice_rows(job: Job, figures: Iterable[MetricValue], release: Release | None) -> list[SliceRow]:
    """Return the newest figure of each slice over partitions together, beside what it was at acceptance."""
    recent = {figure.slice: figure for figure in figures if figure.name == f"{job.spec.accept.metric}_recent"}
    known = () if release is None else (MetricValue.from_dict(item) for item in release.evidence["metrics"])
    accepted = {figure.slice: figure for figure in known if figure.name == job.spec.accept.metric}
    return [SliceRow(recent=figure, accepted=accepted.get(label)) for label, figure in recent.items()]


def _is_late(job: Job, arrival: Arrival, key: str, figures: Iterable[MetricValue]) -> bool:
    coverage = next((figure.value for figure in figures if figure.name == "label_coverage"), 1.0)
    return not arrival.has_enough(coverage, hours_since_end(job, key))


def _labels(job: Job, arrival: Arrival, key: str) -> dict[str, Any]:
    """Return what the page says about labels, by its arguments."""
    due = job.spec.label.matures_after / HOUR
    rows = []
    for partition, figures in sorted(job.ledger.metrics(job.spec.model, LABELS, until=key).items())[-N_LABELS:]:
        by_name = {figure.name: figure.value for figure in figures if figure.slice is None}
        hours, coverage = by_name["hours_since_end"], by_name["label_coverage"]
        state = "arriving" if hours < due else "mature" if arrival.has_enough(coverage, hours) else "late"
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
    return {"labels": rows, "arrival": sentence, "arrival_picture": picture}


def _compute_rows(metrics: Iterable[MetricValue], alerts: tuple[Alert, ...]) -> list[StepCompute]:
    by_step: dict[str, dict[str, MetricValue]] = {}
    for metric in metrics:
        by_step.setdefault((metric.slice or "").removeprefix("step="), {})[metric.name] = metric
    return [
        StepCompute(
            step=step,
            wall_s=found["wall_s"].value,
            cpu_s=found["cpu_s"].value,
            n_rows=found["wall_s"].n,
            peak_rss_bytes=int(found["peak_rss_bytes"].value),
            usual_wall_s=found["wall_s"].value / found["wall_s_ratio"].value if "wall_s_ratio" in found else None,
            severity=_severity(alerts, f"slow:{step}", f"memory:{step}"),
        )
        for step, found in by_step.items()
    ]


def _severity(alerts: tuple[Alert, ...], *rules: str) -> Severity | None:
    return next((alert.severity for alert in alerts if alert.rule in rules), None)
