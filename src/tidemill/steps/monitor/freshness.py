"""Check whether the partition is complete, on time, and from the same columns, code and packages as the last."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pyarrow.parquet as pq
from croniter import croniter

from tidemill.errors import ArtifactCorrupt, NotPublished
from tidemill.intervals import Interval, Partition
from tidemill.monitoring.freshness import FreshnessEvidence, FreshnessLimits, examine_freshness, missing_alert
from tidemill.records import CollectedRef, Examination, MonitorRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import OBSERVED_AT, ModelSpec
from tidemill.steps.data.labels import labels_as_of
from tidemill.steps.findings.alert_updates import update_alerts
from tidemill.steps.findings.past_rows import newest_published, usual_counts
from tidemill.storage.layout import FEATURES
from tidemill.storage.tables import read_table
from tidemill.warehouse.ledger import Measurement
from tidemill.warehouse.predictions.provenance import Provenance

__all__ = ["freshness", "miss", "refuse_withheld"]

N_GAPS = 7  # preceding partitions searched for missing ones
DAY = timedelta(days=1)


@declarations.freshness
def freshness(job: Job, collected: CollectedRef) -> MonitorRef:
    """Compare the partition's rows, ages and versions with those of the preceding partitions."""
    evidence = _evidence(job, collected)
    metrics, alerts = examine_freshness(
        evidence,
        FreshnessLimits(volume_ratio=job.spec.monitor.volume_ratio, model_age=job.spec.monitor.model_age / DAY),
    )
    job.ledger.record_metrics(
        Measurement(
            model=job.spec.model,
            partition=job.partition.key,
            part="freshness",
            release_id=collected.release_id,
            as_of=job.partition.cutoff,
            run_id=job.run_id,
        ),
        metrics,
    )
    return MonitorRef(part="freshness", n_metrics=len(metrics), alerts=alerts, ages=dict(evidence.ages))


def miss(job: Job) -> None:
    """Open an alert about a due partition without predictions to examine, unless the model is a draft."""
    serves = job.releases.champion(job.spec.model) is not None
    if (serves or not job.spec.draft) and _is_due(job.spec, job.partition):
        found = missing_alert([job.partition.key])
        update_alerts(job, Examination(partition=job.partition.key, parts=("collect",), findings=(found,)))


def refuse_withheld(job: Job) -> None:
    """Raise if the partition's rows are withheld; the alert about them is open already.

    Raises
    ------
    NotPublished
        With the commands that end it.
    """
    model, key = job.spec.model, job.partition.key
    if job.withholding.runs(model, key):
        raise NotPublished(
            f"The rows of partition {key!r} of {model!r} are withheld, so there is nothing that readers see.",
            f"'tidemill publish {model} {key} --reason …' or 'tidemill discard {model} {key} --reason …', then monitor again.",
        )


def _evidence(job: Job, collected: CollectedRef) -> FreshnessEvidence:
    known = newest_published(job)
    current, past = known[0], known[1:]
    peer_rows, past_rows = usual_counts(job, past)
    recorded = job.ledger.metrics(job.spec.model, "freshness", "age_days", until=job.partition.key)
    recorded.pop(job.partition.key, None)
    crossed = job.alerts.crossed(job.spec.model)
    held = {run.partition for run in job.withholding.runs(job.spec.model)}
    ages = _ages(job, collected)
    return FreshnessEvidence(
        n_rows=current.n_rows,
        past_rows=past_rows,
        peer_rows=peer_rows,
        missing=tuple(
            key for key in _gaps(job.spec, job.partition, {item.partition for item in known}) if key not in held
        ),
        ages=ages,
        past_ages={
            # Ages that raised an alert are not usual; otherwise a fault would look usual on its second day.
            what: tuple(
                m.value
                for key, values in recorded.items()
                for m in values
                if m.slice == f"of={what}" and f"age:{what}" not in crossed.get(key, ())
            )[-28:]
            for what in ages
        },
        columns=_columns(job, current) or {},
        columns_before=_columns(job, past[0]) if past else None,
        versions=_versions(current),
        versions_before=_versions(past[0]) if past else None,
    )


def _versions(item: Provenance) -> dict[str, str]:
    return {"code": item.code_version, "packages": item.lock_digest, "query": item.query_digest}


def _columns(job: Job, item: Provenance) -> dict[str, str] | None:
    """Return the type of each column of a partition's snapshot, or None if retention removed it."""
    try:
        folder = job.store.folder(item.snapshot_uri, item.snapshot_digest)
    except ArtifactCorrupt:
        return None
    schema = pq.ParquetFile(folder / FEATURES).schema_arrow
    return {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)}


def _ages(job: Job, collected: CollectedRef) -> dict[str, float]:
    spec, partition = job.spec, job.partition
    release = job.releases.release(spec.model, collected.release_id)
    assert release is not None  # a foreign key says so
    if not spec.has_time:  # neither rows nor labels have an age
        return {"model": (partition.cutoff - release.known_until) / DAY}
    file = job.store.folder(collected.snapshot_uri, collected.snapshot_digest) / FEATURES
    newest = pc.max(read_table(file, [spec.time_column])[spec.time_column]).as_py()
    length = partition.interval.end - partition.interval.start
    start = partition.shift(partition.interval.start, -spec.label.matures_after) - 7 * length
    looked_at = Interval(start=start, end=partition.interval.end)
    observed = pc.max(labels_as_of(job, looked_at, partition.cutoff)[OBSERVED_AT]).as_py()
    return {
        "model": (partition.cutoff - release.known_until) / DAY,
        **({} if newest is None else {"data": (partition.interval.end - newest) / DAY}),  # an empty one has none
        "labels": float("inf") if observed is None else (partition.cutoff - observed) / DAY,
    }


def _gaps(spec: ModelSpec, partition: Partition, published: set[str]) -> Iterator[str]:
    """Return the preceding partitions that were due but are missing, no older than the oldest published one."""
    span = Interval(start=spec.partition(min(published)).interval.start, end=partition.interval.end)
    before = spec.partitions.every.within(span, spec.timezone, spec.partitions.cutoff)
    yield from (item.key for item in list(before)[-N_GAPS - 1 :] if item.key not in published and _is_due(spec, item))


def _is_due(spec: ModelSpec, partition: Partition) -> bool:
    """Return whether the predict schedule has a run for a partition."""
    if spec.predict.schedule is None:
        return False
    zone, window = ZoneInfo(spec.timezone), spec.run_window(partition)
    start, end = (instant.astimezone(zone).replace(tzinfo=None) for instant in (window.start, window.end))
    tick: datetime = croniter(spec.predict.schedule, start - timedelta(seconds=1)).get_next(datetime)
    return tick < end
