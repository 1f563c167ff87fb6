"""Skew: rebuild an old partition's rows with its original cutoff, and compare them with the scored rows."""

from tidemill.monitoring.skew import compare_rows
from tidemill.records import MetricValue
from tidemill.runtime.job import Job
from tidemill.steps.data.extract import rows_as_of
from tidemill.steps.data.features import read_columns
from tidemill.storage.layout import FEATURES
from tidemill.warehouse.predictions.publisher import PublishedRun
from tidemill.warehouse.releases.origins import Origins

__all__ = ["skew_of"]


def skew_of(job: Job, run: PublishedRun, columns: tuple[str, ...]) -> tuple[MetricValue, ...]:
    """Compare the scored rows of a published run with the rows that training would read today.

    Parameters
    ----------
    run : PublishedRun
        Run of a matured partition, so that late data have arrived.
    columns : tuple of str
        Features of the release.
    """
    spec = job.spec
    if not spec.has_time:  # the source no longer has the rows of that day
        return ()
    cutoff = Origins(job.ledger.url).snapshot(spec.model, run.snapshot_digest).cutoff
    interval = spec.partition(run.partition).interval
    now = rows_as_of(job, spec.source.features, interval, cutoff, [spec.entity_key])
    kept = [name for name in columns if name in now.column_names]  # the contract reports missing columns
    path = job.store.folder(run.snapshot_uri, run.snapshot_digest) / FEATURES
    return compare_rows(read_columns(path, [spec.entity_key, *kept]), now, spec.entity_key, tuple(kept))
