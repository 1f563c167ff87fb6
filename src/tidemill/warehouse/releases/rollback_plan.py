"""What a rollback would change, read without a lock or a write. The role ``tidemill_reader`` is enough."""

from collections.abc import Collection
from dataclasses import dataclass

from tidemill.warehouse.connections import transaction
from tidemill.warehouse.releases.promotion import live_releases, way_back
from tidemill.warehouse.statements import execute

__all__ = ["RollbackPlan", "plan_rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPlan:
    """What a rollback would change as of now."""

    release_id: int
    """Release that would serve."""
    undone: tuple[int, ...]
    """Releases that would count as never live, newest first."""
    restored: tuple[str, ...]
    """Partitions whose earlier run would be visible again."""
    rescored: tuple[str, ...]
    """Partitions without an earlier run, which would be scored again."""
    left: tuple[str, ...]
    """Other partitions, which would keep the rows of releases that are undone."""


def plan_rollback(url: str, model: str, to: int | None, wanted: Collection[str]) -> RollbackPlan:
    """Return what a rollback would change.

    Parameters
    ----------
    to : int or None
        Release to go back to; None for the one before the champion.
    wanted : collection of str
        Partitions whose rows of undone releases are taken back.

    Raises
    ------
    NoChampion
        If there is nothing to go back to.
    """
    with transaction(url) as cursor:
        live = list(live_releases(cursor, model))
        position = way_back(model, live, to)
        execute(cursor, "undone_releases", model=model)
        never_live = [*live[:position], *(release_id for (release_id,) in cursor.fetchall())]
        execute(cursor, "rollback_partitions", model=model, undone=never_live)
        wrong: list[tuple[str, bool]] = cursor.fetchall()
    return RollbackPlan(
        release_id=live[position],
        undone=tuple(live[:position]),
        restored=tuple(key for key, has_earlier in wrong if key in wanted and has_earlier),
        rescored=tuple(key for key, has_earlier in wrong if key in wanted and not has_earlier),
        left=tuple(key for key, _ in wrong if key not in wanted),
    )
