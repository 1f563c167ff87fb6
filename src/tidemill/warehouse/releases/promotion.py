"""Promotion: the statements that lock, read and change the champion, within the caller's transaction."""

import json
from datetime import datetime

from tidemill.errors import LostRace, NoChampion
from tidemill.warehouse.connections import Cursor

__all__ = ["deploy", "live_releases", "lock_champion", "way_back"]


def lock_champion(cursor: Cursor, model: str) -> int | None:
    """Return the champion, and keep everybody else from changing it until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('tidemill.champion', hashtext(%s)))", (model,))
    cursor.execute("SELECT release_id FROM tidemill.champion WHERE model = %s", (model,))
    row = cursor.fetchone()
    return None if row is None else int(row[0])


def live_releases(cursor: Cursor, model: str) -> dict[int, datetime]:
    """Return the releases that are or were live, the champion first, each with the model time from which it serves."""
    cursor.execute(
        "SELECT release_id, live_from FROM tidemill.live WHERE model = %s ORDER BY live_from DESC, deployment_id DESC",
        (model,),
    )
    found: dict[int, datetime] = {}
    for release_id, live_from in cursor.fetchall():
        found.setdefault(release_id, live_from)
    return found


def way_back(model: str, live: list[int], to: int | None) -> int:
    """Return the position of the release to go back to."""
    if not live:
        raise NoChampion(f"Model {model!r} has no champion to roll back.", "Train one first.")
    if to in live:
        return live.index(to)
    if to is None and len(live) > 1:
        return 1
    target = "an earlier one" if to is None else f"release {to}, which was never live"
    raise NoChampion(
        f"Release {live[0]} of {model!r} is the champion, and there is no way back to {target}.",
        f"See 'tidemill history {model}'; to promote a release that was never live, use 'tidemill promote'.",
    )


def deploy(
    cursor: Cursor,
    model: str,
    release_id: int,
    previous: int | None,
    kind: str,
    live_from: datetime,
    by: str,
    reason: str,
) -> int:
    """Write a deployment, and make the champion what is live for the newest partitions; give the champion."""
    cursor.execute(
        "INSERT INTO tidemill.deployment (model, release_id, previous_release_id, kind, live_from, approved_by, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (model, release_id, previous, kind, live_from, by, reason),
    )
    cursor.execute(
        "INSERT INTO tidemill.champion AS c (model, release_id, deployment_id)"
        " SELECT model, release_id, deployment_id FROM tidemill.live WHERE model = %s"
        " ORDER BY live_from DESC, deployment_id DESC LIMIT 1"
        " ON CONFLICT (model) DO UPDATE SET release_id = excluded.release_id, deployment_id = excluded.deployment_id"
        " WHERE c.release_id IS NOT DISTINCT FROM %s RETURNING release_id",
        (model, previous),
    )
    row = cursor.fetchone()
    if row is None:
        raise LostRace(f"The champion of {model!r} was changed in this instant.", "Look at the history and try again.")
    details = {"release_id": release_id, "previous": previous, "by": by, "reason": reason}
    cursor.execute("SELECT tidemill.append_audit(%s, %s, %s)", (kind, model, json.dumps(details)))
    return int(row[0])
