"""How fast a partition is published, against a bare COPY of the same rows: ``make bench-publish``.

In each pair, in alternating order, one side publishes through ``Publisher`` (claim, write, publish: the rows are
visible), the other has the server COPY a binary file of the same rows, all seven columns, into an empty table that
then gets the same key. Both are durable: each ends with a COMMIT.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg2
import pyarrow as pa

from tidemill.records import ReleaseRef, SnapshotRef
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.predictions.rows import ScoredRows

from ..chaos.server import Server

MODEL, PARTITION, START = "bench", "2024-03-01", datetime(2024, 3, 1, tzinfo=UTC)
GOAL = 2.0  # times the bare COPY: issue 3


@dataclass
class Bench:
    """A ledger with one release and one snapshot, and the rows to publish."""

    server: Server
    rows: pa.Table
    folder: Path

    def prepare(self) -> None:
        """Make the ledger's rows that publishing refers to, and the file of the bare COPY."""
        with psycopg2.connect(self.server.url("tidemill_owner")) as owner, owner.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest,
                    uri, n_rows, size_bytes) VALUES (repeat('0', 64), '{MODEL}', 'score', '{PARTITION}', '2024-03-01Z',
                    '2024-03-02Z', '2024-03-01Z', '', '', {self.rows.num_rows}, 0);
                INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence)
                    VALUES ('{MODEL}', '{PARTITION}', 'accept', 'accept', '{{}}', '{{}}');
                INSERT INTO tidemill.registration (model, bundle_digest, bundle_uri, partition, estimator)
                    VALUES ('{MODEL}', repeat('0', 64), '', '{PARTITION}', 'prior');
                INSERT INTO tidemill.judgement (release_id, decision_id, model, snapshot_digest, split_digest, metric,
                    metric_value, evidence, learnt_until, known_until, spec_digest, code_version, lock_digest)
                    VALUES (1, 1, '{MODEL}', repeat('0', 64), '', 'roc_auc', 1, '{{}}', '2024-03-01Z', '2024-03-01Z', '', '',
                    '');"""
            )
        owner.close()
        self.publisher.declare(MODEL, "row_id", "at")
        first = self.publish()
        self.bare_file = self.server.cluster.data / "bench.copy"
        self.server.as_admin(f"COPY tidemill.prediction_run_{first} TO '{self.bare_file}' (FORMAT binary)")

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.server.url("tidemill_writer"))

    def publish(self) -> int:
        release = ReleaseRef(
            model=MODEL,
            release_id=1,
            bundle_digest="0" * 64,
            bundle_uri="",
            snapshot_digest="0" * 64,
            known_until=START,
            partition=PARTITION,
            simulated=False,
        )
        snapshot = SnapshotRef(
            model=MODEL,
            purpose="score",
            partition=PARTITION,
            digest="0" * 64,
            uri="",
            n_rows=self.rows.num_rows,
            size_bytes=0,
            start=START,
            end=START + timedelta(days=1),
            cutoff=START,
            query_digest="",
        )
        token = self.publisher.claim(MODEL, PARTITION, None)
        written = self.publisher.write(
            release, snapshot, ScoredRows(published=self.rows.to_batches()), token=token, threshold=0.5, run_id=None
        )
        self.publisher.publish(written)
        return written.prediction_run_id

    def copy_bare(self) -> None:
        self.server.as_admin("CREATE TABLE tidemill.bare (LIKE tidemill.prediction)")
        self.server.as_admin(f"COPY tidemill.bare FROM '{self.bare_file}' (FORMAT binary)")
        self.server.as_admin("ALTER TABLE tidemill.bare ADD PRIMARY KEY (prediction_run_id, entity_key)")

    def clean(self) -> None:
        """Between two measurements: no old table's pages are left to be written, no worker is vacuuming."""
        self.server.as_admin("DROP TABLE IF EXISTS tidemill.bare")
        self.server.as_admin("CHECKPOINT")


def generate(n_rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    keys = [f"2024-03-01-UA-{number:07}" for number in rng.permutation(n_rows)]
    at = pa.array(START.timestamp() * 1e6 + rng.integers(0, 86_400_000_000, n_rows), pa.float64())
    return pa.table(
        {
            "entity_key": keys,
            "event_time": at.cast(pa.int64()).cast(pa.timestamp("us", "UTC")),
            "score": rng.random(n_rows),
        }
    )


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(bench: Bench, n_pairs: int, say: Callable[[str], object]) -> float:
    pairs: list[tuple[float, float]] = []
    for number in range(n_pairs):
        found = {}
        for side in ("publish", "bare") if number % 2 else ("bare", "publish"):
            bench.clean()
            found[side] = seconds(bench.publish if side == "publish" else bench.copy_bare)
        pairs.append((found["publish"], found["bare"]))
        say(f"  pair {number + 1}: publish {found['publish']:.2f} s, bare COPY and key {found['bare']:.2f} s\n")
    ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    say(f"{bench.rows.num_rows:,} rows, {n_pairs} pairs: publish {ours:.2f} s, bare {bare:.2f} s, ratio {ratio:.2f}\n")
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.start()
            server.create_ledger()
            bench = Bench(server=server, rows=generate(options.rows), folder=Path(folder))
            bench.prepare()
            ratio = measure(bench, options.pairs, sys.stdout.write)
        finally:
            server.remove()
    sys.stdout.write(f"The goal is at most {GOAL}: {'reached' if ratio <= GOAL else 'MISSED'}.\n")
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
