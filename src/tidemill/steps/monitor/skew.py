"""Skew: rebuild an old partition's rows with their own cutoff, and compare them with what was scored."""

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
    spec = job.spec
    cutoff = Origins(job.ledger.url).snapshot(spec.model, run.snapshot_digest).cutoff
    interval = spec.partition(run.partition).interval
    now = rows_as_of(job, spec.source.features, interval, cutoff, [spec.entity_key])
    kept = [name for name in columns if name in now.column_names]  # one that is gone is the contract's business
    path = job.store.folder(run.snapshot_uri, run.snapshot_digest) / FEATURES
    return compare_rows(read_columns(path, [spec.entity_key, *kept]), now, spec.entity_key, tuple(kept))
