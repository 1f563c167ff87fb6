"""Monitor a partition's data, scores, realised quality and cost.

``collect`` resolves the inputs once; ``drift``, ``performance``, ``compute`` and ``freshness`` measure independently
of each other; ``alert`` opens and resolves alerts; ``report`` writes the page.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from tidemill.errors import NotPublished
from tidemill.intervals import Every, day_of, key_order
from tidemill.metrics.gaps import PREFIX
from tidemill.monitoring.alerts.rules import raise_alerts
from tidemill.monitoring.change import change_alerts
from tidemill.monitoring.compute import StepFigures, compare_compute
from tidemill.monitoring.recent import mean_of_hours, recent_quality
from tidemill.records import Alert, AlertsRef, CollectedRef, Examination, MetricValue, MonitorRef, PageRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.score import read_scorecard
from tidemill.steps.findings.alert_updates import update_alerts
from tidemill.steps.findings.days import whole_days
from tidemill.steps.findings.measured_rows import measure_rows
from tidemill.steps.findings.reference import count_partition, read_reference
from tidemill.steps.findings.thresholds import thresholds
from tidemill.steps.monitor.corrections import corrected, labels_of, remember
from tidemill.steps.monitor.freshness import miss, refuse_withheld
from tidemill.steps.monitor.label_arrival import Maturity, count_labels
from tidemill.steps.monitor.outlook import estimate_errors, estimated, loss_change, watched_loss
from tidemill.steps.monitor.realised_quality import outcomes_of, realised
from tidemill.steps.monitor.skew import skew_of
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.ledger import Measurement
from tidemill.warehouse.predictions.publisher import PublishedRun

__all__ = [
    "alert",
    "collect",
    "compute",
    "drift",
    "performance",
    "report",
]

N_MATURED = 7  # newest matured partitions measured again each day: late labels still count for a week


@declarations.collect
def collect(job: Job) -> CollectedRef:
    """Return the inputs of a partition's monitoring.

    Raises
    ------
    NotPublished
        If the partition has no published predictions.
    """
    runs = {run.partition: run for run in job.publisher.published(job.spec.model)}
    if job.partition.key not in runs:
        refuse_withheld(job)
        miss(job)
        raise NotPublished(
            f"Partition {job.partition.key!r} of {job.spec.model!r} has no published predictions to look at.",
            f"Predict it first: 'tidemill predict {job.spec.model} --partition {job.partition.key}'.",
        )
    run = runs[job.partition.key]
    release = job.releases.release(job.spec.model, run.release_id)
    assert release is not None  # a foreign key says so
    return CollectedRef(
        model=job.spec.model,
        partition=job.partition.key,
        prediction_run_id=run.prediction_run_id,
        release_id=run.release_id,
        snapshot_digest=run.snapshot_digest,
        snapshot_uri=run.snapshot_uri,
        evaluation_uri=release.evidence["uri"],
        matured=tuple(
            key for key, item in runs.items() if item.n_rows and item.task == job.spec.task and _has_matured(job, key)
        )[-N_MATURED:],
        n_rows=run.n_rows,
    )


@declarations.drift
def drift(job: Job, collected: CollectedRef) -> MonitorRef:
    """Compare the partition with the release's training and test data, and with the newest preceding partitions."""
    if not collected.n_rows:
        return MonitorRef(part="drift", n_metrics=0, alerts=(), empty=True)
    reference = read_reference(job, collected)
    metrics = measure_rows(job, collected, reference, count_partition(job, collected, reference))
    return _record(job, "drift", job.partition.key, metrics, collected.release_id)


@declarations.performance
def performance(job: Job, collected: CollectedRef) -> MonitorRef:
    """Measure the realised quality of matured partitions, and estimate that of this partition before its labels arrive.

    Alerts on realised quality cover the newest matured partitions together. A matured partition with late labels is
    measured but not compared.
    """
    from tidemill.steps.monitor.staleness import compare_ages  # loads models, which the other parts do not need

    runs = {run.partition: run for run in job.publisher.published(job.spec.model)}
    labels = {key: labels_of(job, key) for key in collected.matured}
    outcomes = {key: outcomes_of(job, runs[key], labels[key]) for key in collected.matured}
    maturity = count_labels(job, outcomes, runs, collected.partition)
    estimates = job.ledger.metrics(job.spec.model, "estimate", until=collected.partition)
    measured = {key: realised(job, item) for key, item in outcomes.items()}
    part = MonitorRef(part="performance", n_metrics=0, alerts=())
    recent = _recent(job, {key: figures for key, figures in measured.items() if key not in maturity.late})
    for key, metrics in measured.items():
        whole = tuple(m for m in metrics if m.slice is None)
        errors = () if key in maturity.late else estimate_errors(estimates.get(key, ()), whole)
        together = recent if key == collected.matured[-1] else ()
        _keep(job, "performance", key, (*metrics, *errors, *together), runs[key].release_id)
        remember(job, runs[key], labels[key])
        judged = (*whole, *errors, *(m for m in together if m.slice is None))  # a slice of a day is too small to judge
        part = replace(
            part,
            n_metrics=part.n_metrics + len(metrics) + len(errors) + len(together),
            alerts=raise_alerts(judged, thresholds(job)),
        )
    for key in collected.matured[-1:]:
        _keep(job, "staleness", key, compare_ages(job, outcomes[key]), runs[key].release_id)
    again = _measure_again(job, collected, runs, estimates)
    ahead = _look_ahead(job, collected, runs[collected.partition])
    back = _look_back(job, collected, runs, maturity)
    return replace(part, alerts=(*part.alerts, *ahead, *back), measured_again=again)


def _measure_again(
    job: Job,
    collected: CollectedRef,
    runs: Mapping[str, PublishedRun],
    estimates: Mapping[str, tuple[MetricValue, ...]],
) -> tuple[str, ...]:
    """Measure older partitions again whose labels or rows have changed; their earlier figures stay in the ledger."""
    again = []
    for run, labels in corrected(job, runs, min(collected.matured, default=collected.partition, key=key_order)):
        metrics = realised(job, outcomes_of(job, run, labels))
        errors = estimate_errors(estimates.get(run.partition, ()), tuple(m for m in metrics if m.slice is None))
        _keep(job, "performance", run.partition, (*metrics, *errors), run.release_id)
        remember(job, run, labels)
        again.append(run.partition)
    return tuple(again)


def _recent(job: Job, measured: Mapping[str, tuple[MetricValue, ...]]) -> tuple[MetricValue, ...]:
    """Return the acceptance metric over the newest partitions, of all rows and each slice, and gaps of groups."""
    found = (recent_quality(figures) for figures in _figures(job, _by_day(job, measured)).values())
    return tuple(recent for recent in found if recent is not None)


def _figures(job: Job, measured: Sequence[tuple[MetricValue, ...]]) -> dict[tuple[str, str | None], list[MetricValue]]:
    """Return the figures that are measured together, by name and slice, oldest first."""
    found: dict[tuple[str, str | None], list[MetricValue]] = {}
    for figure in (figure for metrics in measured for figure in metrics):
        is_gap = figure.name.startswith(PREFIX) and not figure.name.endswith("_recent")
        if figure.name == job.spec.accept.metric or is_gap:
            found.setdefault((figure.name, figure.slice), []).append(figure)
    return found


def _by_day(job: Job, measured: Mapping[str, tuple[MetricValue, ...]]) -> list[tuple[MetricValue, ...]]:
    """Return the figures of each partition; of hourly ones, the means of as many whole days, from the ledger too."""
    if not measured or not job.spec.has_time or job.spec.partitions.every is not Every.HOUR:
        return list(measured.values())
    newest = max(measured)
    since = f"{date.fromisoformat(day_of(newest)) - timedelta(days=N_MATURED)}"
    hours = {**job.ledger.metrics(job.spec.model, "performance", since=since, until=newest), **measured}
    days = list(whole_days(job.spec, hours).values())[-N_MATURED:]
    means = [
        tuple(filter(None, map(mean_of_hours, _figures(job, [hours[key] for key in keys]).values()))) for keys in days
    ]
    return means or list(measured.values())


def _look_ahead(job: Job, collected: CollectedRef, run: PublishedRun) -> tuple[Alert, ...]:
    """Estimate the partition's quality before its labels arrive."""
    estimates = estimated(job, collected, run) if collected.n_rows else ()
    _keep(job, "estimate", collected.partition, estimates, collected.release_id)
    return raise_alerts(_finite(estimates), thresholds(job))


def _look_back(
    job: Job, collected: CollectedRef, runs: Mapping[str, PublishedRun], maturity: Maturity
) -> tuple[Alert, ...]:
    """Detect a lasting rise of the loss, and rebuild the rows of the newest matured partition."""
    watched = watched_loss(job, collected)
    served = [key for key, run in runs.items() if run.release_id == collected.release_id]
    statistic, change = loss_change(job, watched, served, collected.partition, maturity.arrival)
    if math.isfinite(statistic):
        figure = MetricValue(name=f"{watched.loss}_change", value=statistic)
        _keep(job, "skew", collected.partition, (figure,), collected.release_id)
    alerts = change_alerts(change, loss=watched.loss, beyond_estimate=watched.beyond_estimate)
    if not collected.matured or not collected.n_rows:
        return alerts
    run = runs[collected.matured[-1]]
    figures = skew_of(job, run, tuple(profile.name for profile in read_reference(job, collected)[:-1]))
    _keep(job, "skew", run.partition, figures, run.release_id)
    return (*alerts, *raise_alerts(_finite(figures), thresholds(job), partition=run.partition))


@declarations.compute
def compute(job: Job, collected: CollectedRef) -> MonitorRef:
    """Compare the cost of the partition's steps with that of the preceding partitions."""
    by_partition: dict[str, dict[str, StepFigures]] = {}
    for run in job.ledger.step_runs(job.spec.model):
        figures = StepFigures(wall_s=run.wall_s, cpu_s=run.cpu_s, peak_rss_bytes=run.peak_rss_bytes, n_rows=run.n_rows)
        by_partition.setdefault(run.partition, {}).setdefault(f"{run.chain}.{run.step}", figures)
    before = sorted((key for key in by_partition if key_order(key) < key_order(job.partition.key)), key=key_order)
    past = [by_partition[key] for key in before]
    current = _newest_of_shadow(past) | by_partition[job.partition.key]
    metrics = compare_compute(current, past)
    return _record(job, "compute", job.partition.key, metrics, collected.release_id)


def _newest_of_shadow(past: Sequence[Mapping[str, StepFigures]]) -> dict[str, StepFigures]:
    """Return the newest costs of the steps that run beside this one, which may not have ended for this partition."""
    return {step: run[step] for run in past[-1:] for step in ("monitor.shadow", "monitor.settle") if step in run}


@declarations.alert
def alert(job: Job, collected: CollectedRef, parts: tuple[MonitorRef, ...]) -> AlertsRef:
    """Open, update and resolve alerts."""
    found = tuple(item for part in parts for item in part.alerts)
    # Alerts of a part without anything to measure stay unchanged.
    asked = ("collect", *(part.part for part in parts if not part.empty))
    examined = Examination(partition=collected.partition, parts=asked, findings=found)
    return update_alerts(job, examined)


@declarations.report
def report(job: Job, collected: CollectedRef, alerts: AlertsRef) -> PageRef:
    """Write the partition's page, record the model's ML Test Score, and log the page to MLflow, now or once it answers."""
    from tidemill.steps.monitor.page import build_page  # imports the drawing library, which the other parts do not need

    page = build_page(job, collected, alerts)

    def fill(folder: Path) -> None:
        (folder / "index.html").write_text(page, encoding="utf-8")

    uri = job.store.write(job.spec.model, "reports", fill).uri
    with transaction(job.ledger.url) as cursor:
        points = read_scorecard(cursor, job.spec).points
    if not job.workspace.tracking_uri:
        return PageRef(uri=uri, ml_test_score=points)
    from tidemill.mlflow_mirror.mirror import show_daily_page  # knows bundles too, and loads what they need

    shown = show_daily_page(job, uri, collected.release_id)
    return PageRef(uri=uri, mlflow_run_id=shown.run_id, mirror_problem=shown.problem, ml_test_score=points)


def _finite(metrics: Iterable[MetricValue]) -> tuple[MetricValue, ...]:
    return tuple(metric for metric in metrics if math.isfinite(metric.value))


def _has_matured(job: Job, key: str) -> bool:
    return job.spec.partition(key).due(job.spec.label.matures_after) <= job.partition.cutoff


def _keep(job: Job, part: str, partition: str, metrics: tuple[MetricValue, ...], release_id: int) -> None:
    job.ledger.record_metrics(
        Measurement(
            model=job.spec.model,
            partition=partition,
            part=part,
            release_id=release_id,
            as_of=job.partition.cutoff,
            run_id=job.run_id,
        ),
        metrics,
    )


def _record(job: Job, part: str, partition: str, metrics: tuple[MetricValue, ...], release_id: int) -> MonitorRef:
    _keep(job, part, partition, metrics, release_id)
    return MonitorRef(part=part, n_metrics=len(metrics), alerts=raise_alerts(metrics, thresholds(job)))
