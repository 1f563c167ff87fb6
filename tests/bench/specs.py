"""Processor seconds of all DAG files, and of a task's start, with many specs: ``make bench-specs``.

Each DAG file is loaded in a process of its own. As in Airflow's DAG processor, Airflow, the operators and the specs are
loaded before; this is measured once, in each of these processes, and printed beside. A task loads the file of its DAG
too, in Airflow's parsing context, which names the DAG, and has read no spec before.
"""

import argparse
import gc
import importlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
SPEC = PROJECT / "dags" / "models" / "flight_delays.yaml"
GOALS = {"all DAG files": 3.0, "start of a task": 0.1}  # processor seconds, of 300 specs
TASKS = {"train.py": "model_1_train", "predict.py": "model_1_predict", "monitor.py": "model_1_monitor"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specs", type=int, default=300)
    parser.add_argument("--file", help="DAG file to load in this process, for this program's own use")
    options = parser.parse_args()
    if options.file:
        sys.stdout.write(json.dumps(load(options.file)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder) / "many", Path(folder) / "one"
        write_specs(many, options.specs)
        write_specs(one, 1)
        whole = sum(report_files(many))
        added = max(report_tasks(many, one))
    measured = {"all DAG files": whole, "start of a task": added}
    for name, seconds in measured.items():
        sys.stdout.write(f"{name}, {options.specs} specs: {seconds:.2f} processor s, goal {GOALS[name]:.1f}\n")
    return int(any(measured[name] > goal for name, goal in GOALS.items()))


def write_specs(folder: Path, n_specs: int) -> None:
    """Write copies of the example's spec, which is longer than most."""
    folder.mkdir()
    text = SPEC.read_text(encoding="utf-8")
    for number in range(1, n_specs + 1):
        own = re.sub("^model: .*$", f"model: model_{number}", text, count=1, flags=re.MULTILINE)
        (folder / f"model_{number}.yaml").write_text(own, encoding="utf-8")


def report_files(models: Path) -> Iterator[float]:
    """Print and return the processor seconds of each DAG file, beside those of the DAG processor before it forks."""
    before = []
    for path in sorted((PROJECT / "dags").glob("*.py")):
        found = ask(path.name, models)
        before.append(found["before_s"])
        sys.stdout.write(f"{path.name:<20}{found['n_dags']:>6} DAGs{found['cpu_s']:>8.2f} s\n")
        yield found["cpu_s"]
    sys.stdout.write(f"{'once, at its start':<20}{'':>11}{statistics.median(before):>8.2f} s\n")


def report_tasks(many: Path, one: Path) -> Iterator[float]:
    """Print a task's start, and return the processor seconds that the other specs and its own spec add to it."""
    for file, dag_id in TASKS.items():
        context = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id}
        among, single = ask(file, many, **context), ask(file, one, **context)
        sys.stdout.write(
            f"task of {dag_id:<18} imports {among['before_s']:.2f} s, its DAG {among['cpu_s']:.3f} s; "
            f"with one spec {single['cpu_s']:.3f} s\n"
        )
        yield among["cpu_s"]


def ask(file: str, models: Path, **settings: str) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench.specs", "--file", file],
        env=os.environ | {"TIDEMILL_MODELS": str(models)} | settings,
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    if found["errors"]:
        raise RuntimeError(found["errors"])
    return found


def load(file: str) -> dict[str, Any]:
    """Load a DAG file, and return the processor seconds of what is loaded before, and of the file."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import get_parsing_context

    began = time.process_time()
    importlib.import_module("tidemill_airflow.operators")
    if get_parsing_context().dag_id is None:
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(PROJECT / "dags")
        importlib.import_module("tidemill_airflow.dag_processor").prepare()
    gc.freeze()  # as Airflow's DAG processor and its executors do before they fork

    prepared = time.process_time()
    bag = DagBag(dag_folder=str(PROJECT / "dags" / file))
    return {
        "before_s": prepared - began,
        "cpu_s": time.process_time() - prepared,
        "n_dags": len(bag.dags),
        "errors": {str(name): error for name, error in bag.import_errors.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
