"""MLflow's runs: one per training, with a nested run per estimator and per trial.

One request creates a run together with the tag that finds it, so a run whose creation was never answered is reused the next
time. Nested runs are written in parallel, each by a single writer.
"""

import json
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from tidemill.records import MetricValue
from tidemill.tracking.server import Session
from tidemill.tracking.showing import Child, DataUsed, StoragePlace, Training

__all__ = ["experiment_of", "metric_name", "milliseconds", "show"]

TRAINING = "tidemill.training"  # identifies the training's own run
PART_OF = "tidemill.part_of"  # on a nested run: the training
PART = "tidemill.part"  # on a nested run: its place in the training
SHOWN = "tidemill.shown"  # set last: the run is complete

_AT_ONCE = 4  # nested runs written at a time
_PER_BATCH = 90  # of each kind; MLflow accepts 100 parameters or tags, and 1,000 metrics
_MAX_VALUE = 500  # characters of a parameter
_MAX_NOTE = 8000  # characters of a tag
_FORBIDDEN = re.compile(r"[^\w\-./: ]|\.\.|//")  # in the name of a metric; slices may contain any text of the data


def show(session: Session, training: Training, store: StoragePlace) -> str:
    """Show a training, or the missing parts of it, without its model; return the id of its run.

    Parameters
    ----------
    store : StoragePlace
        Storage of its files.
    """
    client, experiment_id = session.client, experiment_of(session, training.model)
    run_id, whole = _parent(session, experiment_id, training)
    if whole:
        return run_id
    _log_facts(session, run_id, training, store)
    for name, text in training.texts.items():
        session.check_time()
        client.log_text(run_id, text, name)
    for path, folder in training.folders.items():
        session.check_time()
        client.log_artifacts(run_id, str(store.root / folder), path)
    _log_children(session, experiment_id, run_id, training)
    client.set_tag(run_id, SHOWN, "whole")
    client.set_terminated(run_id, "FINISHED")
    return run_id


def experiment_of(session: Session, name: str) -> str:
    """Return the id of a model's experiment; create it if it is missing, restore it if it was deleted."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    found = session.client.get_experiment_by_name(name)
    session.check_time()
    if found is None:
        return str(session.client.create_experiment(name))
    if found.lifecycle_stage != "active":  # its name stays taken, so no other can be created
        session.client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _parent(session: Session, experiment_id: str, training: Training) -> tuple[str, bool]:
    found = session.client.search_runs(
        [experiment_id], f"tags.`{TRAINING}` = '{training.key}'", max_results=1, order_by=["attributes.start_time ASC"]
    )
    if found:
        return str(found[0].info.run_id), SHOWN in found[0].data.tags
    session.check_time()
    run = session.client.create_run(
        experiment_id,
        start_time=milliseconds(training.started_at),
        tags={TRAINING: training.key, **training.tags},
        run_name=training.name,
    )
    return str(run.info.run_id), False


def _log_facts(session: Session, run_id: str, training: Training, store: StoragePlace) -> None:
    from mlflow.entities import DatasetInput, RunTag

    session.check_time()
    figures = {name: value for metric in training.metrics for name, value in _flat(metric)}
    _log_batches(session, run_id, training.params, {**figures, **training.system}, {})
    session.client.log_batch(run_id, tags=[RunTag("mlflow.note.content", training.note[:_MAX_NOTE])])
    session.client.log_inputs(run_id, [DatasetInput(*_dataset(data, store)) for data in training.data])


def _dataset(data: DataUsed, store: StoragePlace) -> tuple[Any, Any]:
    """Return a data set as MLflow stores it: name, digest and address of its file, without the rows."""
    from mlflow.entities import Dataset, InputTag

    described = Dataset(
        name=data.name,
        digest=data.digest[:36],  # all that MLflow stores of a data set
        source_type="s3" if store.place.startswith("s3://") else "local",
        source=json.dumps({"uri": f"{store.place}/{data.uri}"}),
        profile=json.dumps({"num_rows": data.n_rows, "sha256": data.digest}),
    )
    return described, [InputTag("mlflow.data.context", data.context)]


def _log_children(session: Session, experiment_id: str, run_id: str, training: Training) -> None:
    """Write the missing nested runs, parents first."""
    known = dict(_known_children(session, experiment_id, training.key))
    ids = {"": run_id} | {path: found for path, (found, _) in known.items()}
    todo = [child for child in training.children if not known.get(child.path, ("", False))[1]]

    def write(child: Child) -> None:
        ids[child.path] = _log_child(session, experiment_id, ids, training, child)

    for depth in sorted({child.path.count("/") for child in todo}):
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(write, [child for child in todo if child.path.count("/") == depth]))


def _known_children(session: Session, experiment_id: str, key: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    token = None
    while token is None or token:
        session.check_time()
        page = session.client.search_runs(
            [experiment_id], f"tags.`{PART_OF}` = '{key}'", max_results=1000, page_token=token
        )
        for run in page:
            yield run.data.tags[PART], (run.info.run_id, run.info.status == "FINISHED")
        token = page.token or ""


def _log_child(session: Session, experiment_id: str, ids: Mapping[str, str], training: Training, child: Child) -> str:
    session.check_time()
    client, run_id = session.client, ids.get(child.path)
    if run_id is None:
        tags = {"mlflow.parentRunId": ids[child.parent], PART_OF: training.key, PART: child.path, **child.tags}
        run_id = client.create_run(
            experiment_id, start_time=milliseconds(child.started_at), tags=tags, run_name=child.path.replace("/", " ")
        ).info.run_id
    _log_batches(session, run_id, child.params, child.metrics, child.steps)
    client.set_terminated(run_id, "FINISHED", end_time=milliseconds(child.started_at) + round(child.seconds * 1000))
    return str(run_id)


def _log_batches(
    session: Session,
    run_id: str,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    steps: Mapping[str, tuple[float, ...]],
) -> None:
    from mlflow.entities import Metric, Param
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    values = [Metric(metric_name(name), value, now, 0) for name, value in metrics.items()]
    values += [Metric(metric_name(name), value, now, at) for name, row in steps.items() for at, value in enumerate(row)]
    settings = [Param(metric_name(name), value[:_MAX_VALUE]) for name, value in params.items()]
    for start in range(0, max(len(values), len(settings)), _PER_BATCH):
        session.check_time()
        part = slice(start, start + _PER_BATCH)
        session.client.log_batch(run_id, metrics=values[part], params=settings[part])


def _flat(metric: MetricValue) -> Iterator[tuple[str, float]]:
    """Return a figure and its interval."""
    name = metric.name if metric.slice is None else f"{metric.name}/{metric.slice}"
    yield name, metric.value
    if metric.low is not None and metric.high is not None:
        yield f"{name}.low", metric.low
        yield f"{name}.high", metric.high


def metric_name(name: str) -> str:
    """Return a name that MLflow accepts.

    Examples
    --------
    >>> metric_name("roc_auc/carrier=9E"), metric_name("f1/city=../Zürich?")
    ('roc_auc/carrier 9E', 'f1/city  /Zürich ')
    """
    cleaned = _FORBIDDEN.sub(" ", name)[:250]
    return cleaned if posixpath.normpath(cleaned) == cleaned else cleaned.replace("/", " ")


def milliseconds(instant: datetime) -> int:
    """Return an instant in milliseconds since 1970, as MLflow expects.

    Examples
    --------
    >>> from datetime import UTC
    >>> milliseconds(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))
    2000
    """
    return round(instant.timestamp() * 1000)
