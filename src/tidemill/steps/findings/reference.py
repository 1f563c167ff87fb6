"""The release's reference profiles, and a partition counted into the same bins, in constant memory."""

import json
import math
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path

import pyarrow as pa

from tidemill.monitoring.profile import (
    ColumnKind,
    ColumnProfile,
    count_table,
    merge,
    profile_of_bins,
    profile_of_levels,
)
from tidemill.records import CollectedRef
from tidemill.runtime.job import Job
from tidemill.storage.layout import FEATURES, GROUP_ROWS, REFERENCE
from tidemill.storage.tables import count_rows, read_batches, read_schema
from tidemill.warehouse.predictions.answer_counts import BinCount, count_levels, count_numbers
from tidemill.workspace import LEDGER

__all__ = ["count_features", "count_partition", "count_scores", "has_reference", "read_reference"]

BATCH_ROWS = 100_000  # rows counted at once: 20 columns of them take 16 MB


def has_reference(job: Job, collected: CollectedRef) -> bool:
    """Return whether the release's reference is known and on the storage."""
    uri = collected.evaluation_uri
    return bool(uri) and (job.store.path(uri) / REFERENCE).is_file()


def read_reference(job: Job, collected: CollectedRef) -> tuple[ColumnProfile, ...]:
    """Read the profiles of the release's features, and of its scores or predicted classes last."""
    text = (job.store.path(collected.evaluation_uri) / REFERENCE).read_text(encoding="utf-8")
    return tuple(ColumnProfile.from_dict(item) for item in json.loads(text))


def count_partition(
    job: Job, collected: CollectedRef, reference: tuple[ColumnProfile, ...], most_rows: int | None = None
) -> tuple[ColumnProfile, ...]:
    """Count the partition's rows into the bins of the reference; for features, at most about ``most_rows`` of them."""
    folder = job.store.folder(collected.snapshot_uri, collected.snapshot_digest)
    features = count_features(folder / FEATURES, reference[:-1], most_rows)
    return (*features, count_scores(job, collected.prediction_run_id, reference[-1]))


def count_scores(job: Job, prediction_run_id: int, reference: ColumnProfile) -> ColumnProfile:
    """Count the scores, or the predicted classes, of a prediction run into the bins of the reference."""
    url = job.workspace.connection(LEDGER)
    if reference.kind is ColumnKind.CATEGORICAL:
        return profile_of_levels(reference, count_levels(url, prediction_run_id, reference.name))
    bins = count_numbers(url, prediction_run_id, reference.edges)
    counts = [0] * (len(reference.edges) + 1)
    for item in bins:
        counts[item.bin] = item.n
    if not bins:
        return profile_of_bins(reference, counts, span=None, moments=None)
    span = min(item.minimum for item in bins), max(item.maximum for item in bins)
    return profile_of_bins(reference, counts, span=span, moments=_pooled(bins))


def _pooled(bins: Sequence[BinCount]) -> tuple[float, float]:
    """Return the mean and the standard deviation of all bins together."""
    n = sum(item.n for item in bins)
    mean = math.fsum(item.n * item.mean for item in bins) / n
    spread = math.fsum(item.n * (item.variance + (item.mean - mean) ** 2) for item in bins) / n
    return mean, math.sqrt(spread)


def count_features(
    path: Path, reference: Sequence[ColumnProfile], most_rows: int | None = None
) -> tuple[ColumnProfile, ...]:
    """Count a stored table into the bins of a reference, batch by batch.

    Parameters
    ----------
    most_rows : int, optional
        Rows that are enough; of a longer table, evenly spaced row groups are read. All by default.

    Raises
    ------
    SchemaChanged
        If columns are missing or have a type that cannot be counted that way.
    """
    names = [profile.name for profile in reference]
    empty = count_table(reference, read_schema(path).empty_table())
    batches = (pa.Table.from_batches([batch]) for batch in _batches(path, names, most_rows))
    return reduce(_added, (count_table(reference, batch) for batch in batches), empty)


def _batches(path: Path, names: Sequence[str], most_rows: int | None) -> Iterator[pa.RecordBatch]:
    n_rows = count_rows(path)
    if most_rows is None or n_rows <= most_rows:
        yield from read_batches(path, names, BATCH_ROWS)
        return
    n_groups, wanted = math.ceil(n_rows / GROUP_ROWS), max(most_rows // GROUP_ROWS, 1)
    for place in range(wanted):
        start = place * n_groups // wanted * GROUP_ROWS
        yield from read_batches(path, names, GROUP_ROWS, start, start + GROUP_ROWS)


def _added(counted: tuple[ColumnProfile, ...], more: tuple[ColumnProfile, ...]) -> tuple[ColumnProfile, ...]:
    return tuple(merge(before, now) for before, now in zip(counted, more, strict=True))
