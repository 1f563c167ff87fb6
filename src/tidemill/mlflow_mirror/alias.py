"""Alias: MLflow's pointer to the champion, moved after the ledger's.

Only the ledger decides, and it changes first. A note on the storage records that the alias must follow. If MLflow is down
or the process dies in between, the daily maintenance or the doctor moves it later.
"""

import logging
from dataclasses import dataclass

from tidemill.errors import (
    ArtifactCorrupt,
    IncompatibleVersions,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    TrackingUnavailable,
)
from tidemill.mlflow_mirror.mirror import WAITING
from tidemill.mlflow_mirror.versions import show_version
from tidemill.spec_file import load_sound_specs
from tidemill.storage.store import Store
from tidemill.tracking import ReleaseTags, Session, Tracking, champion_of, point
from tidemill.warehouse.connections import fetch_one, transaction
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Mirrored", "follow", "follow_all", "mirrored_champion", "move_alias", "note_promotion"]

NOTE = "champion"  # note that MLflow's champion may differ from the ledger's
_BUDGET_S = 5.0  # seconds after which no request starts, because a person waits for the command
_LATER = (TrackingUnavailable, StorageRefused, StorageUnavailable, ArtifactCorrupt, IncompatibleVersions)
_ROUNDS = 3  # attempts to set the alias while other promotions happen

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """A champion, and where MLflow shows its training."""

    release_id: int
    """Release that serves."""
    bundle_digest: str
    bundle_uri: str
    """Folder of its bundle, relative to the storage root."""
    mlflow_run_id: str | None
    """Run in MLflow; None if it was never logged."""
    imported: bool = False
    """True if it was trained in another environment, whose MLflow shows it."""


def mirrored_champion(url: str, model: str) -> Mirrored | None:
    """Return the champion as MLflow should show it, or None if the model has none."""
    with transaction(url) as cursor:
        execute(cursor, "mirrored_champion", model=model)
        return fetch_one(cursor, Mirrored)


def move_alias(session: Session, workspace: Workspace, model: str, champion: Mirrored, run_id: str) -> None:
    """Point MLflow's alias at a champion, after verifying the digests of a downloaded copy of its model.

    Raises
    ------
    ArtifactCorrupt, IncompatibleVersions
        If the bundle in the storage cannot be loaded.
    TrackingUnavailable
        If MLflow does not store the model as sent.
    """
    tags = ReleaseTags(model=model, release_id=champion.release_id, bundle_digest=champion.bundle_digest)
    point(session, model, show_version(session, workspace, run_id, tags, champion.bundle_uri), champion=True)


def note_promotion(workspace: Workspace, model: str) -> None:
    """Note for MLflow that another release serves; a failed note does not undo the promotion."""
    if not workspace.tracking_uri:
        return
    try:
        Store.of(workspace).note(_note(model), b"{}")
    except (StorageFull, StorageRefused, StorageUnavailable) as error:
        _log.warning("%s", error.problem)


def follow(workspace: Workspace, model: str) -> bool:
    """Move the alias to the champion, if a note asks for it and MLflow answers; return whether nothing is left to do."""
    if not workspace.tracking_uri:
        return True
    store = Store.of(workspace)
    try:
        if store.noted(_note(model)) is None:
            return True
        with Tracking(workspace.tracking_uri).session(_BUDGET_S) as session:
            for _ in range(_ROUNDS):
                champion = mirrored_champion(workspace.connection(LEDGER), model)
                if champion is None or champion.mlflow_run_id is None:
                    break  # its training is still waiting, and will bring the alias along
                if champion_of(session, model) == str(champion.release_id):
                    break
                move_alias(session, workspace, model, champion, champion.mlflow_run_id)
        store.strike(_note(model))
    except _LATER as error:
        _log.warning("%s Its alias is moved later; the champion is the ledger's.", error.problem)
        return False
    return True


def follow_all(workspace: Workspace) -> None:
    """Move the waiting aliases of all models; a failure of MLflow is only reported, and ends the round."""
    for spec in load_sound_specs(workspace.models):
        if not follow(workspace, spec.model):
            return


def _note(model: str) -> str:
    return f"{model}/{WAITING}/{NOTE}"
