"""Skew: an old partition's rows made once more, with the cutoff that they had, and held against what was scored."""

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.monitoring.skew import compare_rows
from tidemill.records import MetricValue
from tidemill.steps.extract import FEATURES, STATEMENT_TIMEOUT_S, query_parameters
from tidemill.steps.running import Job
from tidemill.warehouse.origins import Origins
from tidemill.warehouse.publishing import PublishedRun
from tidemill.warehouse.queries import bind
from tidemill.warehouse.reading import copy_batches, describe, frozen_view

__all__ = ["skew_of"]


def skew_of(job: Job, run: PublishedRun, columns: tuple[str, ...]) -> tuple[MetricValue, ...]:
    """Compare what a published run was scored on with what training would see of it today.

    Parameters
    ----------
    job : Job
        Model and place.
    run : PublishedRun
        A partition whose labels have matured, so that what comes late has come.
    columns : tuple of str
        Features of the release.
    """
    spec, file = job.spec, job.spec.source.features
    snapshot = Origins(job.ledger.url).snapshot(spec.model, run.snapshot_digest)
    served = pq.ParquetFile(job.store.folder(run.snapshot_uri, run.snapshot_digest) / FEATURES)
    parameters = query_parameters(spec.partition(run.partition).interval, snapshot.cutoff)
    query = bind(job.workspace.query(file), file)
    with frozen_view(job.workspace.connection(spec.source.connection), STATEMENT_TIMEOUT_S) as cursor:
        described = describe(cursor, query, parameters)
        batches = list(copy_batches(cursor, query, parameters, described, spec.entity_key))
    now = pa.Table.from_batches(batches, pa.schema([(column.name, column.arrow) for column in described]))
    kept = tuple(
        name for name in columns if name in now.column_names
    )  # a column that is gone is the contract's business
    return compare_rows(served.read([spec.entity_key, *kept]), now, spec.entity_key, kept)
