"""The outlook: data stored at acceptance to estimate quality before labels arrive and to detect change.

It contains curves from score to probability with their error, and for each partition of the test set the loss and the
part of it that the curves did not predict. All come from rows used neither to fit nor to choose the model.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.metrics import point_value
from tidemill.modeling.tasks import task_type
from tidemill.monitoring.arrival import Arrival
from tidemill.monitoring.calibration import CalibrationCurve, fit_curve
from tidemill.monitoring.change import Change, detect_change
from tidemill.monitoring.estimate import PREFIX, estimate_binary, estimate_multiclass
from tidemill.records import CollectedRef, MetricValue
from tidemill.runtime.job import Job
from tidemill.spec import Task
from tidemill.steps.data.features import LabelledSet
from tidemill.steps.monitor.label_arrival import hours_since_end
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

OUTLOOK = "outlook.json"
LOSSES = {Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss", Task.REGRESSION: "mean_absolute_error"}
"""Loss of each task whose lasting rise counts as a change; a mean over all rows of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLoss:
    """The daily loss whose lasting rise counts as a change."""

    loss: str
    """Name of the loss."""
    beyond_estimate: bool
    """Whether it is the part that the estimate did not predict."""
    reference: tuple[float, ...]
    """Its values in the partitions of the test set."""

    @property
    def figure(self) -> str:
        """Name of its figure in the ledger."""
        return f"{self.loss}_estimate_error" if self.beyond_estimate else self.loss


def outlook_of(bundle: Bundle, test: LabelledSet, score: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the outlook for monitoring as JSON types.

    Parameters
    ----------
    bundle : Bundle
        The candidate.
    test : LabelledSet
        The test set.
    score : ndarray
        The candidate's scores on it.
    """
    names = bundle.class_names
    loss = LOSSES[Task(bundle.task)]
    losses = {
        str(key): point_value(
            loss,
            test.y[test.blocks == key],
            score[test.blocks == key],
            bundle.threshold,
            task=bundle.task,
            classes=names,
        )
        for key in np.unique(test.blocks)
    }
    known = {key: value for key, value in losses.items() if np.isfinite(value)}
    curves = _curves(bundle, test.y, score, names)
    excess = {
        key: value - _expected_loss(loss, score[test.blocks.astype(str) == key], curves["curves"], names)
        for key, value in known.items()
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
    if task_type(run.task).score_per_class:
        rows = job.publisher.scores(run.prediction_run_id, ("probabilities",))
        score, classes = probabilities_of(rows["probabilities"])
        return _estimate_classes(score, curves, tuple(classes))
    scores = job.publisher.scores(run.prediction_run_id)["score"].to_numpy()
    return _estimate_two(scores, curves, 0.5 if run.threshold is None else run.threshold)


def _estimate_two(
    score: npt.NDArray[np.float64], curves: Mapping[str, Any], threshold: float
) -> tuple[MetricValue, ...]:
    curve = CalibrationCurve.from_json(curves["true"])
    return estimate_binary(score, curve.probability(score), threshold=threshold, deviations=curve.deviations(score))


def _estimate_classes(
    score: npt.NDArray[np.float64], curves: Mapping[str, Any], classes: tuple[str, ...]
) -> tuple[MetricValue, ...]:
    """Estimate with a curve per class; a class without one keeps its scores."""
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
    return estimate_multiclass(score, probability, deviations=deviations)


def _expected_loss(
    loss: str, score: npt.NDArray[np.float64], curves: Mapping[str, Any], names: tuple[str, ...] | None
) -> float:
    figures = _estimate_two(score, curves, 0.5) if names is None else _estimate_classes(score, curves, names)
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
    reference = excess or outlook.get("losses", {})
    return WatchedLoss(loss=loss, beyond_estimate=bool(excess), reference=tuple(reference.values()))


def loss_change(
    job: Job, watched: WatchedLoss, served: Iterable[str], until: str, arrival: Arrival
) -> tuple[float, Change | None]:
    """Detect a lasting rise of the daily loss since the promotion; NaN if acceptance stored no reference.

    Partitions that lack usual labels do not count, since late labels differ from timely ones.

    Parameters
    ----------
    job : Job
        The job.
    watched : WatchedLoss
        The loss.
    served : iterable of str
        Partitions that the release served.
    until : str
        Newest partition to examine.
    arrival : Arrival
        How labels arrive.
    """
    known, keys = job.ledger.metrics(job.spec.model, "performance", watched.figure, until=until), set(served)
    losses = {
        key: values[0].value
        for key, values in known.items()
        if key in keys and arrival.has_enough(values[0].label_coverage or 0.0, hours_since_end(job, key))
    }
    return detect_change(losses, watched.reference)


def _read(job: Job, uri: str) -> dict[str, Any]:
    path = job.store.path(uri) / OUTLOOK
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return read


def _curves(
    bundle: Bundle, y: npt.NDArray[np.generic], score: npt.NDArray[np.float64], names: tuple[str, ...] | None
) -> dict[str, Any]:
    if not bundle.task_type.has_classes:
        return {"curves": {}}
    columns = (
        {"true": (y, score)}
        if names is None
        else {name: (y.astype(str) == name, score[:, at]) for at, name in enumerate(names)}
    )
    curves = {name: fit_curve(truth, column) for name, (truth, column) in columns.items()}
    if any(curve is None for curve in curves.values()):
        return {"curves": {}}  # a class is missing from the test set: no estimate is better than a wrong one
    return {"curves": {name: curve.to_dict() for name, curve in curves.items() if curve is not None}}
