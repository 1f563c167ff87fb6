"""Records about rows that have changed since they were scored."""

from dataclasses import dataclass

from tidemill.records.figures import Record

__all__ = ["ChangedPartition", "LookedBack", "RowChanges"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChanges(Record):
    """How many rows differ between two snapshots of a partition."""

    n_added: int
    """Rows whose key only the newer one has."""
    n_removed: int
    """Rows whose key only the older one has."""
    n_changed: int
    """Rows with the same key and another value in any column."""

    @property
    def any(self) -> bool:
        """Whether any row differs; the order of rows does not count."""
        return bool(self.n_added or self.n_removed or self.n_changed)

    @property
    def words(self) -> str:
        """The counts as a phrase.

        Examples
        --------
        >>> RowChanges(n_added=1200, n_removed=0, n_changed=3).words
        '1,200 rows added, 0 removed, 3 changed'
        """
        return f"{self.n_added:,} rows added, {self.n_removed:,} removed, {self.n_changed:,} changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPartition(Record):
    """A scored partition whose rows in the source have changed."""

    partition: str
    release_id: int
    """Release that scored it, and scores it again."""
    simulated: bool
    """Whether that release saw data from after the partition's cutoff."""
    snapshot_digest: str
    """Digest of the rows that the source returns now; empty if they cannot be read."""
    found: str
    """What has changed, or why the rows cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedBack(Record):
    """The newest partitions before one, read again."""

    changed: tuple[ChangedPartition, ...]
    """Those to score again, oldest first."""
    unchanged: tuple[str, ...]
    """Keys of the others."""
