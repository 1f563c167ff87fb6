"""Origins: how a release or a prediction run was made, and the results of reproducing it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.errors import NoChampion, NotPublished
from tidemill.records import Reproduction, SnapshotRef
from tidemill.warehouse.connections import fetch_all, fetch_one, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["Origins", "ReleaseOrigin", "RowsOrigin", "ScoredRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOrigin:
    """How a release was made."""

    model: str
    release_id: int
    """Row in ``tidemill.release``."""
    partition: str
    """Partition as of which it was trained."""
    known_until: datetime
    """Cutoff of the training."""
    estimator: str
    bundle_digest: str
    bundle_uri: str
    snapshot_digest: str
    """Digest of its training data."""
    split_digest: str
    """Digest of the three sets."""
    query_digest: str
    spec_digest: str
    code_version: str
    lock_digest: str
    """Digest of the installed packages."""
    evidence: dict[str, Any]
    """Its evaluation report, as JSON types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsOrigin:
    """How the rows of a prediction run were made."""

    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    release_id: int
    partition: str
    """Partition that was scored."""
    cutoff: datetime
    """Instant as of which its features were known."""
    status: str
    """``published``, ``superseded``, …"""
    checksum: str
    """Checksum of the rows when they were written."""
    snapshot_digest: str
    """Digest of the rows that were scored."""
    query_digest: str
    spec_digest: str
    """Digest of the spec that the step ran with."""
    code_version: str
    """Version of the code that it ran with."""
    lock_digest: str
    """Digest of the packages that it ran with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRow:
    """A row of a prediction run."""

    entity_key: str
    score: float


@dataclass(frozen=True, slots=True)
class Origins:
    """The ledger's view of origins."""

    url: str
    """Connection; reading needs any role, recording ``tidemill_writer``."""

    def release(self, model: str, release_id: int) -> ReleaseOrigin:
        """Return the origin of a release.

        Raises
        ------
        NoChampion
            If the model has no such release.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "release_origin", model=model, release_id=release_id)
            found = fetch_one(cursor, ReleaseOrigin)
        if found is None:
            raise NoChampion(f"Model {model!r} has no release {release_id}.", f"See 'tidemill history {model}'.")
        return found

    def rows(self, model: str, prediction_run_id: int) -> RowsOrigin:
        """Return the origin of a prediction run.

        Raises
        ------
        NotPublished
            If the model has no such run, or its rows were never completely written or are gone.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "rows_origin", model=model, prediction_run_id=prediction_run_id)
            found = fetch_one(cursor, RowsOrigin)
        if found is None or found.status in ("writing", "collected"):
            why = "does not exist" if found is None else f"is {found.status}: its rows are not there"
            raise NotPublished(
                f"Prediction run {prediction_run_id} of {model!r} {why}.",
                f"Take one of predictions.{model}: its column prediction_run_id.",
            )
        return found

    def snapshot(self, model: str, digest: str) -> SnapshotRef:
        """Return the snapshot of a release or a prediction run."""
        with transaction(self.url) as cursor:
            execute(cursor, "snapshot", model=model, digest=digest)
            (found,) = fetch_all(cursor, SnapshotRef)  # guaranteed by a foreign key
            return found

    def scored(self, model: str, prediction_run_id: int) -> tuple[ScoredRow, ...]:
        """Return the rows of a prediction run as they are in the table now."""
        with transaction(self.url) as cursor:
            execute(cursor, "scored_rows", model=model, prediction_run_id=prediction_run_id)
            return fetch_all(cursor, ScoredRow)

    def checksum(self, model: str, prediction_run_id: int) -> str:
        """Return the checksum of a prediction run's rows now, computed as by ``tidemill.seal_prediction_run``."""
        with transaction(self.url) as cursor:
            execute(cursor, "checksum", model=model, prediction_run_id=prediction_run_id)
            return str(fetch_value(cursor))

    def document(self, digest: str) -> str | None:
        """Return the text that a digest is of, or None if it was not kept then."""
        with transaction(self.url) as cursor:
            execute(cursor, "document", digest=digest)
            row = cursor.fetchone()
        return None if row is None else bytes(row[0]).decode()

    def reproducible(self, model: str, known_until: datetime) -> tuple[int, ...]:
        """Return the releases that were made here, ever served, knew nothing later than an instant, and are kept."""
        with transaction(self.url) as cursor:
            execute(cursor, "reproducible_releases", model=model, known_until=known_until)
            return tuple(int(row[0]) for row in cursor.fetchall())

    def record(self, done: Reproduction, code_version: str, lock_digest: str, run_id: int) -> int:
        """Record the outcome of a reproduction, and return its number."""
        with transaction(self.url) as cursor:
            execute(
                cursor,
                "insert_reproduction",
                model=done.model,
                release_id=done.release_id,
                prediction_run_id=done.prediction_run_id,
                verdict=done.verdict.value,
                steps=json.dumps([step.to_dict() for step in done.steps]),
                changes=list(done.changes),
                as_declared=done.as_declared,
                code_version=code_version,
                lock_digest=lock_digest,
                run_id=run_id,
            )
            number = int(fetch_value(cursor))
            details = {"reproduction_id": number, "release_id": done.release_id, "verdict": done.verdict.value}
            execute(cursor, "append_audit", event="reproduce", model=done.model, details=json.dumps(details))
            return number
