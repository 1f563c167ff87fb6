"""Provenance of published partitions: rows, snapshot, query, code and packages, to detect what has changed."""

from dataclasses import dataclass

from tidemill.warehouse.connections import fetch_all, transaction
from tidemill.warehouse.statements import execute

__all__ = ["Provenance", "provenance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Inputs of one published partition."""

    partition: str
    n_rows: int
    n_set_aside: int
    """Rows that were set aside instead."""
    snapshot_uri: str
    """Folder of its snapshot, relative to the storage root."""
    snapshot_digest: str
    query_digest: str
    """Digest of the features query."""
    code_version: str
    """Version of the code that scored it."""
    lock_digest: str
    """Digest of the packages that scored it."""


def provenance(url: str, model: str, until: str, *, limit: int) -> tuple[Provenance, ...]:
    """Return the newest published partitions up to a key, the newest first."""
    with transaction(url) as cursor:
        execute(cursor, "published_inputs", model=model, until=until, limit=limit)
        return fetch_all(cursor, Provenance)
