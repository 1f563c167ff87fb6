"""The outlook: data stored at acceptance to estimate quality before labels arrive and to detect change.

It contains curves from score to probability with their error, and for each day of the test set, or longer partition, the
loss and the part of it that the curves did not predict. All come from rows used neither to fit nor to choose the model.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.intervals import day_of
from tidemill.metrics.evaluation import point_value
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.tasks import task_type
from tidemill.monitoring.arrival import Arrival
from tidemill.monitoring.calibration import CalibrationCurve, fit_curve
from tidemill.monitoring.change import Change, detect_change
from tidemill.monitoring.estimate import PREFIX, estimate_binary, estimate_multiclass
from tidemill.monitoring.recent import mean_of_hours
from tidemill.records import CollectedRef, MetricValue
from tidemill.runtime.job import Job
from tidemill.spec import Task
from tidemill.steps.data.features import LabelledSet
from tidemill.steps.data.label_join import source_names
from tidemill.steps.data.weights import row_weights
from tidemill.steps.findings.days import whole_days
from tidemill.steps.monitor.label_arrival import hours_since_end
from tidemill.steps.monitor.scored_columns import with_column
from tidemill.steps.predict.answers import probabilities_of
from tidemill.warehouse.predictions.publisher import PublishedRun

__all__ = [
    "LOSSES",
    "OUTLOOK",
    "WatchedLoss",
    "estimate_errors",
    "estimated",
    "loss_change",
    "outlook_of",
    "watched_loss",
]

Weights = npt.NDArray[np.float64] | None
Scores = tuple[npt.NDArray[np.float64], Weights]
"""Scores, and how often each row counts."""

OUTLOOK = "outlook.json"
LOSSES = {Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss", Task.REGRESSION: "mean_absolute_error"}
"""Loss of each task whose lasting rise counts as a change; a mean over all rows of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLoss:
    """The daily loss whose lasting rise counts as a change."""

    loss: str
    beyond_estimate: bool
    """Whether it is the part that the estimate did not predict."""
    reference: tuple[float, ...]
    """Its values on the days of the test set, or in longer partitions."""

    @property
    def figure(self) -> str:
        """Name of its figure in the ledger."""
        return f"{self.loss}_estimate_error" if self.beyond_estimate else self.loss


def outlook_of(
    bundle: Bundle, test: LabelledSet, score: npt.NDArray[np.float64], *, weights_known: bool = True
) -> dict[str, Any]:
    """Return the outlook for monitoring as JSON types.

    Parameters
    ----------
    score : ndarray
        The candidate's scores on it.
    weights_known : bool, default True
        Whether what a row weighs is known before its label; if not, there is no estimate.
    """
    names = bundle.class_names
    loss = LOSSES[Task(bundle.task)]
    days = np.array([day_of(str(key)) for key in test.blocks])
    losses = {
        str(day): point_value(
            loss,
            test.y[days == day],
            score[days == day],
            bundle.threshold,
            task=bundle.task,
            classes=names,
            sample_weight=test.weight_of(days == day),
        )
        for day in np.unique(days)
    }
    known = {key: value for key, value in losses.items() if np.isfinite(value)}
    curves = _curves(bundle, test, score, names) if weights_known else {"curves": {}}
    excess = {
        day: value - _expected_loss(loss, (score[days == day], test.weight_of(days == day)), curves["curves"], names)
        for day, value in known.items()
        if curves["curves"]
    }
    return {"losses": known, "excess": excess, **curves}


def estimated(job: Job, collected: CollectedRef, run: PublishedRun) -> tuple[MetricValue, ...]:
    """Estimate the quality of the partition's predictions; empty for a release without an outlook.

    The quality of a regression is not estimated: its errors depend on features that the prediction does not show.
    """
    curves = _read(job, collected.evaluation_uri).get("curves")
    if not curves:
        return ()
    several = task_type(run.task).score_per_class
    rows = job.publisher.scores(run.prediction_run_id, ("probabilities",) if several else ())
    weight = job.spec.weight
    if weight is not None:
        rows = with_column(job, run, source_names(rows, job.spec), weight)
    if weight is not None and weight not in rows.column_names:  # it is known with the label
        return ()
    rows, often = _weighted(job, rows)
    if several:
        score, classes = probabilities_of(rows["probabilities"])
        return _estimate_classes((score, often), curves, tuple(classes))
    return _estimate_two((rows["score"].to_numpy(), often), curves, 0.5 if run.threshold is None else run.threshold)


def _weighted(job: Job, rows: pa.Table) -> tuple[pa.Table, Weights]:
    """Return the rows that count, and how often."""
    column = row_weights(rows, None, job.spec, pa.array(np.ones(rows.num_rows, dtype=bool)))
    if column is None:
        return rows, None
    counted = pc.greater(column, 0)
    return rows.filter(counted), column.filter(counted).to_numpy()


def _estimate_two(rows: Scores, curves: Mapping[str, Any], threshold: float) -> tuple[MetricValue, ...]:
    curve, (score, often) = CalibrationCurve.from_json(curves["true"]), rows
    return estimate_binary(
        score,
        curve.probability(score),
        threshold=threshold,
        deviations=curve.deviations(score),
        sample_weight=often,
    )


def _estimate_classes(rows: Scores, curves: Mapping[str, Any], classes: tuple[str, ...]) -> tuple[MetricValue, ...]:
    """Estimate with a curve per class; a class without one keeps its scores."""
    score, often = rows
    if not len(score):
        return estimate_multiclass(np.empty((0, 0)), np.empty((0, 0)))
    fitted = [CalibrationCurve.from_json(curves[name]) if name in curves else None for name in classes]
    n_directions = max((len(curve.error) for curve in fitted if curve is not None), default=0)
    raised, deviations = score.copy(), np.zeros((n_directions, *score.shape))
    for at, curve in enumerate(fitted):
        if curve is not None:
            raised[:, at] = curve.probability(score[:, at])
            deviations[: len(curve.error), :, at] = curve.deviations(score[:, at])
    total = raised.sum(axis=1, keepdims=True)
    probability = np.divide(raised, total, out=score.copy(), where=total > 0)
    return estimate_multiclass(score, probability, deviations=deviations, sample_weight=often)


def _expected_loss(loss: str, rows: Scores, curves: Mapping[str, Any], names: tuple[str, ...] | None) -> float:
    figures = _estimate_two(rows, curves, 0.5) if names is None else _estimate_classes(rows, curves, names)
    return next(item.value for item in figures if item.name == PREFIX + loss)


def estimate_errors(estimates: tuple[MetricValue, ...], realised: tuple[MetricValue, ...]) -> tuple[MetricValue, ...]:
    """Return the error of an estimate once labels have arrived: realised minus estimated, for each metric.

    Parameters
    ----------
    estimates, realised : tuple of MetricValue
        Figures of one partition.

    Returns
    -------
    tuple of MetricValue
        ``<metric>_estimate_error``, 0 where the estimate was right.
    """
    known = {item.name.removeprefix(PREFIX): item.value for item in estimates if np.isfinite(item.value)}
    return tuple(
        MetricValue(
            name=f"{item.name}_estimate_error",
            value=item.value - known[item.name],
            n=item.n,
            label_coverage=item.label_coverage,
        )
        for item in realised
        if item.name in known and item.slice is None and np.isfinite(item.value)
    )


def watched_loss(job: Job, collected: CollectedRef) -> WatchedLoss:
    """Return the loss to monitor: if it is estimated, the part that the estimate did not predict."""
    outlook, loss = _read(job, collected.evaluation_uri), LOSSES[job.spec.task]
    excess = outlook.get("excess") or {}
    by_day: dict[str, list[float]] = {}
    for key, value in (excess or outlook.get("losses", {})).items():  # an older evaluation has the hours of a day
        by_day.setdefault(day_of(key), []).append(value)
    return WatchedLoss(loss=loss, beyond_estimate=bool(excess), reference=tuple(map(fmean, by_day.values())))


def loss_change(
    job: Job, watched: WatchedLoss, served: Iterable[str], until: str, arrival: Arrival
) -> tuple[float, Change | None]:
    """Detect a lasting rise of the daily loss since the promotion; NaN if acceptance stored no reference.

    Partitions that lack usual labels do not count, since late labels differ from timely ones. Hours of one day are one loss.

    Parameters
    ----------
    served : iterable of str
        Partitions that the release served.
    until : str
        Newest partition to examine.
    """
    known, keys = job.ledger.metrics(job.spec.model, "performance", watched.figure, until=until), set(served)
    found = {
        key: values[0]
        for key, values in known.items()
        if key in keys and arrival.has_enough(values[0].label_coverage or 0.0, hours_since_end(job, key))
    }
    losses = {
        day: loss.value
        for day, hours in whole_days(job.spec, found).items()
        if (loss := mean_of_hours([found[key] for key in hours])) is not None
    }
    return detect_change(losses, watched.reference)


def _read(job: Job, uri: str) -> dict[str, Any]:
    path = job.store.path(uri) / OUTLOOK
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return read


def _curves(
    bundle: Bundle, test: LabelledSet, score: npt.NDArray[np.float64], names: tuple[str, ...] | None
) -> dict[str, Any]:
    y = test.y
    if not bundle.task_type.has_classes:
        return {"curves": {}}
    columns = (
        {"true": (y, score)}
        if names is None
        else {name: (y.astype(str) == name, score[:, at]) for at, name in enumerate(names)}
    )
    curves = {name: fit_curve(truth, column, test.sample_weight) for name, (truth, column) in columns.items()}
    if any(curve is None for curve in curves.values()):
        return {"curves": {}}  # a class is missing from the test set: no estimate is better than a wrong one
    return {"curves": {name: curve.to_dict() for name, curve in curves.items() if curve is not None}}
