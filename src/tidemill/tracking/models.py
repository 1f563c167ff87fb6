"""MLflow's logged models: one per training run, complete or absent.

The digest of a model's files is a tag of the model. If a downloaded copy has another digest, the upload was interrupted or
the store has lost something: the files are uploaded again, into the same model. Only a complete model is linked to its run.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tidemill.errors import TrackingUnavailable
from tidemill.tracking.server import Session

__all__ = ["ensure_model"]

BUNDLE = "tidemill.bundle_digest"
CONTENT = "tidemill.content_digest"
"""Tag with the digest of all files of the upload."""

_ADDED = "registered_model_meta"  # file that MLflow's client adds to each downloaded copy of a model
Write = Callable[[Path, dict[str, str]], None]
Digest = Callable[[Path], str]
Scratch = Callable[[], AbstractContextManager[Path]]


def ensure_model(
    session: Session, run_id: str, bundle_digest: str, write: Write, digest: Digest, scratch: Scratch
) -> str:
    """Return the id of a run's logged model, after comparing a downloaded copy with the uploaded files.

    Parameters
    ----------
    bundle_digest : str
        Digest of the bundle in the model.
    write : callable
        Writes the model's files into a new folder, given the ids of model and run.
    digest : callable
        Returns the digest of a folder; raises ArtifactCorrupt if the bundle in it is damaged.
    scratch : callable
        Opens a temporary folder for copies of the model.

    Raises
    ------
    TrackingUnavailable
        If MLflow does not store the files as sent.
    """
    run = _active_run(session, run_id)
    logged = _find(session, run, bundle_digest) or session.client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, tags={BUNDLE: bundle_digest}
    )
    model_id, expected = str(logged.model_id), logged.tags.get(CONTENT)
    if expected is None or _downloaded_digest(session, model_id, digest, scratch) != expected:
        expected = _upload(session, logged, write, digest, scratch)
        if _downloaded_digest(session, model_id, digest, scratch) != expected:
            raise TrackingUnavailable(
                f"MLflow at {session.shown} does not store model {model_id} as sent.",
                "Look at its artifact store.",
            )
    _link(session, run, model_id)
    return model_id


def _active_run(session: Session, run_id: str) -> Any:
    """Return a run, restored if it was deleted: a deleted run accepts no model."""
    session.check_time()
    run = session.client.get_run(run_id)
    if run.info.lifecycle_stage != "active":
        session.client.restore_run(run_id)
    return run


def _find(session: Session, run: Any, bundle_digest: str) -> Any:
    """Return the run's model, or None; the request that created it may never have been answered."""
    session.check_time()
    found = session.client.search_logged_models(
        [run.info.experiment_id], filter_string=f"tags.`{BUNDLE}` = '{bundle_digest}'"
    )
    ours = [item for item in found if item.source_run_id == run.info.run_id]
    return min(ours, key=lambda item: item.creation_timestamp, default=None)


def _upload(session: Session, logged: Any, write: Write, digest: Digest, scratch: Scratch) -> str:
    model_id = str(logged.model_id)
    with scratch() as aside:
        folder = aside / "model"
        write(folder, {"model_id": model_id, "run_id": logged.source_run_id})
        content = digest(folder)
        session.check_time()
        session.client.set_logged_model_tags(model_id, {CONTENT: content})
        session.client.log_model_artifacts(model_id, str(folder))
    return content


def _downloaded_digest(session: Session, model_id: str, digest: Digest, scratch: Scratch) -> str | None:
    """Return the digest of a downloaded copy, or None if MLflow has no files."""
    import mlflow

    session.check_time()
    if not session.client.list_logged_model_artifacts(model_id):
        return None
    with scratch() as aside:
        session.check_time()
        copy = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model_id}", dst_path=str(aside)))
        (copy / _ADDED).unlink(missing_ok=True)
        return digest(copy)


def _link(session: Session, run: Any, model_id: str) -> None:
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    session.check_time()
    session.client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    if model_id not in [item.model_id for item in run.outputs.model_outputs]:
        session.client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, 0)])
