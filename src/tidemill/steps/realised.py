"""Realised quality of a published run: its answers held against the labels that have arrived, whatever the task."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.monitoring.classes import realised_class_quality
from tidemill.monitoring.performance import realised_quality
from tidemill.monitoring.values import realised_value_quality
from tidemill.records import MetricValue
from tidemill.steps.answers import probabilities_of
from tidemill.steps.labels import labelled, labels_as_of
from tidemill.steps.running import Job
from tidemill.warehouse.publishing import PublishedRun

__all__ = ["NEEDED", "measured", "realised"]

NEEDED: Mapping[str, tuple[str, ...]] = {"binary": (), "multiclass": ("probabilities",), "regression": ("low", "high")}
"""Answers that a task's quality is measured by, besides the score."""


def realised(job: Job, run: PublishedRun) -> tuple[MetricValue, ...]:
    """Measure one published run by the labels that are known at the job's cutoff."""
    labels = labels_as_of(job, job.spec.partition(run.partition).interval, job.partition.cutoff)
    rows = job.publisher.scores(run.prediction_run_id, NEEDED[run.task])
    return measured(run, labelled(rows["entity_key"], labels, job.spec), rows)


def measured(run: PublishedRun, y: pa.ChunkedArray, rows: pa.Table) -> tuple[MetricValue, ...]:
    """Measure published rows by their labels.

    Parameters
    ----------
    run : PublishedRun
        The run that the rows are of.
    y : pyarrow.ChunkedArray of shape (n_rows,)
        From `labelled`: null where a label is not known.
    rows : pyarrow.Table
        Scores, and what `NEEDED` names for the task.
    """
    known = pc.is_valid(y)
    return _measured(run, y.filter(known), rows.filter(known), label_coverage=pc.mean(known).as_py() or 0.0)


def _measured(
    run: PublishedRun, truth: pa.ChunkedArray, rows: pa.Table, *, label_coverage: float
) -> tuple[MetricValue, ...]:
    if run.task == "multiclass":
        probabilities, classes = probabilities_of(rows["probabilities"])
        return realised_class_quality(truth.to_pylist(), probabilities, classes, label_coverage=label_coverage)
    if run.task == "regression":
        low, high = (rows[end].to_numpy() for end in ("low", "high"))
        return realised_value_quality(
            truth.to_numpy(), rows["score"].to_numpy(), low, high, label_coverage=label_coverage
        )
    return realised_quality(
        np.asarray(truth.to_numpy()),
        rows["score"].to_numpy(),
        label_coverage=label_coverage,
        threshold=0.5 if run.threshold is None else run.threshold,
    )
