"""Counts of the newest preceding partitions in the groups of a release, read once and stored in the ledger."""

from collections.abc import Mapping

from tidemill.errors import ArtifactCorrupt, SchemaChanged
from tidemill.intervals import key_order
from tidemill.monitoring.breaks import FeatureCounts, count_groups
from tidemill.monitoring.profile import ColumnProfile
from tidemill.records import CollectedRef
from tidemill.runtime.job import Job
from tidemill.steps.findings.reference import count_features
from tidemill.storage.layout import FEATURES
from tidemill.warehouse.predictions.partition_counts import PartitionCounts
from tidemill.warehouse.predictions.publisher import PublishedRun
from tidemill.workspace import LEDGER

__all__ = ["count_newest"]

N_NEWEST = 28  # partitions: four of each weekday
BROKEN = ("break:", "nulls:", "unseen:")


def count_newest(
    job: Job, collected: CollectedRef, reference: tuple[ColumnProfile, ...]
) -> list[tuple[FeatureCounts, ...]]:
    """Return the counts of the newest published partitions before the job's, in any order.

    After a promotion they are counted again in the new release's groups. A snapshot that retention has removed, or that
    lacks a column, is left out. So is a feature in partitions where it was broken, since the same break would otherwise
    look usual on its second day; unless the rows were withheld and a person has published them as correct.
    """
    crossed, store = job.alerts.crossed(job.spec.model), PartitionCounts(job.workspace.connection(LEDGER))
    end = key_order(collected.partition)
    runs = [run for run in job.publisher.published(job.spec.model) if key_order(run.partition) < end]
    sound = [run for run in runs if not _broken(crossed, run)][-N_NEWEST:]
    looked_at = runs[runs.index(sound[0]) :] if sound else runs[-N_NEWEST:]
    known = store.load(collected.release_id, [run.prediction_run_id for run in looked_at])
    found = []
    for run in looked_at:
        if run.prediction_run_id in known:
            counts = tuple(FeatureCounts.from_dict(item) for item in known[run.prediction_run_id])
        else:
            counts = _count(job, run, reference)
            store.save(collected.release_id, run.prediction_run_id, [item.to_dict() for item in counts], job.run_id)
        found.append(tuple(item for item in counts if item.name not in _broken(crossed, run)))
    return found


def _broken(crossed: Mapping[str, frozenset[str]], run: PublishedRun) -> set[str]:
    """Return the features that were found broken in a partition, and that no person has confirmed as correct."""
    if run.found_right:
        return set()
    return {rule.partition(":")[2] for rule in crossed.get(run.partition, ()) if rule.startswith(BROKEN)}


def _count(job: Job, run: PublishedRun, reference: tuple[ColumnProfile, ...]) -> tuple[FeatureCounts, ...]:
    """Count a partition's rows; empty if its snapshot is gone or lacks a column."""
    try:
        path = job.store.folder(run.snapshot_uri, run.snapshot_digest) / FEATURES
        return count_groups(reference, count_features(path, reference))
    except (ArtifactCorrupt, SchemaChanged):
        return ()
