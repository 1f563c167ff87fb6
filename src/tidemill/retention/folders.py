"""Folders on the storage that nothing stands on any more, and what killed processes left."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tidemill.retention.removal import Removal
from tidemill.spec import Retention
from tidemill.storage.cache import Folder, Shelf
from tidemill.warehouse.connections import Cursor, fetch_value, transaction

__all__ = ["DEAD_AFTER", "KINDS", "due_folders", "kept_folders", "last_use", "remove"]

DEAD_AFTER = timedelta(days=1)
"""A step or a temporary folder that is older belongs to a process that died."""

KINDS = {
    "snapshots": "snapshots",
    "scores": "unpublished",
    "splits": "snapshots",
    "searches": "challengers",
    "bundles": "challengers",
    "evaluations": "challengers",
    "reports": "reports",
}
"""Folders of a model on the storage, and the field of `Retention` that limits them once nothing stands on them."""


def kept_folders(cursor: Cursor, model: str, limits: Retention, as_of: datetime, going: Sequence[int] = ()) -> set[str]:
    """Return the URIs of all folders that a kept release or prediction run stands on, whoever's they are.

    Parameters
    ----------
    cursor : cursor
        On the ledger.
    model : str
        Model whose releases the limits are for; those of all other models are kept.
    limits : Retention
        The model's limits.
    as_of : datetime
        Instant that ages are reckoned at.
    going : sequence of int
        Prediction runs that are not to count.
    """
    cursor.execute(
        _KEPT_FOLDERS,
        {
            "model": model,
            "going": list(going),
            "served": as_of - limits.releases,
            "registered": as_of - limits.challengers,
        },
    )
    return {uri for (uri,) in cursor.fetchall() if uri is not None}


def due_folders(
    shelf: Shelf, model: str, limits: Retention, as_of: datetime, kept: set[str], used: dict[str, datetime]
) -> Iterator[tuple[Removal, Folder]]:
    """Return what nothing stands on any more, and what killed processes left: half written, or half deleted."""
    for kind, limit in KINDS.items():
        for folder in shelf.folders(model, kind):
            last = max(folder.written_at, used.get(folder.uri, folder.written_at))
            if not folder.whole:
                due, kind_of, reason = (
                    folder.going or last < as_of - DEAD_AFTER,
                    "leftover",
                    "left by a process that died",
                )
            else:
                due = folder.uri not in kept and last < as_of - getattr(limits, limit)
                kind_of, reason = kind, "nothing that is kept stands on it, last used"
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
    """Remove a folder: the record of its end, a rename, the deletion; unless a step of the model is at work."""
    # A folder's age is by a clock that may have jumped; whether a step is at work is not.
    if not folder.going and _in_use(url, removal.model, started):
        return replace(removal, outcome="busy")
    if not folder.going:  # else the end is on record
        _record(url, removal, folder.written_at)
    if not folder.whole:
        shelf.remove(folder.uri)
        return replace(removal, outcome="collected")
    aside = shelf.set_aside(folder.uri)
    # A step that began in this instant may have found the folder in its place, unless it has written it anew.
    if _in_use(url, removal.model, started) and aside.put_back():
        return replace(removal, outcome="busy")
    aside.remove()
    return replace(removal, outcome="collected")


def _record(url: str, removal: Removal, written_at: datetime) -> None:
    """Append to the audit, unless a collection that was killed afterwards has done so."""
    details = {
        "kind": removal.kind,
        "name": removal.name,
        "size_bytes": removal.size_bytes,
        "reason": removal.reason,
    }
    with transaction(url) as cursor:
        cursor.execute(
            "SELECT tidemill.append_audit('collect', %(model)s, %(details)s) WHERE NOT EXISTS (SELECT FROM tidemill.collected"
            " WHERE model = %(model)s AND name = %(name)s AND collected_at > %(written)s)",
            {"model": removal.model, "details": json.dumps(details), "name": removal.name, "written": written_at},
        )


def _in_use(url: str, model: str, started: datetime) -> bool:
    """Return whether a step of the model is at work, or was since an instant: it may use what nobody used before."""
    with transaction(url) as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM tidemill.run WHERE model = %s AND (greatest(started_at, ended_at) >= %s"
            " OR (status = 'running' AND started_at > clock_timestamp() - %s)))",
            (model, started, DEAD_AFTER),
        )
        return bool(fetch_value(cursor))


def last_use(cursor: Cursor, model: str) -> dict[str, datetime]:
    """Give when a step last spoke of each folder: content that was there already is not written again."""
    cursor.execute(
        "SELECT uri #>> '{}', max(coalesce(ended_at, started_at)) FROM tidemill.run,"
        " jsonb_path_query(result, 'strict $.** ? (@.type() == \"string\" && @ starts with $prefix)', %(vars)s) uri"
        " WHERE model = %(model)s AND result IS NOT NULL GROUP BY 1",
        {"model": model, "vars": json.dumps({"prefix": f"{model}/"})},
    )
    return dict(cursor.fetchall())


_KEPT_FOLDERS = """
WITH live_run AS (
    SELECT model, release_id, snapshot_digest FROM tidemill.prediction_run
    WHERE status <> 'collected' AND prediction_run_id <> ALL(%(going)s::bigint[])
), served AS (
    SELECT release_id, lead(deployed_at) OVER (ORDER BY deployment_id) AS until
    FROM tidemill.deployment WHERE model = %(model)s
), kept AS (
    SELECT r.* FROM tidemill.release r
    WHERE r.model <> %(model)s
       OR r.release_id IN (SELECT release_id FROM tidemill.champion)
       OR r.release_id IN (SELECT d.previous_release_id FROM tidemill.deployment d
                           JOIN tidemill.champion c ON c.model = d.model AND c.release_id = d.release_id)
       OR r.release_id IN (SELECT release_id FROM served WHERE until IS NULL OR until > %(served)s)
       OR r.registered_at > %(registered)s
       OR r.release_id IN (SELECT release_id FROM live_run)
       OR r.release_id::text IN (SELECT name FROM tidemill.held WHERE what = 'release')
)
SELECT bundle_uri FROM kept
UNION SELECT evidence ->> 'uri' FROM kept
UNION SELECT evidence #>> '{bundle,uri}' FROM kept
UNION SELECT uri #>> '{}' FROM kept, jsonb_path_query(evidence, 'lax $.candidates[*].search.uri') uri
UNION SELECT model || '/splits/' || split_digest FROM kept
UNION SELECT s.uri FROM tidemill.snapshot s
      WHERE (s.model, s.digest) IN (SELECT model, snapshot_digest FROM kept UNION SELECT model, snapshot_digest FROM live_run
                                    UNION SELECT model, name FROM tidemill.held WHERE what = 'snapshot')
"""
