"""Folders on the storage that nothing kept depends on, and what killed processes left."""

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from tidemill.postgres.throwaway import remove_dead_servers
from tidemill.retention.removal import Removal
from tidemill.spec import Retention
from tidemill.storage.cache import Folder, Shelf
from tidemill.storage.scratch import remove_dead
from tidemill.warehouse.connections import Cursor, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["DEAD_AFTER", "KINDS", "due_folders", "kept_folders", "last_use", "remove", "remove_temporary"]

_log = logging.getLogger(__name__)

DEAD_AFTER = timedelta(days=1)
"""A step or a temporary folder that is older belongs to a process that died."""

KINDS = {
    "inputs": "snapshots",
    "snapshots": "snapshots",
    "scores": "unpublished",
    "splits": "snapshots",
    "searches": "challengers",
    "bundles": "challengers",
    "evaluations": "challengers",
    "reports": "reports",
}
"""Kinds of a model's folders, and the field of `Retention` that limits each once nothing depends on it."""


def kept_folders(cursor: Cursor, model: str, limits: Retention, as_of: datetime, going: Sequence[int] = ()) -> set[str]:
    """Return the URIs of all folders that a kept release or prediction run depends on, whatever model they belong to.

    Parameters
    ----------
    cursor : cursor
        On the ledger.
    model : str
        Model whose releases the limits are for; those of all other models are kept.
    as_of : datetime
        Instant at which ages are computed.
    going : sequence of int
        Prediction runs that are about to be removed, and keep nothing.
    """
    execute(
        cursor,
        "kept_folders",
        model=model,
        going=list(going),
        served=as_of - limits.releases,
        registered=as_of - limits.challengers,
    )
    return {uri for (uri,) in cursor.fetchall() if uri is not None}


def due_folders(
    shelf: Shelf, model: str, limits: Retention, as_of: datetime, kept: set[str], used: dict[str, datetime]
) -> Iterator[tuple[Removal, Folder]]:
    """Yield the folders that nothing kept depends on, and what killed processes left half written or half deleted."""
    for kind, limit in KINDS.items():
        for folder in shelf.folders(model, kind):
            last = max(folder.written_at, used.get(folder.uri, folder.written_at))
            if folder.whole:
                due = folder.uri not in kept and last < as_of - getattr(limits, limit)
                kind_of, reason = kind, "nothing that is kept depends on it, last used"
            else:
                due = folder.going or last < as_of - DEAD_AFTER
                kind_of, reason = "leftover", "left by a process that died"
            if due:
                yield (
                    Removal(
                        model=model,
                        kind=kind_of,
                        name=folder.uri,
                        size_bytes=folder.size_bytes,
                        reason=f"{reason} {last:%Y-%m-%d}",
                    ),
                    folder,
                )


def remove(shelf: Shelf, url: str, removal: Removal, folder: Folder, started: datetime) -> Removal:
    """Remove a folder unless a step of the model is running: record it, rename it, delete it."""
    # A folder's age depends on a clock that may have jumped; whether a step is running does not.
    if not folder.going and _in_use(url, removal.model, started):
        return replace(removal, outcome="busy")
    if not folder.going:  # else the end is on record
        _record(url, removal, folder.written_at)
    if not folder.whole:
        shelf.remove(folder.uri)
        return replace(removal, outcome="collected")
    aside = shelf.set_aside(folder.uri)
    # A step that has just begun may have found the folder in its place, unless it has written it again.
    if _in_use(url, removal.model, started) and aside.put_back():
        return replace(removal, outcome="busy")
    aside.remove()
    return replace(removal, outcome="collected")


def remove_temporary(storage: Path, before: datetime) -> None:
    """Remove dead processes' temporary folders from the system's temporary folder and the storage, and those of Postgres.

    Parameters
    ----------
    storage : Path
        Root of the storage.
    before : datetime
        Instant up to which a folder without a lock must be untouched.
    """
    parents = (Path(tempfile.gettempdir()), storage, *storage.glob("*/"), *storage.glob("*/*/"))
    removed = [folder for parent in parents for folder in remove_dead(parent, before)]
    removed += remove_dead_servers()
    for folder in removed:
        _log.info("Removed %s, left by a process that died.", folder)


def _record(url: str, removal: Removal, written_at: datetime) -> None:
    """Append to the audit, unless a collection that was killed afterwards has done so."""
    details = {
        "kind": removal.kind,
        "name": removal.name,
        "size_bytes": removal.size_bytes,
        "reason": removal.reason,
    }
    with transaction(url) as cursor:
        execute(
            cursor,
            "record_collection",
            model=removal.model,
            details=json.dumps(details),
            name=removal.name,
            written=written_at,
        )


def _in_use(url: str, model: str, started: datetime) -> bool:
    """Whether a step of the model is running, or has run since an instant: it may use what was unused before."""
    with transaction(url) as cursor:
        execute(cursor, "model_in_use", model=model, started=started, dead_after=DEAD_AFTER)
        return bool(fetch_value(cursor))


def last_use(cursor: Cursor, model: str) -> dict[str, datetime]:
    """Return when a step last named each folder: content that exists already is not written again."""
    execute(cursor, "last_use", model=model, vars=json.dumps({"prefix": f"{model}/"}))
    return dict(cursor.fetchall())
