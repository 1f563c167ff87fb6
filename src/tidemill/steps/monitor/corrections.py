"""Corrections: measured partitions whose labels, or whose rows, have changed since."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from tidemill.arrow import to_frame
from tidemill.intervals import Interval, key_order
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.label_join import join_columns
from tidemill.steps.data.labels import labels_as_of
from tidemill.warehouse.predictions.measured_labels import MeasuredLabels
from tidemill.warehouse.predictions.publisher import PublishedRun

__all__ = ["corrected", "label_digest", "labels_of", "remember"]

MOST_READ = 100  # newest partitions whose labels are read again, with a query each: 28 days hold 672 hours


def labels_of(job: Job, partition: str) -> pa.Table:
    """Read the labels of a partition that are known at the job's cutoff."""
    return labels_as_of(job, job.spec.partition(partition).interval, job.partition.cutoff)


def label_digest(labels: pa.Table, spec: ModelSpec) -> str:
    """Return a digest of labels and their keys, whatever their order; the time at which they were observed does not count."""
    frame = to_frame(labels.select([*join_columns(labels, spec), spec.label.column]))
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy(np.uint64)
    return hashlib.sha256(np.sort(rows).tobytes()).hexdigest()


def corrected(job: Job, runs: Mapping[str, PublishedRun], before: str) -> Iterator[tuple[PublishedRun, pa.Table]]:
    """Yield the runs within ``monitor.lookback`` that have to be measured again, with their labels.

    A partition that was never measured is left alone: its labels have not changed since.

    Parameters
    ----------
    runs : mapping of str to PublishedRun
        All published runs, by key.
    before : str
        Oldest partition that is measured in any case.
    """
    span = Interval(
        start=job.partition.shift(job.partition.interval.start, -job.spec.monitor.lookback),
        end=job.partition.interval.start,
    )
    within = job.spec.partitions.every.within(span, job.spec.timezone)
    keys = [item.key for item in within if key_order(item.key) < key_order(before)]
    if not keys:
        return
    known = MeasuredLabels(job.ledger.url).known(job.spec.model, keys[0])
    for key in [key for key in keys if key in known and key in runs][-MOST_READ:]:
        labels, run = labels_of(job, key), runs[key]
        if run.task == job.spec.task and known[key] != (run.prediction_run_id, label_digest(labels, job.spec)):
            yield run, labels


def remember(job: Job, run: PublishedRun, labels: pa.Table) -> None:
    """Store what a partition's figures were computed from, once they are in the ledger."""
    MeasuredLabels(job.ledger.url).remember(
        job.spec.model, run.partition, run.prediction_run_id, label_digest(labels, job.spec), job.partition.cutoff
    )
