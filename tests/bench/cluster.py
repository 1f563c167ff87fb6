"""A real Dask cluster on this machine, and what a training on it takes: ``make bench-dask``.

Scheduler and workers are processes of their own on 127.0.0.1; a worker that goes beyond its memory limit is killed. The
train set is a number of times as large, as Arrow holds it, as what one worker may use.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import distributed

from tidemill.machine.polling import until
from tidemill.metrics.evaluation import point_value
from tidemill.records import BundleRef, SplitRef
from tidemill.steps.data.features import read_set
from tidemill.steps.train.train import fit_bundle
from tidemill.storage.bundles import load_bundle
from tidemill.storage.store import Store

from . import memory

LIMIT_MB, TIMES = 1100, 4.0
START_S, END_S = 120.0, 30.0


@contextmanager
def cluster(storage: Path, n_workers: int, limit_mb: int = LIMIT_MB) -> Iterator[str]:
    """Start a scheduler and workers that read a storage; return the scheduler's address."""
    with tempfile.TemporaryDirectory(prefix="tidemill-dask-") as folder:
        found = Path(folder) / "scheduler.json"
        common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(found)]
        processes = [_start("scheduler", folder, storage, [*common, "--port", "0"])]
        try:
            assert until(found.is_file, START_S), (Path(folder) / "scheduler.log").read_text()
            more = ["--nworkers", str(n_workers), "--nthreads", "1", "--memory-limit", f"{limit_mb}MiB",
                    "--local-directory", folder]  # fmt: skip
            processes.append(_start("worker", folder, storage, [*common, *more]))
            address: str = json.loads(found.read_text())["address"]
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(n_workers, timeout=START_S)
            yield address
        finally:
            for process in reversed(processes):
                _end(process)


def _start(what: str, folder: str, storage: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"TIDEMILL_STORAGE": str(storage), "PYTHONPATH": os.pathsep.join(sys.path)}
    with (Path(folder) / f"{what}.log").open("w") as log:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def peaks(address: str) -> list[int]:
    """Return each worker's largest resident memory so far, in bytes."""
    with distributed.Client(address, set_as_default=False) as client:
        found: Mapping[str, int] = client.run(memory.memory, "VmHWM")
        return sorted(found.values())


def auc_on_test(storage: Path, split: SplitRef, ref: BundleRef) -> float:
    """Return the AUC of a bundle on the test set."""
    test = read_set(memory.job(storage, "local"), split, "test")
    bundle = load_bundle(storage / ref.uri, ref.digest)
    return point_value("roc_auc", test.y, bundle.score(test.X), bundle.threshold, task="binary")


def fit_on(address: str, storage: Path, split: SplitRef, n_rounds: int = memory.N_ROUNDS) -> BundleRef:
    """Fit on a cluster."""
    before = os.environ.get("TIDEMILL_DASK")
    os.environ["TIDEMILL_DASK"] = address
    try:
        return fit_bundle(memory.job(storage, "dask"), split, "xgboost", {"n_rounds": n_rounds})
    finally:
        os.environ.pop("TIDEMILL_DASK") if before is None else os.environ.update(TIDEMILL_DASK=before)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--limit-mb", type=int, default=LIMIT_MB, help="memory limit of a worker, in MiB")
    parser.add_argument("--times", type=float, default=TIMES, help="how many limits the train set is large")
    chosen = parser.parse_args()
    n_rows = int(chosen.times * chosen.limit_mb * 2**20 / memory.row_bytes())
    say = sys.stdout.write
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        storage = Path(folder)
        split = memory.write(Store(storage), n_rows)
        say(
            f"{n_rows:,} train rows of {memory.row_bytes():.0f} bytes as Arrow, {chosen.limit_mb} MiB for each worker\n"
        )
        say(f"{'where':<16} {'seconds':>8} {'peak of a worker, MB':>21}  AUC on test\n")
        sys.stdout.flush()
        started = time.perf_counter()
        local = fit_bundle(memory.job(storage, "external_memory"), split, "xgboost", {"n_rounds": memory.N_ROUNDS})
        line("external_memory", time.perf_counter() - started, [], auc_on_test(storage, split, local))
        for n_workers in chosen.workers:
            limit_mb = chosen.limit_mb * max(1, 2 // n_workers)  # what grows with the rows is too much for one alone
            with cluster(storage, n_workers, limit_mb) as address:
                started = time.perf_counter()
                ref = fit_on(address, storage, split)
                seconds, largest = time.perf_counter() - started, peaks(address)
            line(f"{n_workers} of {limit_mb} MiB", seconds, largest, auc_on_test(storage, split, ref))


def line(where: str, seconds: float, largest: list[int], auc: float) -> None:
    """Print one line."""
    peak = f"{largest[-1] / 1e6:,.0f}" if largest else ""
    sys.stdout.write(f"{where:<16} {seconds:>8.0f} {peak:>21}  {auc:.5f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
