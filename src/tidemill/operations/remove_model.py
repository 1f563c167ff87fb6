"""Remove a model: its view and predictions, its rows in the ledger, its files, and what MLflow shows of it.

Each part may be killed at any instant, and the whole run again. The ledger goes first: predictions in batches, since a
transaction holds the locks of all tables that it drops, then all rows at once with an event in the audit, which stays.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from psycopg2.errors import DependentObjectsStillExist

from tidemill.errors import FatalError, SettingsError
from tidemill.faults import fault_point
from tidemill.record import Record
from tidemill.storage.store import Store
from tidemill.tracking import Tracking
from tidemill.tracking.removal import delete_model, shown_versions
from tidemill.warehouse.connections import fetch_one, fetch_value, transaction
from tidemill.warehouse.releases.holds import Holds
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Removable", "dags_of", "removable", "remove_model"]

_AT_ONCE = 100  # tables dropped in one transaction; each takes about four of some 6,400 locks
_DEAD_AFTER = timedelta(days=1)  # a step that has run for longer belongs to a process that died


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable(Record):
    """One part of a model, and how much there is of it."""

    what: str
    where: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """What the ledger has about a model."""

    n_published: int
    n_prediction_runs: int
    n_releases: int
    n_steps: int
    n_figures: int
    n_running: int
    declared: bool


def removable(workspace: Workspace, model: str) -> tuple[Removable, ...]:
    """Return what a removal would remove, without what there is nothing of.

    Raises
    ------
    TrackingUnavailable
        If MLflow does not answer.
    """
    return tuple(part for part in _parts(workspace, model) if part.n)


def dags_of(workspace: Workspace, model: str) -> tuple[str, ...]:
    """Return the DAGs that have run a model's steps. Airflow keeps their runs, also when their file is gone."""
    with transaction(workspace.connection(LEDGER)) as cursor:
        execute(cursor, "dags_of_model", model=model)
        return tuple(str(row[0]) for row in cursor.fetchall())


def remove_model(workspace: Workspace, owner_url: str, model: str, *, by: str, reason: str) -> None:
    """Remove everything that `removable` lists.

    Parameters
    ----------
    owner_url : str
        Connection of the role that owns the ledger.
    model : str
        Name; its spec has to be gone.

    Raises
    ------
    FatalError
        If the spec is still there, a step runs, something is held, or a view of somebody depends on the model's.
    TrackingUnavailable
        If MLflow does not answer; the rest is gone, and running it again removes what MLflow has.
    """
    _refuse_if_in_use(workspace, model)
    found = [part.to_dict() for part in removable(workspace, model)]
    if _extent(workspace, model).declared or any(part["where"] == "ledger" for part in found):
        _drop_predictions(owner_url, model)
        details = json.dumps({"by": by, "reason": reason, "removed": found})
        with transaction(owner_url) as cursor:
            execute(cursor, "remove_model", model=model, details=details)
            fault_point("remove-model-before-commit")
    fault_point("remove-model-ledger")
    store = Store.of(workspace)
    if store.bucket is not None:
        store.bucket.remove(model)
    if (store.root / model).exists():
        shutil.rmtree(store.root / model)
    fault_point("remove-model-files")
    if workspace.tracking_uri:
        with Tracking(workspace.tracking_uri).session() as session:
            delete_model(session, model)


def _parts(workspace: Workspace, model: str) -> Iterator[Removable]:
    extent, store = _extent(workspace, model), Store.of(workspace)
    yield Removable(what="published partitions", where=f"view predictions.{model}", n=extent.n_published)
    yield Removable(what="prediction runs", where="ledger", n=extent.n_prediction_runs)
    yield Removable(what="releases", where="ledger", n=extent.n_releases)
    yield Removable(what="executions of steps", where="ledger", n=extent.n_steps)
    yield Removable(what="figures", where="ledger", n=extent.n_figures)
    files = [path for path in (store.root / model).rglob("*") if path.is_file()]
    yield Removable(what="files", where=str(store.root / model), n=len(files))
    if store.bucket is not None:
        yield Removable(what="objects", where=f"{store.place}/{model}", n=sum(1 for _ in store.bucket.items(model)))
    if workspace.tracking_uri:
        with Tracking(workspace.tracking_uri).session() as session:
            yield Removable(what="versions", where=f"MLflow at {session.shown}", n=shown_versions(session, model))


def _extent(workspace: Workspace, model: str) -> _Extent:
    with transaction(workspace.connection(LEDGER)) as cursor:
        execute(cursor, "model_extent", model=model, dead_after=_DEAD_AFTER)
        found = fetch_one(cursor, _Extent)
    assert found is not None  # one row, whatever the tables hold
    return found


def _refuse_if_in_use(workspace: Workspace, model: str) -> None:
    spec = workspace.models / f"{model}.yaml"
    if spec.exists():
        raise FatalError(f"{spec} still declares {model!r}, and its DAGs would begin again.", "Delete the file first.")
    if n_running := _extent(workspace, model).n_running:
        raise FatalError(f"{n_running} step(s) of {model!r} are running.", "Wait for their end, or stop them.")
    if held := Holds(workspace.connection(LEDGER)).held(model):
        names = ", ".join(f"{item.what} {item.name}" for item in held)
        raise FatalError(f"{names} of {model!r} is held.", "End that with 'tidemill unhold', or keep the model.")


def _drop_predictions(owner_url: str, model: str) -> None:
    while True:
        try:
            with transaction(owner_url) as cursor:
                execute(cursor, "drop_prediction_tables", model=model, at_most=_AT_ONCE)
                n_dropped = int(fetch_value(cursor))
        except DependentObjectsStillExist as error:
            needs = (error.diag.message_detail or "").replace("\n", "; ")
            raise SettingsError(
                f"Something else reads predictions.{model}: {needs}.",
                "Drop or change it first; nothing is removed yet.",
            ) from None
        fault_point("remove-model-tables")
        if not n_dropped:
            return
