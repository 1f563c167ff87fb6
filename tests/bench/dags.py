"""From trigger to end: the predict and the train DAG with 1,000 rows, in the real local stack: ``make bench-dags``.

Works in a copy of the project with a stack of its own. Predicting scores a day of the flights; training takes every 45th
flight of 50 days, which are a thousand rows, with the example's features, candidates and baselines and no search. Each
run waits for the previous one. Prints, for each task, the medians of how long it waited, how long it took besides its
step (process, imports, XCom), and how long its step took, as recorded in the ledger.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from tidemill.local import stack
from tidemill.local.airflow_api import AirflowApi
from tidemill.workspace import read_environment_file
from tidemill_examples.demo import load_example

PROJECT = Path(__file__).parents[2]
EVERY = 45  # flights, one of which is used for training
SMALL = "flight_delays_small"
GOALS = {"predict": 15.0, "train": 60.0}  # seconds from trigger to end
FIRST = date(2013, 4, 2)
STEPS = """
    SELECT task_id, map_index, wall_s, cpu_s, peak_rss_bytes FROM tidemill.run
    WHERE dag_id = '{dag}' AND dag_run_id = '{run}' AND status = 'succeeded'"""


@contextmanager
def running_stack() -> Iterator[tuple[Path, AirflowApi]]:
    """Copy the project, start its stack, load the flights and train a champion; everything is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "tidemill"
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, project / name)
        write_small_model(project)
        home, err = project / ".tidemill", Console(stderr=True)
        os.chdir(project)
        os.environ["PYTHONPATH"] = f"{project / 'src'}:{project / 'plugins'}:{project / 'examples'}"
        try:
            summary = stack.up(home, project, err.print)
            read_environment_file(home / "environment")
            load_example(err)
            airflow = AirflowApi(summary.ui_url, *stack.login(home))
            airflow.wait_for_dags(["flight_delays_train", "flight_delays_predict", f"{SMALL}_train"])
            timed(airflow, home, "flight_delays_train", FIRST)  # the champion that predicts
            yield home, airflow
        finally:
            os.chdir(PROJECT)
            stack.remove(home, err.print)


def write_small_model(project: Path) -> None:
    """Put the model beside the example's that sees every 45th of its flights."""
    spec = (project / "dags" / "models" / "flight_delays.yaml").read_text()
    for old, new in (
        ("model: flight_delays", f"model: {SMALL}"),
        ("features: flight_delays/", f"features: {SMALL}/"),
        ("window: 90 days", "window: 50 days"),
        ("minimum: 0.62, margin: 0.005, slices: [origin, carrier]", "minimum: 0.5, margin: 0.005"),
    ):
        assert spec.count(old) == 1, old
        spec = spec.replace(old, new)
    (project / "dags" / "models" / f"{SMALL}.yaml").write_text(spec)
    query = (project / "sql" / "flight_delays" / "features.sql").read_text()
    (project / "sql" / SMALL).mkdir()
    (project / "sql" / SMALL / "features.sql").write_text(
        f"SELECT * FROM (\n{query}) AS found WHERE abs(hashtext(flight_id)) % {EVERY} = 0\n"
    )


def timed(airflow: AirflowApi, home: Path, dag: str, day: date) -> dict[str, Any]:
    """Run a DAG for a partition, and return how many seconds it and its tasks took."""
    run = f"bench__{day}__{time.time_ns()}"
    airflow.trigger(dag, run, day.isoformat())
    state = airflow.wait_for_run(dag, run, 900)
    if state.state != "success":
        raise RuntimeError(f"{dag} {run}: {state.state}: {airflow.failures(state)}")
    whole = airflow.request("GET", f"dags/{dag}/dagRuns/{run}")
    tasks = airflow.request("GET", f"dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
    found = stack.sql(home, STEPS.format(dag=dag, run=run)).rows
    steps = {(row[0], -1 if row[1] is None else row[1]): row[2:] for row in found}
    return {
        "seconds": _between(whole["queued_at"], whole["end_date"]),
        "tasks": list(_shares(tasks, steps, whole["queued_at"])),
    }


def _shares(tasks: list[dict[str, Any]], steps: dict[Any, Any], began: str) -> Iterator[dict[str, Any]]:
    """Return each task's parts; it has waited since the last upstream task ended."""
    for task in sorted(tasks, key=lambda task: task["start_date"]):
        ended = [other["end_date"] for other in tasks if other["end_date"] <= task["start_date"]]
        work, cpu, peak = steps.get((task["task_id"], task["map_index"]), (0.0, 0.0, 0))
        took = _between(task["start_date"], task["end_date"])
        yield {
            "task": task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""),
            "waited": _between(max([began, *ended]), task["start_date"]),
            "beside": took - work,
            "worked": work,
            "cpu": cpu,
            "peak_mb": peak / 1e6,
        }


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def tell(verb: str, runs: list[dict[str, Any]]) -> float:
    """Print the medians of some runs of one DAG."""
    seconds = statistics.median(run["seconds"] for run in runs)
    names = [task["task"] for task in runs[0]["tasks"]]
    sys.stdout.write(f"\n{verb}: {seconds:.1f} s (median of {len(runs)}), goal {GOALS[verb]:.0f} s\n")
    sys.stdout.write(f"{'task':<22}{'waited':>8}{'beside':>8}{'worked':>8}{'cpu':>8}{'peak MB':>9}\n")
    for name in names:
        rows = [task for run in runs for task in run["tasks"] if task["task"] == name]
        values = [statistics.median(row[part] for row in rows) for part in ("waited", "beside", "worked", "cpu")]
        peak = statistics.median(row["peak_mb"] for row in rows)
        sys.stdout.write(f"{name:<22}" + "".join(f"{value:8.2f}" for value in values) + f"{peak:9.0f}\n")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with running_stack() as (home, airflow):
        runs: dict[str, list[dict[str, Any]]] = {"predict": [], "train": []}
        for number in range(options.runs):
            day = FIRST + timedelta(days=number)
            runs["predict"].append(timed(airflow, home, "flight_delays_predict", day))
            runs["train"].append(timed(airflow, home, f"{SMALL}_train", day))
    medians = {verb: tell(verb, found) for verb, found in runs.items()}
    sys.stdout.write(f"\nload {os.getloadavg()[1]:.1f}\n{json.dumps(medians)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
