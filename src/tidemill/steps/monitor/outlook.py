"""The outlook: what acceptance leaves behind so that quality can be estimated before labels, and change be noticed.

Curves from score to probability, or from predicted value to expected error, and the loss of each partition of the test
set; all from rows that the model was neither fitted nor chosen on.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.metrics import point_value
from tidemill.monitoring.arrival import Arrival
from tidemill.monitoring.change import Change, detect_change
from tidemill.monitoring.estimate import (
    PREFIX,
    calibrated,
    estimate_binary,
    estimate_multiclass,
    estimate_regression,
)
from tidemill.records import CollectedRef, MetricValue
from tidemill.runtime.job import Job
from tidemill.spec import Task
from tidemill.steps.data.features import LabelledSet
from tidemill.steps.monitor.label_arrival import hours_since_end
from tidemill.steps.predict.answers import probabilities_of
from tidemill.warehouse.predictions.publisher import PublishedRun

__all__ = ["LOSSES", "OUTLOOK", "estimate_errors", "estimated", "loss_change", "outlook_of"]

OUTLOOK = "outlook.json"
LOSSES = {Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss", Task.REGRESSION: "mean_absolute_error"}
"""The loss of each task whose lasting rise counts as a change; every row of a partition has a part in it."""

BINS = 10  # of the predicted value, with as many test rows each, in which a regression's errors are averaged


def outlook_of(bundle: Bundle, test: LabelledSet, score: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return what monitoring needs, as JSON types.

    Parameters
    ----------
    bundle : Bundle
        The candidate.
    test : LabelledSet
        The test set.
    score : ndarray
        The candidate's scores on it.
    """
    names = tuple(map(str, bundle.classes)) if bundle.task == "multiclass" else None
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
    return {"losses": known, **_curves(bundle, test.y, score, names)}


def estimated(job: Job, collected: CollectedRef, run: PublishedRun) -> tuple[MetricValue, ...]:
    """Estimate what the partition's predictions are worth; nothing for a release that was accepted without an outlook."""
    outlook = _read(job, collected.evaluation_uri)
    if run.task == "multiclass" and outlook.get("curves"):
        rows = job.publisher.scores(run.prediction_run_id, ("probabilities",))
        score, classes = probabilities_of(rows["probabilities"])
        columns = [calibrated(score[:, at], _knots(outlook["curves"].get(name))) for at, name in enumerate(classes)]
        raised = np.stack(columns, axis=1) if columns else np.empty((0, 0))
        total = raised.sum(axis=1, keepdims=True)
        return estimate_multiclass(score, np.divide(raised, total, out=score.copy(), where=total > 0))
    scores = job.publisher.scores(run.prediction_run_id)["score"].to_numpy()
    if run.task == "binary" and outlook.get("curves"):
        probability = calibrated(scores, _knots(outlook["curves"]["true"]))
        return estimate_binary(scores, probability, threshold=0.5 if run.threshold is None else run.threshold)
    if run.task == "regression" and outlook.get("errors"):
        at = outlook["errors"]["at"]
        return estimate_regression(
            np.interp(scores, at, outlook["errors"]["absolute"]), np.interp(scores, at, outlook["errors"]["squared"])
        )
    return ()


def estimate_errors(estimates: tuple[MetricValue, ...], realised: tuple[MetricValue, ...]) -> tuple[MetricValue, ...]:
    """Return how far an estimate was off, now that the truth is in: realised minus estimated, for each metric.

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


def loss_change(
    job: Job, collected: CollectedRef, runs: Iterable[PublishedRun], arrival: Arrival
) -> tuple[float, Change | None]:
    """Look for a lasting rise of the daily loss since the release went live; NaN if acceptance left nothing to hold it to.

    Partitions that lack labels that are usually there do not count: what comes late is not like what comes in time.
    """
    reference = _read(job, collected.evaluation_uri).get("losses", {})
    loss = LOSSES[job.spec.task]
    served = {run.partition for run in runs if run.release_id == collected.release_id}
    known = job.ledger.metrics(job.spec.model, "performance", loss, until=collected.partition)
    losses = {
        key: values[0].value
        for key, values in known.items()
        if key in served and arrival.has_enough(values[0].label_coverage or 0.0, hours_since_end(job, key))
    }
    return detect_change(losses, list(reference.values()))


def _read(job: Job, uri: str) -> dict[str, Any]:
    path = job.store.path(uri) / OUTLOOK
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return read


def _curves(
    bundle: Bundle, y: npt.NDArray[np.generic], score: npt.NDArray[np.float64], names: tuple[str, ...] | None
) -> dict[str, Any]:
    if bundle.task == "regression":
        return {"errors": _errors(y.astype(np.float64), score)}
    columns = (
        {"true": (y, score)}
        if names is None
        else {name: (y.astype(str) == name, score[:, at]) for at, name in enumerate(names)}
    )
    curves = {name: Calibration.fit("isotonic", truth, column) for name, (truth, column) in columns.items()}
    if any(curve is None for curve in curves.values()):
        return {
            "curves": {}
        }  # a class that the test set lacks has no curve, and no estimate is better than a wrong one
    return {"curves": {name: {"x": curve.x, "y": curve.y} for name, curve in curves.items() if curve is not None}}


def _errors(y: npt.NDArray[np.float64], score: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    """Average the errors in bins of the predicted value; where values tie, bins are fewer."""
    order = np.argsort(score, kind="stable")
    bins = [rows for rows in np.array_split(order, min(BINS, len(order))) if len(rows)]
    error = np.abs(y - score)
    return {
        "at": [float(score[rows].mean()) for rows in bins],
        "absolute": [float(error[rows].mean()) for rows in bins],
        "squared": [float((error[rows] ** 2).mean()) for rows in bins],
    }


def _knots(curve: dict[str, list[float]] | None) -> tuple[list[float], list[float]]:
    return ([0.0], [0.0]) if curve is None else (curve["x"], curve["y"])
