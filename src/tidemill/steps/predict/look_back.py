"""Look back: read the newest scored partitions again, and find those whose rows have changed in the source.

Late and corrected rows change a partition after it was scored. This step only reads; each changed partition is scored by a
prediction of its own, which is inspected, published or withheld like any other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from tidemill.errors import ArtifactCorrupt, FatalError
from tidemill.intervals import Interval, Partition, key_order
from tidemill.records import ChangedPartition, LookedBack, PredictionRef, RowChanges, SnapshotRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.steps.data.extract import take_snapshot
from tidemill.steps.data.row_changes import compare_snapshots
from tidemill.storage.layout import FEATURES
from tidemill.warehouse.predictions.revisions import Revisions, SettledRun

__all__ = ["look_back", "record_revision"]


@declarations.look_back
def look_back(job: Job) -> LookedBack:
    """Return the partitions within ``predict.lookback`` before the job's whose rows have changed since they were scored.

    Only a run of the model's newest partition looks back. A partition whose visible run was made by another features query,
    or with a cutoff of its own, is left alone: its rows differ for another reason. So is one whose changed rows are withheld,
    or were discarded by a person.
    """
    partitions = {item.key: item for item in _before(job)}
    if not partitions:
        return LookedBack(changed=(), unchanged=())
    runs = Revisions(job.ledger.url).settled(job.spec.model, min(partitions))
    if any(key_order(run.partition) > key_order(job.partition.key) for run in runs):
        return LookedBack(changed=(), unchanged=())
    found = {
        key: _read_again(job, partitions[key], tuple(of_partition))
        for key, of_partition in groupby(runs, key=lambda run: run.partition)
        if key in partitions
    }
    return LookedBack(
        changed=tuple(item for item in found.values() if item is not None),
        unchanged=tuple(key for key, item in found.items() if item is None),
    )


def record_revision(job: Job, prediction: PredictionRef, snapshot: SnapshotRef) -> str:
    """Record in which rows a written run differs from the visible one, and return it in words; empty if in none."""
    runs = Revisions(job.ledger.url).settled(job.spec.model, prediction.partition)
    visible = next((run for run in runs if (run.partition, run.status) == (prediction.partition, "published")), None)
    if visible is None or visible.snapshot_digest == snapshot.digest:
        return ""
    changes = _changes(job, visible, snapshot)
    if changes is None:
        return f"The rows of prediction run {visible.prediction_run_id} are no longer stored, so nothing is compared."
    Revisions(job.ledger.url).record(prediction.prediction_run_id, visible.prediction_run_id, changes)
    return f"Since prediction run {visible.prediction_run_id}: {changes.words}."


def _before(job: Job) -> Iterable[Partition]:
    """Return the partitions within ``predict.lookback`` before the job's."""
    spec, start = job.spec, job.partition.interval.start
    if spec.predict.lookback is None:
        return ()
    span = Interval(start=job.partition.shift(start, -spec.predict.lookback), end=start)
    return spec.partitions.every.within(span, spec.timezone, spec.partitions.cutoff)


def _read_again(job: Job, partition: Partition, runs: Sequence[SettledRun]) -> ChangedPartition | None:
    """Read a partition's rows again; return what has changed, or None if nothing has."""
    newest = next((run for run in runs if run.status == "published"), runs[-1])
    if newest.cutoff != partition.cutoff:
        return None
    of_partition = replace(job, partition=partition)
    found = ChangedPartition(
        partition=partition.key,
        release_id=newest.release_id,
        simulated=newest.simulated,
        snapshot_digest="",
        found="",
    )
    try:
        snapshot, _ = take_snapshot(of_partition, "score")
    except FatalError as error:  # scoring the partition again shows it, as a run of its own
        return replace(found, found=str(error))
    if snapshot.query_digest != newest.query_digest:
        return None
    changes = [_changes(job, run, snapshot) for run in runs]
    if any(item is not None and not item.any for item in changes):
        return None
    known = changes[runs.index(newest)]
    said = "The rows have changed." if known is None else f"{known.words}."
    return replace(found, snapshot_digest=snapshot.digest, found=said)


def _changes(job: Job, run: SettledRun, snapshot: SnapshotRef) -> RowChanges | None:
    """Count the rows in which a snapshot differs from a run's; None if the run's are no longer stored."""
    if run.snapshot_digest == snapshot.digest:
        return RowChanges(n_added=0, n_removed=0, n_changed=0)
    try:
        before = job.store.folder(run.snapshot_uri, run.snapshot_digest) / FEATURES
    except ArtifactCorrupt:
        return None
    return compare_snapshots(before, job.store.folder(snapshot.uri, snapshot.digest) / FEATURES, job.spec.entity_key)
