"""Versions: releases in MLflow's registry, created after verifying the digests of a downloaded copy of the model."""

from collections.abc import Callable
from pathlib import Path

from tidemill.errors import ArtifactCorrupt
from tidemill.storage.bundles import load_bundle
from tidemill.storage.bundles.mlflow_model import write_mlflow_model
from tidemill.storage.scratch import temporary
from tidemill.storage.store import Store, digest_folder
from tidemill.tracking import ReleaseTags, Session, ensure_model, ensure_version
from tidemill.workspace import Workspace

__all__ = ["show_model", "show_version"]

_DAMAGED = "damaged"  # no digest


def show_model(session: Session, workspace: Workspace, model: str, run_id: str, bundle: tuple[str, str]) -> str:
    """Show a bundle as the logged model of its training's run; return the logged model's id.

    Parameters
    ----------
    workspace : Workspace
        Workspace with the bundle and its spec.
    bundle : tuple of str
        Folder and digest, from the ledger.

    Raises
    ------
    ArtifactCorrupt
        If the bundle in the storage is missing or damaged.
    """
    uri, digest = bundle
    trusted = workspace.spec(model).train.trusted
    folder = Store.of(workspace).path(uri)
    loaded = load_bundle(folder, digest, trusted)

    def write(target: Path, ids: dict[str, str]) -> None:
        write_mlflow_model(loaded, folder, target, ids)

    return ensure_model(session, run_id, digest, write, _digest_with(digest, trusted), temporary)


def show_version(session: Session, workspace: Workspace, run_id: str, tags: ReleaseTags, bundle_uri: str) -> str:
    """Show a release as a version of its registered model; return the version's number. Raises as `show_model`."""
    model_id = show_model(session, workspace, tags.model, run_id, (bundle_uri, tags.bundle_digest))
    return ensure_version(session, run_id, model_id, tags)


def _digest_with(bundle_digest: str, trusted: frozenset[str]) -> Callable[[Path], str]:
    """Return a function that digests a model's folder, if the bundle in it matches the ledger's digest."""

    def digest(folder: Path) -> str:
        try:
            load_bundle(folder / "data" / bundle_digest, bundle_digest, trusted)
        except ArtifactCorrupt:
            return _DAMAGED
        return digest_folder(folder)

    return digest
