"""What a fit needs of memory and processor with each ``train.engine`` of one machine: ``make bench-memory``.

A made-up split of 20 columns, two of them texts, is written to a folder. Each engine fits XGBoost on it in a process of its
own, which has imported everything before it counts; what is reported is how far resident memory has grown at its peak.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.records import SplitRef
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.train.train import fit_bundle
from tidemill.storage.layout import PARTITION, TARGET
from tidemill.storage.store import Store
from tidemill.workspace import Workspace

ENGINES = ("local", "external_memory")
N_NUMERIC, CHUNK_ROWS, N_ROUNDS = 18, 50_000, 20
ORIGINS = np.array([f"O{number}" for number in range(5)])
CARRIERS = np.array([f"carrier {number}" for number in range(60)])
DAY = datetime(2024, 3, 1, tzinfo=UTC)


def spec(engine: str) -> ModelSpec:
    """Return the spec of a model that is trained with an engine."""
    return ModelSpec.model_validate(
        {
            "model": "bench_memory",
            "task": "binary",
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "m/f.sql", "labels": "m/l.sql"},
            "label": {"column": "late"},
            "features": {
                "numeric": [f"x{number}" for number in range(N_NUMERIC)],
                "categorical": ["origin", "carrier"],
            },
            "train": {"estimators": ["xgboost"], "engine": engine},
        }
    )


def chunk(n_rows: int, seed: int) -> pa.Table:
    """Make some rows: normal numbers, of which three matter, and two categories."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_NUMERIC, n_rows))
    carrier = rng.integers(0, len(CARRIERS), n_rows)
    late = X[0] + 0.7 * X[1] + np.abs(X[2]) + (carrier < 10) + rng.normal(scale=2.0, size=n_rows) > 1.5
    return pa.table(
        {
            "id": np.arange(n_rows) + seed * CHUNK_ROWS,
            "at": pa.array([DAY] * n_rows, pa.timestamp("us", "UTC")),
            **{f"x{number}": values for number, values in enumerate(X)},
            "origin": ORIGINS[rng.integers(0, len(ORIGINS), n_rows)],
            "carrier": CARRIERS[carrier],
            PARTITION: pa.array(["2024-03-01"] * n_rows),
            TARGET: late.astype(np.int8),
        }
    )


def row_bytes() -> float:
    """Return the bytes of a row as Arrow holds it."""
    rows = chunk(1_000, 0)
    return float(rows.nbytes / rows.num_rows)


def write(store: Store, n_rows: int) -> SplitRef:
    """Write a split of a number of train rows, and a tenth as many of validation and test."""
    counts = {"train": n_rows, "validation": n_rows // 10, "test": n_rows // 10}

    def fill(folder: Path) -> None:
        seed = 0
        for name, n in counts.items():
            with pq.ParquetWriter(folder / f"{name}.parquet", chunk(1, 0).schema, write_page_checksum=True) as writer:
                for start in range(0, n, CHUNK_ROWS):
                    writer.write_table(chunk(min(CHUNK_ROWS, n - start), seed))
                    seed += 1

    stored = store.write("bench_memory", "splits", fill)
    return SplitRef(
        snapshot_digest="0" * 64,
        digest=stored.digest,
        uri=stored.uri,
        n_train=n_rows,
        n_validation=counts["validation"],
        n_test=counts["test"],
        n_unlabelled=0,
        n_immature=0,
        train_start=DAY,
        validation_start=DAY,
        test_start=DAY,
        test_end=DAY,
    )


def job(storage: Path, engine: str) -> Job:
    """Return a job that needs no ledger."""

    def refuse(name: str) -> str:
        raise ValueError(f"a fit asks for no connection, and not for {name!r}")

    chosen = spec(engine)
    workspace = Workspace(models=storage, sql=storage, storage=storage, tracking_uri=None, connection=refuse)
    return Job(spec=chosen, partition=chosen.partition("2024-03-02"), workspace=workspace, run_id=0)


def memory(field: str) -> int:
    """Return a line of the process's status, in bytes; the peak that resource usage gives is inherited from the parent."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def fitted(storage: Path, engine: str, split: SplitRef) -> dict[str, Any]:
    """Fit in this process, and return what it took."""
    before, started, processor = memory("VmRSS"), time.perf_counter(), time.process_time()
    ref = fit_bundle(job(storage, engine), split, "xgboost", {"n_rounds": N_ROUNDS})
    return {
        "engine": engine,
        "split": split.to_dict(),
        "n_rows": split.n_train,
        "growth_bytes": memory("VmHWM") - before,
        "digest": ref.digest,
        "validation_score": ref.validation_score,
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - processor,
    }


def measure(storage: Path, engine: str, split: SplitRef) -> dict[str, Any]:
    """Fit in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.memory", "--child", engine, "--storage", str(storage)]
    done = subprocess.run(command, input=json.dumps(split.to_dict()), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[600_000])
    parser.add_argument("--child", choices=ENGINES)
    parser.add_argument("--storage", type=Path)
    chosen = parser.parse_args()
    if chosen.child:
        split = SplitRef.from_dict(json.loads(sys.stdin.read()))
        sys.stdout.write(json.dumps(fitted(chosen.storage, chosen.child, split)))
        return
    sys.stdout.write(
        f"{'rows':>10}  {'engine':<16} {'+MB':>7} {'bytes per row':>13} {'processor s':>12}  {'AUC':<7} bundle\n"
    )
    for n_rows in chosen.rows:
        with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
            split = write(Store(Path(folder)), n_rows)
            for engine in ENGINES:
                found = measure(Path(folder), engine, split)
                grown = found["growth_bytes"]
                sys.stdout.write(
                    f"{n_rows:>10,}  {engine:<16} {grown / 1e6:>7,.0f} {grown / n_rows:>13,.0f} {found['cpu_s']:>12.1f}"
                    f"  {found['validation_score']:.5f} {found['digest'][:12]}\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
