"""Shards: a partition too large for one task is cut by entity key, scored by several tasks, and reassembled.

A shard's scores are kept on the artifact store, so that only a lost shard is scored again. The ledger and publishing
do not depend on shards: one task writes all rows, which become visible at once.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

import pyarrow as pa

from tidemill.errors import IncompletePublish
from tidemill.records import ScoresRef, Shard, SnapshotRef
from tidemill.storage.store import Store
from tidemill.storage.tables import read_batches, read_schema

__all__ = ["SCORES", "cut", "put_together"]

SCORES = "scores.parquet"  # the rows in their published form


def cut(n_rows: int, shard_rows: int) -> tuple[Shard, ...]:
    """Return the fewest shards within a limit, of nearly equal length; at least one.

    Examples
    --------
    >>> [(shard.start, shard.stop) for shard in cut(10, 4)]
    [(0, 3), (3, 6), (6, 10)]
    """
    n_shards = max(1, ceil(n_rows / shard_rows))
    edges = [n_rows * number // n_shards for number in range(n_shards + 1)]
    return tuple(Shard(start=start, stop=stop) for start, stop in pairwise(edges))


def put_together(
    store: Store, snapshot: SnapshotRef, bundle_digest: str, scores: Sequence[ScoresRef], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Return the scores of all shards in the snapshot's order.

    Raises
    ------
    IncompletePublish
        If the shards are not those of the snapshot, each once, were scored by another bundle, or with another spec.
    ArtifactCorrupt
        If the scores of one are missing or have changed.
    """
    ordered = sorted(scores, key=lambda ref: (ref.shard.start, ref.shard.stop))
    starts, stops = ([getattr(ref.shard, edge) for ref in ordered] for edge in ("start", "stop"))
    origins = {(ref.snapshot_digest, ref.bundle_digest) for ref in ordered}
    if [*starts, snapshot.n_rows] != [0, *stops] or origins != {(snapshot.digest, bundle_digest)}:
        raise IncompletePublish(
            f"The shards scored of partition {snapshot.partition!r} of {snapshot.model!r} do not make up its "
            f"{snapshot.n_rows} rows: they are {list(zip(starts, stops, strict=True))}, of {len(origins)} snapshot(s) and "
            "bundle(s).",
            "Nothing was published; clear the run from its task 'cut' on.",
        )
    # All digests are compared before the first row is yielded.
    files = [store.folder(ref.uri, ref.digest) / SCORES for ref in ordered if ref.n_rows]
    answered = {tuple(read_schema(file).names) for file in files}
    if len(answered) > 1:
        raise IncompletePublish(
            f"The shards scored of partition {snapshot.partition!r} of {snapshot.model!r} have different columns, as if the "
            f"spec had changed between them: {' and '.join(str(list(names)) for names in sorted(answered))}.",
            "Nothing was published; clear the run from its task 'cut' on.",
        )
    for file in files:
        yield from read_batches(file, None, batch_rows)
