"""Columns of a published run's rows, from the snapshot that was scored."""

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.errors import ArtifactCorrupt
from tidemill.runtime.job import Job
from tidemill.storage.layout import FEATURES
from tidemill.storage.tables import read_table
from tidemill.warehouse.predictions.publisher import PublishedRun

__all__ = ["scored_columns", "with_column"]


def scored_columns(job: Job, run: PublishedRun, rows: pa.Table, names: tuple[str, ...]) -> dict[str, pa.ChunkedArray]:
    """Return columns of published rows; empty if retention has removed the snapshot, without those that it lacks.

    Parameters
    ----------
    rows : pyarrow.Table
        Its rows, with at least their key.
    names : tuple of str
        Columns of the features query.
    """
    key = job.spec.entity_key
    if not names or not rows.num_rows:
        return {}
    try:
        folder = job.store.folder(run.snapshot_uri, run.snapshot_digest)
    except ArtifactCorrupt:
        return {}
    table = read_table(folder / FEATURES, list(dict.fromkeys([key, *names])))
    at = pc.index_in(rows[key], value_set=table[key].cast(pa.string()).combine_chunks())
    return {name: table[name].take(at) for name in names if name in table.column_names}


def with_column(job: Job, run: PublishedRun, rows: pa.Table, name: str) -> pa.Table:
    """Return published rows with a further column of the features query, if their snapshot has it."""
    for column in scored_columns(job, run, rows, (name,)).values():
        rows = rows.append_column(name, column)
    return rows
