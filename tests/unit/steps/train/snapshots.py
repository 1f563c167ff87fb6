"""Training snapshots without a source: the rows of a test as the extract stores them."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tidemill.intervals import Partition
from tidemill.records import SnapshotRef
from tidemill.storage.layout import FEATURES, LABELS
from tidemill.storage.store import Store
from tidemill.storage.tables import table_writer

__all__ = ["stored_snapshot"]


def stored_snapshot(store: Store, partitions: Sequence[Partition], features: pa.Table, labels: pa.Table) -> SnapshotRef:
    """Write the features and labels of some partitions, as known at the last one's cutoff."""

    def fill(target: Path) -> None:
        for name, table in ((FEATURES, features), (LABELS, labels)):
            with table_writer(target / name, table.schema) as writer:
                writer.write_table(table)

    stored = store.write("m", "snapshots", fill)
    return SnapshotRef(
        model="m",
        purpose="train",
        partition=partitions[-1].key,
        digest=stored.digest,
        uri=stored.uri,
        n_rows=features.num_rows,
        size_bytes=stored.size_bytes,
        start=partitions[0].interval.start,
        end=partitions[-1].interval.end,
        cutoff=partitions[-1].cutoff,
        query_digest="ab",
    )
