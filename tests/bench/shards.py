"""A long partition scored in shards by two workers of the real scheduler, one of them killed: ``make bench-shards``.

Works in a folder of its own with a stack of its own. Airflow may run two tasks at a time; the first process that has
written half of its shard is killed, and the scheduler has to retry only that shard. Meanwhile a reader counts the
rows in the model's view, which must be none or all. Then one process scores the same partition by the command
line, and both runs must have the same checksum. Prints what each task took, by the ledger, and as JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tidemill.local import stack
from tidemill.local.airflow_api import FINAL, AirflowApi
from tidemill.local.ports import Ports
from tidemill.machine.ports import free_port
from tidemill.steps.predict.shards import SCORES
from tidemill.warehouse.migrations import apply_migrations

from . import flights_scaled
from .scene import PARTITION, XGBOOST, declare, fitted, register, training_flights

PROJECT = Path(__file__).parents[2]
MODEL, DAG = XGBOOST, f"{XGBOOST}_predict"
RELEASE_ID = 1  # the only one; nobody has promoted it
WORKERS = 2
N_SHARDS = 8
WRITTEN_BYTES = 8  # a row: about half of what a row of a shard's file takes
POLL_S = 0.5
MOST_S = 3600.0
LIMIT_BYTES = 2**30  # of one task's resident memory, shared pages included

TASKS = """
    SELECT step, coalesce(map_index, -1), try_number, status, wall_s, cpu_s, peak_rss_bytes, error
    FROM tidemill.run WHERE model = '{model}' AND chain = 'predict' AND {which} ORDER BY run_id"""
RUNNING = (
    "SELECT map_index, process FROM tidemill.run WHERE model = '{model}' AND step = 'score' AND status = 'running'"
)
RUNS = "SELECT n_rows, checksum, status FROM tidemill.prediction_run WHERE model = '{model}' ORDER BY prediction_run_id"


@dataclass
class Site:
    """A stack with one model and its rows."""

    home: Path
    n_rows: int
    airflow: AirflowApi
    seen: Counter[int] = field(default_factory=Counter)

    def ask(self, query: str, **values: str) -> list[tuple[Any, ...]]:
        return list(stack.sql(self.home, query.format(model=MODEL, **values)).rows)

    def look(self) -> None:
        """Count what a reader sees of the partition."""
        if self.ask("SELECT to_regclass('predictions.{model}')")[0][0] is not None:
            ((n_rows,),) = self.ask("SELECT count(*) FROM predictions.{model} WHERE partition = '" + PARTITION + "'")
            self.seen[n_rows] += 1

    def kill_one(self, shard_rows: int) -> int | None:
        """Kill the process of a shard that is in the middle of its work, and say which; None if there is none yet."""
        for index, name in self.ask(RUNNING):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(name.split(":")[1]))
                opened = (Path(file.path) for file in process.open_files())
                if any(path.name == SCORES and path.stat().st_size > shard_rows * WRITTEN_BYTES for path in opened):
                    process.kill()
                    return int(index)
        return None


@contextmanager
def site(n_rows: int, shard_rows: int) -> Iterator[Site]:
    """Bring a stack up whose warehouse holds the rows and the release; everything is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="tidemill-shards-") as folder:
        project = Path(folder) / "project"
        home = project / ".tidemill"
        for name in ("plugins", "sql"):
            shutil.copytree(PROJECT / name, project / name)
        (project / "dags").mkdir()
        for file in ("dags/predict.py", "requirements.txt"):
            shutil.copy(PROJECT / file, project / file)
        declare(project / "dags" / "models", project / "sql", MODEL, f"predict: {{shard_rows: {shard_rows}}}\n")

        def prepare(owner_url: str) -> None:
            apply_migrations(owner_url)
            flights_scaled.load(owner_url, n_rows)
            real = training_flights()
            register(owner_url, home / "storage", MODEL, fitted(MODEL, real), real)

        os.environ["PYTHONPATH"] = os.pathsep.join(str(PROJECT / name) for name in ("src", "plugins"))
        try:
            ports = Ports(api=free_port(), mlflow=free_port(), postgres=free_port())
            summary = stack.up(home, project, tell, migrate=prepare, ports=ports)
            airflow = AirflowApi(summary.ui_url, *stack.login(home))
            airflow.wait_for_dags([DAG])
            airflow.request("PATCH", "pools/default_pool?update_mask=slots", json={"slots": WORKERS})
            yield Site(home, n_rows, airflow)
        finally:
            stack.remove(home, tell)


def scored_in_shards(site: Site, shard_rows: int) -> dict[str, Any]:
    """Run the DAG, kill a shard in the middle, and read along until the end."""
    run, began, killed = "bench", time.monotonic(), None
    site.airflow.trigger(DAG, run, PARTITION, {"release": RELEASE_ID})
    while (state := site.airflow.request("GET", f"dags/{DAG}/dagRuns/{run}")["state"]) not in FINAL:
        if time.monotonic() - began > MOST_S:
            raise RuntimeError(f"{DAG} has not ended after {MOST_S:.0f} s")
        killed = site.kill_one(shard_rows) if killed is None else killed
        site.look()
        time.sleep(POLL_S)
    seconds = time.monotonic() - began
    site.look()
    tasks = site.ask(TASKS, which=f"dag_run_id = '{run}'")
    return {"state": state, "killed": killed, "seconds": seconds, "tasks": tasks}


def scored_whole(site: Site) -> dict[str, Any]:
    """Score the same by the command line, which knows no shards."""
    began = time.monotonic()
    environment = os.environ | stack.environment(site.home)
    program = str(Path(sys.executable).with_name("tidemill"))
    command = [program, "predict", MODEL, "--partition", PARTITION, "--policy", f"release={RELEASE_ID}"]
    subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    return {"seconds": time.monotonic() - began, "tasks": site.ask(TASKS, which="dag_run_id IS NULL")}


def show(said: str, found: dict[str, Any]) -> None:
    """Print what each task took."""
    sys.stdout.write(f"\n{said}: {found['seconds']:.0f} s\n")
    sys.stdout.write(f"{'task':<18}{'try':>5}{'wall s':>9}{'cpu s':>8}{'peak MiB':>10}  end\n")
    for step, index, attempt, status, wall_s, cpu_s, peak, error in found["tasks"]:
        name = step if index < 0 else f"{step}[{index}]"
        costs = "".join(
            f"{'' if cost is None else f'{cost:.1f}':>{width}}" for cost, width in ((wall_s, 9), (cpu_s, 8))
        )
        sys.stdout.write(f"{name:<18}{attempt or '':>5}{costs}{(peak or 0) / 2**20:10.0f}  {error or status}\n")


def wrong(site: Site, sharded: dict[str, Any], runs: list[tuple[Any, ...]]) -> Iterator[str]:
    """Return what is not as it should be."""
    attempts = Counter(index for step, index, *_ in sharded["tasks"] if step == "score")
    expected = {index: 1 + (index == sharded["killed"]) for index in attempts}
    if sharded["state"] != "success":
        yield f"the DAG run is {sharded['state']}"
    if sharded["killed"] is None:
        yield "no shard was killed: give it more rows"
    if attempts != expected:
        yield f"attempts by shard are {dict(attempts)}, expected {expected}"
    if set(site.seen) - {0, site.n_rows}:
        yield f"a reader saw {dict(site.seen)} rows"
    if len(runs) != 2 or len({(n_rows, checksum) for n_rows, checksum, _ in runs}) != 1 or runs[0][0] != site.n_rows:
        yield f"the two prediction runs differ: {runs}"
    large = [task[:2] for task in sharded["tasks"] if (task[6] or 0) >= LIMIT_BYTES]
    if large:
        yield f"tasks of 1 GiB or more: {large}"


def tell(said: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {said}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    n_rows = parser.parse_args().rows
    shard_rows = -(-n_rows // N_SHARDS)
    with site(n_rows, shard_rows) as place:
        sharded = scored_in_shards(place, shard_rows)
        show(
            f"{n_rows:,} rows in shards of {shard_rows:,}, {WORKERS} at a time, shard {sharded['killed']} killed",
            sharded,
        )
        whole = scored_whole(place)
        show("The same in one process", whole)
        runs = place.ask(RUNS)
        problems = list(wrong(place, sharded, runs))
    sys.stdout.write(
        f"\nchecksums {[run[1] for run in runs]}; a reader saw {dict(place.seen)}; load {os.getloadavg()[1]:.1f}\n"
    )
    for problem in problems:
        sys.stdout.write(f"WRONG: {problem}\n")
    sys.stdout.write(json.dumps({"sharded": sharded, "whole": whole, "runs": runs}, default=str) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
