"""The processes that chaos tests kill: a parent that has imported everything, and forks a child for each job.

Run as ``python -m tests.chaos.victim``; it takes orders as lines of JSON and answers each with one. A child is a
separate process in every respect: the platform's code, its connections, its environment, its end.
"""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa

import tidemill.steps.data.extract
import tidemill.steps.data.validate_data
import tidemill.steps.predict.inspect
import tidemill.steps.predict.predict
import tidemill.steps.predict.publish
import tidemill.steps.predict.resolve_release
import tidemill.steps.train.analyse
import tidemill.steps.train.evaluate
import tidemill.steps.train.prepare
import tidemill.steps.train.register
import tidemill.steps.train.train
import tidemill.steps.train.validate_model
from tidemill.doctor import examine
from tidemill.errors import TidemillError
from tidemill.operations.rollback import roll_back
from tidemill.records import PredictionRef, ReleaseRef, SnapshotRef
from tidemill.runtime import interrupts as ending
from tidemill.runtime.chains import drive, one_by_one, predict_chain, train_chain
from tidemill.runtime.job import Job
from tidemill.runtime.run import run_step
from tidemill.steps.predict.resolution import Resolution, find_withheld, resolve_withheld
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.predictions.rows import ScoredRows
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.releases.registry import Releases
from tidemill.workspace import LEDGER, PROMOTER, Workspace, connection_from_environment

from ..integration.data import run_unshown

ADDRESS_SPACE = "CHAOS_ADDRESS_SPACE"  # bytes that a child may have beyond what it has
CLOCK = "CHAOS_CLOCK_S"  # seconds by which a child's clock is wrong
CHECKSUM = "to_hex(coalesce(bit_xor(hashfloat8extended(score, hashtextextended({key}, 0))), 0))"  # as the ledger's


def predict(model: str, partition: str) -> dict[str, Any]:
    return drive("predict", predict_chain(), model, partition, Workspace.from_environment())


def train(model: str, partition: str, journal: str) -> dict[str, Any]:
    """Run the chain as Airflow does: keep the record of a step that has returned, and run other steps again."""
    workspace = Workspace.from_environment()
    chain, path = one_by_one(train_chain(workspace.spec(model))), Path(journal)
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    (step, inputs), answered = next(chain), iter(known)
    while True:
        record = next(answered, None)
        if record is None:
            record = run_unshown("train", step, model, partition, inputs, workspace=workspace)
            with path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        try:
            step, inputs = chain.send(record)
        except StopIteration:
            return record


def attempt(
    release: dict[str, Any], snapshot: dict[str, Any], score: float, run_id: int, gate: str = ""
) -> dict[str, Any]:
    """Claim, write and publish rows that all have one score, without a model."""
    publisher = Publisher(connection_from_environment(LEDGER))
    scored, scorer = SnapshotRef.from_dict(snapshot), ReleaseRef.from_dict(release)
    rows = constant_rows(scored, score)
    wait_at(gate)
    publisher.declare(scored.model, "parcel_id", "shipped_at")
    token = publisher.claim(scored.model, scored.partition, run_id)
    written = publisher.write(
        scorer, scored, ScoredRows(published=rows.to_batches()), token=token, threshold=0.5, run_id=run_id
    )
    publisher.publish(written)
    return written.to_dict()


def publish(prediction: dict[str, Any]) -> None:
    Publisher(connection_from_environment(LEDGER)).publish(PredictionRef.from_dict(prediction))


def promote(model: str, release_id: int, expected: int | None, live_from: str, gate: str = "") -> None:
    releases = Releases(connection_from_environment(PROMOTER))
    wait_at(gate)
    releases.promote(
        model,
        Promotion(
            release_id=release_id,
            expected=expected,
            live_from=datetime.fromisoformat(live_from),
            approved_by="gate",
            reason=f"Release {release_id} in a race.",
        ),
    )


def resolve(model: str, partition: str, publishes: bool) -> dict[str, Any]:
    """Publish or discard the withheld rows of a partition, as a person does by command."""
    workspace = Workspace.from_environment()
    spec = workspace.spec(model)
    said = Resolution(publish=publishes, by="a test", reason="For a test.")
    return resolve_withheld(workspace, spec, find_withheld(workspace, spec, partition), said).to_dict()


def step(chain: str, name: str, model: str, partition: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return run_step(chain, name, model, partition, inputs, workspace=Workspace.from_environment())


def doctor() -> list[dict[str, Any]]:
    return [item.to_dict() for item in examine(Workspace.from_environment())]


def run_away(model: str, partition: str, pids: str, deaf: bool) -> dict[str, Any]:
    """Run an extract that half writes its folder, starts a process with a child of its own, and never ends.

    If it is deaf, it resembles a process stuck in a library: Python never handles a signal.
    """
    ending.GRACE = timedelta(seconds=1) if deaf else ending.GRACE

    def extract(job: Job, purpose: str) -> SnapshotRef:
        def fill(folder: Path) -> None:
            (folder / "half").write_text("written")
            subprocess.Popen(["sh", "-c", f"sleep 600 & echo $$ $! > {pids}.aside; mv {pids}.aside {pids}; wait"])
            if deaf:
                signal.pthread_sigmask(signal.SIG_BLOCK, ending.SIGNALS)
            time.sleep(600)

        job.store.write(model, "snapshots", fill)
        raise AssertionError("never reached")

    vars(tidemill.steps.data.extract)["extract"] = extract
    return step("predict", "extract", model, partition, {"purpose": "score"})


def undo(model: str, to: int | None, first: str, last: str) -> dict[str, Any]:
    workspace = Workspace.from_environment()
    done = roll_back(
        workspace.spec(model), workspace, to=to, republish=(first, last), approved_by="a test", reason="For a test."
    )
    return done.to_dict()


def poll(url: str, model: str, partition: str, key: str, until_exists: str) -> dict[str, Any]:
    """Read a partition as fast as possible until a file appears; judge each read on its own."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    n_reads, runs, wrong = 0, set(), []
    query = f"""
        SELECT count(*), array_agg(DISTINCT v.prediction_run_id), {CHECKSUM.format(key="v." + key)},
               min(r.n_rows), min(r.checksum)
        FROM predictions.{model} v JOIN tidemill.prediction_run r USING (prediction_run_id) WHERE v.partition = %s"""
    with connection.cursor() as cursor:
        while not Path(until_exists).exists():
            cursor.execute(query, (partition,))
            n_rows, seen, checksum, due_rows, due_checksum = cursor.fetchone()
            n_reads += 1
            runs.update(seen or ())
            if n_rows == 0 or len(seen) != 1 or (n_rows, checksum) != (due_rows, due_checksum):
                wrong.append([n_rows, seen, checksum, due_rows, due_checksum])
    return {"n_reads": n_reads, "n_runs": len(runs), "wrong": wrong}


JOBS: dict[str, Callable[..., Any]] = {
    "predict": predict, "train": train, "attempt": attempt, "publish": publish, "promote": promote, "undo": undo,
    "poll": poll, "resolve": resolve, "step": step, "doctor": doctor, "run_away": run_away,
}  # fmt: skip


def constant_rows(snapshot: SnapshotRef, score: float) -> pa.Table:
    keys = [f"row-{number:06}" for number in range(snapshot.n_rows)]
    at = pa.array([snapshot.start] * snapshot.n_rows, pa.timestamp("us", "UTC"))
    return pa.table({"entity_key": keys, "event_time": at, "score": pa.array([score] * snapshot.n_rows, pa.float64())})


def wait_at(gate: str) -> None:
    """Report readiness, and wait until the file's lock is released: all start at once."""
    if gate:
        with Path(gate + ".ready").open("ab", buffering=0) as ready:
            ready.write(b".")
        with Path(gate).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)


# ---------------------------------------------------------------- parent and child


def run_child(order: dict[str, Any]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # the orders are the parent's
    os.dup2(nothing, 1)
    os.environ.update(order["environment"])
    status, started = 0, time.monotonic()
    try:
        _limit_memory()
        _set_clock()
        answer = {"ended": "done", "message": "", "result": JOBS[order["job"]](**order["arguments"])}
    except TidemillError as error:
        answer = {"ended": type(error).__name__, "message": str(error), "result": None}
    except SystemExit as error:
        status, answer = int(error.code or 0), {"ended": repr(error), "message": "", "result": None}
    except BaseException as error:
        answer = {"ended": repr(error), "message": str(error), "result": None}
    answer["seconds"] = time.monotonic() - started
    Path(order["out"]).write_text(json.dumps(answer), encoding="utf-8")
    os._exit(status)


def _limit_memory() -> None:
    more = int(os.environ.get(ADDRESS_SPACE, "0"))
    if more:
        has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (has + more, has + more))


def _set_clock() -> None:
    """Set a wrong clock for Python's code; the times of files and of the server stay correct."""
    ahead = float(os.environ.get(CLOCK, "0"))
    if ahead:
        right, right_ns = time.time, time.time_ns
        time.time = lambda: right() + ahead
        time.time_ns = lambda: right_ns() + int(ahead * 1e9)

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.now(tz) + timedelta(seconds=ahead)

        vars(sys.modules["tidemill.doctor.examine"])["datetime"] = Wrong


def obey(order: dict[str, Any]) -> dict[str, Any]:
    if "poll" in order:
        pid, status = os.waitpid(order["poll"], os.WNOHANG | os.WUNTRACED)
        return {"status": status if pid else None}
    pid = os.fork()
    if pid == 0:
        run_child(order)
    return {"pid": pid}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of a library is not an answer
    for line in sys.stdin:
        answers.write(json.dumps(obey(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
