"""Revisions: the runs that a newer reading of the source is compared with, and the rows in which a run differs."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.faults import fault_point
from tidemill.records import RowChanges
from tidemill.warehouse.connections import fetch_all, transaction
from tidemill.warehouse.statements import execute

__all__ = ["Revisions", "SettledRun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledRun:
    """A run that readers see, that waits for a person, or that a person has discarded."""

    partition: str
    """Key of the partition."""
    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    release_id: int
    """Release that scored."""
    simulated: bool
    """Whether the release saw data from after the partition's cutoff."""
    status: str
    """``published``, ``withheld`` or ``discarded``."""
    snapshot_digest: str
    """Rows that were scored."""
    snapshot_uri: str
    """Their folder, relative to the storage root."""
    query_digest: str
    """Digest of the features query."""
    cutoff: datetime
    """Instant as of which they were known."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The writer's view of settled runs and their differences."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def settled(self, model: str, first: str) -> tuple[SettledRun, ...]:
        """Return the settled runs of a model from a partition on, in order of partition and age."""
        with transaction(self.url) as cursor:
            execute(cursor, "settled_runs", model=model, first=first)
            return fetch_all(cursor, SettledRun)

    def record(self, prediction_run_id: int, replaces: int, changes: RowChanges) -> None:
        """Record in which rows a run differs from the visible one; a second call changes nothing."""
        with transaction(self.url) as cursor:
            execute(
                cursor,
                "insert_revision",
                prediction_run_id=prediction_run_id,
                replaces=replaces,
                n_added=changes.n_added,
                n_removed=changes.n_removed,
                n_changed=changes.n_changed,
            )
            fault_point("revision-before-commit")
        fault_point("revision-after-commit")
