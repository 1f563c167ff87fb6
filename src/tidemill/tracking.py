"""MLflow: where people look at trainings, and a mirror of the registry. The ledger stays the truth.

The only place that imports MLflow, which takes seconds. Everything here may be done again: a training has one
run, found by its tag, and a release has one version.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.time import get_current_time_millis

from tidemill.errors import TrackingUnavailable
from tidemill.records import MetricValue, SnapshotRef

__all__ = ["CHAMPION", "Tracking", "Training"]

CHAMPION = "champion"  # alias of the version that serves
TRAINING = "tidemill.training"  # tag that makes a run findable: one run a training
BUNDLE = "tidemill.bundle_digest"
RELEASE = "tidemill.release_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What MLflow shows of one training."""

    key: str
    """Names the training; logging the same key again changes nothing."""
    name: str
    """Name of the run, e.g. ``2013-07-01 xgboost``."""
    params: Mapping[str, object]
    """Settings."""
    metrics: Sequence[MetricValue]
    """Figures on the test set; intervals become ``<name>.low`` and ``<name>.high``."""
    tags: Mapping[str, str]
    """Digests, versions, verdict."""
    snapshot: SnapshotRef
    """Training data."""
    texts: Mapping[str, str]
    """Pages and cards by file name."""
    folders: Mapping[str, Path]
    """Folders of pictures by artifact path."""
    note: str
    """Description of the run, in Markdown."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """One MLflow server."""

    uri: str
    """Its address."""

    def log_training(
        self, experiment: str, training: Training, bundle_folder: Path, signature: Any, pip: list[str]
    ) -> str:
        """Log a training with its model, and give the run's id.

        Raises
        ------
        TrackingUnavailable
            If the server cannot be reached or refuses.
        """
        with self._session() as client:
            experiment_id = _experiment(client, experiment)
            found = client.search_runs([experiment_id], f"tags.`{TRAINING}` = '{training.key}'", max_results=1)
            if found and found[0].info.status == "FINISHED":
                return str(found[0].info.run_id)
            run_id = str(
                found[0].info.run_id if found else client.create_run(experiment_id, run_name=training.name).info.run_id
            )
            _log_facts(client, run_id, training)
            for name, text in training.texts.items():
                client.log_text(run_id, text, name)
            for path, folder in training.folders.items():
                client.log_artifacts(run_id, str(folder), path)
            with mlflow.start_run(run_id=run_id, log_system_metrics=False):
                mlflow.pyfunc.log_model(
                    name="model", loader_module="tidemill.storage.pyfunc_loader", data_path=str(bundle_folder),
                    signature=signature, pip_requirements=pip,
                )  # fmt: skip
            return run_id

    def mirror_release(self, model: str, run_id: str, release_id: int, bundle_digest: str, *, champion: bool) -> str:
        """Make sure that a release is a registered version, and the alias where it belongs; give the version.

        Raises
        ------
        TrackingUnavailable
            If the server cannot be reached or refuses.
        """
        with self._session() as client:
            if not client.search_registered_models(f"name = '{model}'", max_results=1):
                client.create_registered_model(model, description=f"Releases of {model}; the ledger is the truth.")
            versions = client.search_model_versions(f"name = '{model}'")
            version = next((item.version for item in versions if item.tags.get(RELEASE) == str(release_id)), None)
            if version is None:
                logged = client.get_run(run_id).outputs.model_outputs[-1].model_id
                created = client.create_model_version(
                    model,
                    f"models:/{logged}",
                    run_id,
                    tags={RELEASE: str(release_id), BUNDLE: bundle_digest},
                    model_id=logged,
                )
                version = created.version
            if champion:
                client.set_registered_model_alias(model, CHAMPION, version)
            return str(version)

    @contextmanager
    def _session(self) -> Iterator[MlflowClient]:
        mlflow.set_tracking_uri(self.uri)
        try:
            yield MlflowClient(self.uri)
        except MlflowException as error:
            raise TrackingUnavailable(
                f"MLflow at {self.uri} did not do its part: {str(error).splitlines()[0][:300]}", "It is tried again."
            ) from error


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _log_facts(client: MlflowClient, run_id: str, training: Training) -> None:
    now = get_current_time_millis()
    figures = {name: value for metric in training.metrics for name, value in _flat(metric)}
    tags = {**training.tags, TRAINING: training.key, "mlflow.note.content": training.note}
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in figures.items()],
        params=[Param(name, str(value)[:500]) for name, value in training.params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    snapshot = training.snapshot
    data = Dataset(
        name=f"{snapshot.model} {snapshot.partition}", digest=snapshot.digest[:8], source_type="tidemill",
        source=f'{{"uri": "{snapshot.uri}"}}', profile=f'{{"num_rows": {snapshot.n_rows}}}',
    )  # fmt: skip
    client.log_inputs(run_id, [DatasetInput(data)])


def _flat(metric: MetricValue) -> Iterator[tuple[str, float]]:
    """Give a figure and its interval under names that MLflow allows."""
    name = metric.name if metric.slice is None else f"{metric.name}/{metric.slice.replace('=', ' ')}"
    yield name, metric.value
    if metric.low is not None and metric.high is not None:
        yield f"{name}.low", metric.low
        yield f"{name}.high", metric.high
