"""Compatibility: whether a snapshot's features have the same kinds as in training, and any values at all."""

from pathlib import Path

from tidemill.errors import ContractBroken, SchemaChanged
from tidemill.modeling.feature_kinds import changed_kinds
from tidemill.modeling.schema import FeatureSchema
from tidemill.records import ReleaseRef, SnapshotRef
from tidemill.storage.tables import count_values, read_schema

__all__ = ["refuse_unlike_training"]


def refuse_unlike_training(schema: FeatureSchema, release: ReleaseRef, snapshot: SnapshotRef, path: Path) -> None:
    """Refuse rows that the release would misread; only the file's metadata is read.

    Raises
    ------
    SchemaChanged
        If a feature's kind differs from that in training; lists all of them.
    ContractBroken
        If a feature has no value in any row, and never lacked values for a whole partition in training; lists all of them.
    """
    changed = changed_kinds(schema, read_schema(path))
    subject = f"Partition {snapshot.partition!r} does not fit release {release.release_id} of {release.model!r}"
    if changed:
        raise SchemaChanged(
            f"{subject}: {'; '.join(changed)}.",
            "CAST them back in the features query; if the change is meant, train a release on the new type first.",
        )
    if not schema.kinds or not snapshot.n_rows:
        return
    n_values = count_values(path)
    empty = [name for name in schema.names if n_values.get(name) == 0 and name not in schema.with_gaps]
    if empty:
        raise ContractBroken(
            f"{subject}: feature(s) {', '.join(map(repr, empty))} have no value in any of the {snapshot.n_rows:,} rows; in "
            "training, every partition had some.",
            "Look at the table that they come from, and predict again once it is complete; to do without them, train a "
            "release without them.",
        )
