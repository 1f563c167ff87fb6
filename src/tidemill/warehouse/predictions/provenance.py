"""What made the published partitions: rows, snapshot, query, code and packages, for telling what has changed."""

from dataclasses import dataclass

from tidemill.warehouse.connections import fetch_all, transaction

__all__ = ["Provenance", "provenance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What one published partition was made of."""

    partition: str
    """Key of the partition."""
    n_rows: int
    """Rows."""
    snapshot_uri: str
    """Folder of its snapshot, relative to the storage root."""
    snapshot_digest: str
    """Digest of its snapshot."""
    query_digest: str
    """Digest of the features query."""
    code_version: str
    """Version of the code that scored it."""
    lock_digest: str
    """Digest of the packages that scored it."""


def provenance(url: str, model: str, until: str, *, limit: int) -> tuple[Provenance, ...]:
    """Return the newest published partitions up to a key, the newest first."""
    with transaction(url) as cursor:
        cursor.execute(
            "SELECT p.partition, r.n_rows, s.uri AS snapshot_uri, s.digest AS snapshot_digest, s.query_digest,"
            " step.code_version, step.lock_digest"
            " FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id)"
            " JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)"
            " JOIN tidemill.run step ON step.run_id = r.run_id"
            " WHERE p.model = %s AND p.partition <= %s ORDER BY p.partition DESC LIMIT %s",
            (model, until, limit),
        )
        return fetch_all(cursor, Provenance)
