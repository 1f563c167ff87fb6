"""Alias: MLflow's word for the champion, moved after the ledger's.

The ledger comes first and alone decides. That the alias has to follow is noted on the storage; so if MLflow is down, or
the process dies in between, the daily maintenance or the doctor moves it later.
"""

import logging
from dataclasses import dataclass

from tidemill.errors import StorageFull, StorageRefused, StorageUnavailable, TrackingUnavailable
from tidemill.mlflow_mirror.mirror import WAITING
from tidemill.spec_file import load_sound_specs
from tidemill.storage.store import Store
from tidemill.tracking import ReleaseTags, Session, Tracking, champion_of, ensure_version, point
from tidemill.warehouse.connections import fetch_one, transaction
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Mirrored", "follow", "follow_all", "mirrored_champion", "move_alias", "note_promotion"]

NOTE = "champion"  # file that says that MLflow may call another release the champion than the ledger does
_BUDGET_S = 5.0  # seconds after which no request is begun: somebody waits for the command
_ROUNDS = 3  # times that the alias is set while other promotions go on

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """A champion, and where MLflow shows its training."""

    release_id: int
    """Release that serves."""
    bundle_digest: str
    """Digest of its bundle."""
    mlflow_run_id: str | None
    """Run in MLflow; None if it was never logged."""
    imported: bool = False
    """True if it was trained in another environment, whose MLflow shows it."""


def mirrored_champion(url: str, model: str) -> Mirrored | None:
    """Return the champion as MLflow should show it, or None if the model has none."""
    with transaction(url) as cursor:
        execute(cursor, "mirrored_champion", model=model)
        return fetch_one(cursor, Mirrored)


def move_alias(session: Session, model: str, champion: Mirrored, run_id: str) -> None:
    """Let MLflow's alias name a champion, whose training is a run there."""
    tags = ReleaseTags(release_id=champion.release_id, bundle_digest=champion.bundle_digest)
    point(session, model, ensure_version(session, model, run_id, tags), champion=True)


def note_promotion(workspace: Workspace, model: str) -> None:
    """Note that another release serves, for MLflow; a storage that takes no note is no reason to undo that."""
    if not workspace.tracking_uri:
        return
    try:
        Store.of(workspace).note(_note(model), b"{}")
    except (StorageFull, StorageRefused, StorageUnavailable) as error:
        _log.warning("%s", error.problem)


def follow(workspace: Workspace, model: str) -> bool:
    """Move the alias to the champion, if that is noted and MLflow is there; say whether nothing is left to do."""
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
                    break  # its training waits to be shown, and brings the alias along
                if champion_of(session, model) == str(champion.release_id):
                    break
                move_alias(session, model, champion, champion.mlflow_run_id)
        store.strike(_note(model))
    except (TrackingUnavailable, StorageRefused, StorageUnavailable) as error:
        _log.warning("%s Its alias is moved later; the champion is the ledger's.", error.problem)
        return False
    return True


def follow_all(workspace: Workspace) -> None:
    """Move the aliases that wait, of any model; an MLflow that fails is no failure of ours, and is asked once."""
    for spec in load_sound_specs(workspace.models):
        if not follow(workspace, spec.model):
            return


def _note(model: str) -> str:
    return f"{model}/{WAITING}/{NOTE}"
