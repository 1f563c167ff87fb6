"""Promotion: lock, read and change the champion within the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.errors import LostRace, NoChampion
from tidemill.warehouse.connections import Cursor, fetch_value
from tidemill.warehouse.statements import execute

__all__ = ["Promotion", "deploy", "live_releases", "lock_champion", "refuse_older_judgement", "way_back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A release to promote, and the state that the caller expects."""

    release_id: int
    """Release to promote."""
    expected: int | None
    """Champion that the caller compared it with; None if there was none."""
    live_from: datetime
    """Cutoff from which it serves."""
    approved_by: str
    """A person, or ``gate``."""
    reason: str
    """One sentence."""
    kind: str = "promote"
    """``promote``, ``force`` (against the gate's verdict) or ``rollback``."""
    decision_id: int | None = None
    """Judgement that the caller relies on; None to rely on none."""


def lock_champion(cursor: Cursor, model: str) -> int | None:
    """Return the champion, and lock it until the transaction ends."""
    execute(cursor, "lock_champion", model=model)
    champion = fetch_value(cursor)
    return None if champion is None else int(champion)


def live_releases(cursor: Cursor, model: str) -> dict[int, datetime]:
    """Return the releases that are or were live, the champion first, each with the model time from which it serves."""
    execute(cursor, "live_releases", model=model)
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


def refuse_older_judgement(cursor: Cursor, model: str, wanted: Promotion) -> None:
    """Raise if the release has been judged again since the decision that a promotion relies on.

    Raises
    ------
    LostRace
        With the newer decision and its verdict.
    """
    if wanted.decision_id is None:
        return
    execute(cursor, "newest_judgement", model=model, release_id=wanted.release_id)
    for newest, verdict in cursor.fetchall():
        if newest != wanted.decision_id:
            raise LostRace(
                f"Release {wanted.release_id} of {model!r} has been judged again: decision {newest} says"
                f" {verdict.replace('_', ' ')}, and this promotion relies on decision {wanted.decision_id}.",
                "Look at the newest evaluation; then train again or use 'tidemill promote'.",
            )


def deploy(cursor: Cursor, model: str, wanted: Promotion) -> int:
    """Record a deployment, make the release that serves the newest partitions the champion, and return the champion."""
    execute(
        cursor,
        "deploy",
        model=model,
        release_id=wanted.release_id,
        previous=wanted.expected,
        kind=wanted.kind,
        live_from=wanted.live_from,
        approved_by=wanted.approved_by,
        reason=wanted.reason,
    )
    champion = fetch_value(cursor)
    if champion is None:
        raise LostRace(f"The champion of {model!r} has just been changed.", "Look at the history and try again.")
    return int(champion)
