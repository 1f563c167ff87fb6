"""Realised quality of a published run: its predictions compared with the known labels, for every task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.metrics.gaps import group_gaps
from tidemill.metrics.rows import Reading
from tidemill.modeling.tasks import task_type
from tidemill.monitoring.performance import realised_quality
from tidemill.records import MetricValue
from tidemill.runtime.job import Job
from tidemill.spec import OBSERVED_AT, ModelSpec
from tidemill.steps.data.folds import in_test_folds
from tidemill.steps.data.label_join import is_joined_by_time, label_positions, source_names
from tidemill.steps.data.labels import labelled, labels_as_of
from tidemill.steps.data.weights import row_weights
from tidemill.steps.monitor.scored_columns import scored_columns, with_column
from tidemill.steps.predict.answers import probabilities_of
from tidemill.warehouse.predictions.publisher import PublishedRun, Publisher

__all__ = ["Outcomes", "measured", "outcomes_of", "realised", "scored_rows", "weights_of"]

NEEDED: Mapping[str, tuple[str, ...]] = {"binary": (), "multiclass": ("probabilities",), "regression": ("low", "high")}
"""Columns besides the score that a task's metrics need."""

SLICED: Mapping[str, tuple[str, ...]] = {
    "binary": ("calibration_gap", "base_rate", "label_coverage"),
    "multiclass": ("accuracy", "label_coverage"),
    "regression": ("mean_error", "label_coverage"),
}
"""Metrics of a slice besides the acceptance metric."""

MOST_SLICES = 20  # most frequent values of a feature, as at acceptance


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """The rows of a published run with their outcomes."""

    run: PublishedRun
    rows: pa.Table
    """From `scored_rows`."""
    y: pa.ChunkedArray
    """Their labels, from `labelled`; null if unknown."""
    observed_at: pa.ChunkedArray
    """Instant at which each label became known; null if unknown."""
    weight: pa.ChunkedArray | None = None
    """How often each row counts, null if its label is unknown; None without ``weight`` in the spec."""

    @property
    def label_coverage(self) -> float:
        """Share of the rows whose label is known, 0 to 1."""
        return pc.mean(pc.is_valid(self.y)).as_py() or 0.0


def outcomes_of(job: Job, run: PublishedRun, labels: pa.Table | None = None) -> Outcomes:
    """Read a published run's rows with the labels that are known at the job's cutoff.

    Parameters
    ----------
    labels : pyarrow.Table, optional
        Labels already read, possibly of other partitions too; by default they are read here.
    """
    if labels is None:
        labels = labels_as_of(job, job.spec.partition(run.partition).interval, job.partition.cutoff)
    rows = scored_rows(job.publisher, run, labels, job.spec)
    y = labelled(rows, labels, job.spec)
    observed = labels[OBSERVED_AT].take(label_positions(rows, labels, job.spec))
    return Outcomes(
        run=run,
        rows=rows,
        y=y,
        observed_at=pc.if_else(pc.is_valid(y), observed, pa.scalar(None, observed.type)),
        weight=weights_of(job, run, rows, labels, y),
    )


def weights_of(
    job: Job, run: PublishedRun, rows: pa.Table, labels: pa.Table, y: pa.ChunkedArray
) -> pa.ChunkedArray | None:
    """Return how often each published row counts, null if its label is unknown; None without ``weight`` in the spec.

    All are null where only a snapshot knew them that retention has removed: there is no figure then.
    """
    weight, known = job.spec.weight, pc.is_valid(y)
    if weight is None:
        return None
    rows = with_column(job, run, rows, weight)
    if weight not in (*rows.column_names, *labels.column_names):
        return pa.chunked_array([pa.nulls(rows.num_rows, pa.float64())])
    return row_weights(rows, labels, job.spec, known)


def scored_rows(publisher: Publisher, run: PublishedRun, labels: pa.Table, spec: ModelSpec) -> pa.Table:
    """Read the rows of a published run: its scores, what the task's metrics need, and the columns that find their labels.

    Without a time, the labels of other rows may have been fitted on, so only the keys of the test folds are read.
    """
    at = ("event_time",) * is_joined_by_time(labels.column_names, spec)
    rows = source_names(publisher.scores(run.prediction_run_id, (*NEEDED[run.task], *at)), spec)
    return rows if spec.has_time else rows.filter(in_test_folds(rows[spec.entity_key], spec))


def realised(job: Job, outcomes: Outcomes) -> tuple[MetricValue, ...]:
    """Measure one published run on its known labels: all rows first, then declared slices, then gaps between groups.

    A slice in which no row counts, since no label is known or all weights are 0, has no figure.
    """
    run, y, rows = outcomes.run, outcomes.y, outcomes.rows
    metric = job.spec.accept.metric if run.task == job.spec.task else None
    kept, counted = (metric, *SLICED[run.task]), _counted(y, outcomes.weight)
    sliced = [
        replace(figure, slice=label)
        for label, members in _slices(_columns(job, outcomes, job.spec.accept.slices))
        if pc.any(counted.filter(members)).as_py()
        for figure in measured(
            run, y.filter(members), rows.filter(members), _filtered(outcomes.weight, members), metric
        )
        if figure.name in kept
    ]
    return (*measured(run, y, rows, outcomes.weight, metric), *sliced, *_gaps(job, outcomes))


def _filtered(weight: pa.ChunkedArray | None, members: pa.ChunkedArray) -> pa.ChunkedArray | None:
    return None if weight is None else weight.filter(members)


def measured(
    run: PublishedRun,
    y: pa.ChunkedArray,
    rows: pa.Table,
    weight: pa.ChunkedArray | None = None,
    metric: str | None = None,
) -> tuple[MetricValue, ...]:
    """Measure published rows by their labels.

    Parameters
    ----------
    y : pyarrow.ChunkedArray of shape (n_rows,)
        From `labelled`; null if a label is unknown.
    rows : pyarrow.Table
        From `scored_rows`.
    weight : pyarrow.ChunkedArray of shape (n_rows,), optional
        From `weights_of`.
    metric : str, optional
        The metric that decides, if it is not one that every model has.
    """
    counted, coverage = _counted(y, weight), pc.mean(pc.is_valid(y)).as_py() or 0.0
    about: dict[str, Any] = {"label_coverage": coverage, "sample_weight": _often(weight, counted), "metric": metric}
    return _measured(run, y.filter(counted), rows.filter(counted), about)


def _counted(y: pa.ChunkedArray, weight: pa.ChunkedArray | None) -> pa.ChunkedArray:
    """Return which rows have a label, and count."""
    return pc.is_valid(y) if weight is None else pc.and_(pc.is_valid(y), pc.fill_null(pc.greater(weight, 0), False))


def _often(weight: pa.ChunkedArray | None, counted: pa.ChunkedArray) -> npt.NDArray[np.float64] | None:
    return None if weight is None else weight.filter(counted).to_numpy()


def _measured(
    run: PublishedRun, truth: pa.ChunkedArray, rows: pa.Table, about: Mapping[str, Any]
) -> tuple[MetricValue, ...]:
    task = task_type(run.task)
    if task.score_per_class:
        probabilities, classes = probabilities_of(rows["probabilities"])
        return realised_quality(
            np.array(truth.to_pylist(), dtype=object),
            probabilities,
            task=run.task,
            classes=classes,
            **about,
        )
    if not task.has_classes:
        low, high = (rows[end].to_numpy() for end in ("low", "high"))
        ends = (low, high) if np.isfinite(low).any() else None
        return realised_quality(truth.to_numpy(), rows["score"].to_numpy(), task=run.task, interval=ends, **about)
    return realised_quality(np.asarray(truth.to_numpy()), rows["score"].to_numpy(), threshold=run.threshold, **about)


def _slices(columns: Mapping[str, pa.ChunkedArray]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Return the rows of each value of the declared slices."""
    for feature, values in columns.items():
        counts = sorted(values.value_counts().to_pylist(), key=lambda item: -item["counts"])[:MOST_SLICES]
        for value in sorted(item["values"] for item in counts):
            yield f"{feature}={value}", pc.equal(values, value)


def _columns(job: Job, outcomes: Outcomes, names: tuple[str, ...]) -> dict[str, pa.ChunkedArray]:
    """Return columns of the published rows as texts; an older snapshot may lack some."""
    found = scored_columns(job, outcomes.run, outcomes.rows, names)
    return {name: pc.fill_null(column.cast(pa.string()), "missing") for name, column in found.items()}


def _gaps(job: Job, outcomes: Outcomes) -> tuple[MetricValue, ...]:
    """Return the gaps between groups of the audit columns, on the rows whose labels are known."""
    known = _counted(outcomes.y, outcomes.weight)
    columns = _columns(job, outcomes, job.spec.audit)
    if not columns or not pc.any(known).as_py():
        return ()
    y, rows = outcomes.y.filter(known), outcomes.rows.filter(known)
    groups = {name: np.array(values.filter(known).to_pylist(), dtype=object) for name, values in columns.items()}
    task = task_type(outcomes.run.task)
    reading: Reading = {"sample_weight": _often(outcomes.weight, known)}
    if not task.score_per_class:
        reading["threshold"] = outcomes.run.threshold if task.has_threshold else None
        return group_gaps(outcomes.run.task, y.to_numpy(), rows["score"].to_numpy(), groups, **reading)
    probabilities, reading["classes"] = probabilities_of(rows["probabilities"])
    return group_gaps(outcomes.run.task, np.array(y.to_pylist(), dtype=object), probabilities, groups, **reading)
