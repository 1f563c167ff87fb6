"""Collection of garbage: all models one after the other, and never two collections at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

from tidemill.errors import SettingsError, TransientError
from tidemill.retention.folders import DEAD_AFTER, due_folders, kept_folders, last_use, remove, remove_temporary
from tidemill.retention.ledger_rows import collect_records
from tidemill.retention.removal import Removal
from tidemill.retention.runs import drop_runs, due_runs
from tidemill.spec import ModelSpec
from tidemill.spec_file import load_sound_specs
from tidemill.storage.cache import Shelf
from tidemill.storage.store import Store
from tidemill.warehouse.connections import fetch_value, kept_open, transaction
from tidemill.warehouse.ledger import Ledger
from tidemill.warehouse.lost_runs import LostRun, close_lost_runs
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["close_all_lost_runs", "collect_garbage"]

_LOCK = 4_120_773_561  # any fixed number: two collections at once would interfere


def collect_garbage(
    workspace: Workspace, models: Sequence[str] = (), *, dry_run: bool = False, as_of: datetime | None = None
) -> tuple[Removal, ...]:
    """Remove what the models' retention no longer keeps, after closing the steps whose processes are lost.

    A collection of all models also removes the temporary folders of this machine's dead processes.

    Parameters
    ----------
    models : sequence of str
        Names; all models with a sound spec by default.
    dry_run : bool, default False
        Only report what would be removed.
    as_of : datetime, optional
        Instant at which ages are computed; the database's clock by default.

    Raises
    ------
    SpecError
        If a named model has no sound spec.
    TransientError
        If another collection is running.
    """
    specs = [workspace.spec(name) for name in models] if models else list(load_sound_specs(workspace.models))
    url = workspace.connection(LEDGER)
    with kept_open(), _alone(url):
        if not dry_run:
            close_all_lost_runs(workspace)
        instant = as_of or Ledger(url).now()
        gone = tuple(removal for spec in specs for removal in _collect(workspace, url, spec, instant, dry_run=dry_run))
    if not (dry_run or models):
        remove_temporary(workspace.storage, instant - DEAD_AFTER)
    return gone


def close_all_lost_runs(workspace: Workspace) -> tuple[LostRun, ...]:
    """Close the steps of all models whose processes have died or are frozen, and end what sessions they still have."""
    connections = dict.fromkeys([PROMOTER, *(spec.source.connection for spec in load_sound_specs(workspace.models))])
    others: list[str] = []
    for name in connections:
        with suppress(SettingsError):  # a machine that only probes has fewer connections
            others.append(workspace.connection(name))
    return close_lost_runs(workspace.connection(LEDGER), others)


def _collect(workspace: Workspace, url: str, spec: ModelSpec, as_of: datetime, *, dry_run: bool) -> Iterator[Removal]:
    with transaction(url) as cursor:
        due = due_runs(cursor, spec.model, spec.retention, as_of)
    if dry_run:
        yield from (item.removal for item in due)
    else:
        yield from drop_runs(url, due)
    started = Ledger(url).now()
    with transaction(url) as cursor:
        going = [item.prediction_run_id for item in due] if dry_run else []
        kept = kept_folders(cursor, spec.model, spec.retention, as_of, going)
        used = last_use(cursor, spec.model)
    shelf = Shelf(Store.of(workspace))
    for removal, folder in list(due_folders(shelf, spec.model, spec.retention, as_of, kept, used)):
        yield removal if dry_run else remove(shelf, url, removal, folder, started)
    # Last, since the records of runs show when a folder was last used.
    yield from collect_records(url, spec, as_of, dry_run=dry_run)


@contextmanager
def _alone(url: str) -> Iterator[None]:
    with transaction(url) as cursor:
        execute(cursor, "try_collection_lock", lock=_LOCK)  # held until the connection closes
        if not fetch_value(cursor):
            raise TransientError(
                "Another collection is running.", "Airflow tries it again; from a shell, wait for its end."
            )
    yield
