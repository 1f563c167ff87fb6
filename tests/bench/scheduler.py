"""Many specs in the real scheduler of a busy machine: ``make bench-scheduler``.

Works in a folder of its own with a stack of its own, beside processes that only compute. Prints how long the DAG
processor took for each DAG file, and fails unless every DAG is there, without an import error.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidemill.local import stack
from tidemill.local.airflow_api import AirflowApi
from tidemill.local.ports import Ports
from tidemill.machine.polling import until
from tidemill.machine.ports import free_port

from .specs import PROJECT, write_specs

LIMIT_S = 900.0
KINDS = 6  # DAGs per model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specs", type=int, default=303)
    parser.add_argument("--busy", type=int, default=10, help="processes that only compute")
    options = parser.parse_args()
    expected = KINDS * options.specs + 1  # and that of maintenance
    with busy_processes(options.busy), running_stack(options.specs) as airflow:
        found = until_complete(airflow, expected)
        errors = airflow.request("GET", "importErrors")["import_errors"]
        slowest = parse_seconds(airflow)
        load = os.getloadavg()[0]
    for file, seconds in sorted(slowest.items()):
        sys.stdout.write(f"{file:<20}{seconds:>8.2f} s\n")
    sys.stdout.write(f"{found} of {expected} DAGs, {len(errors)} import errors, load {load:.1f}\n")
    for error in errors:
        sys.stdout.write(f"{error['filename']}: {error['stack_trace'][-500:]}\n")
    return int(found != expected or bool(errors))


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keep the machine busy during a block."""
    processes = [multiprocessing.Process(target=compute, daemon=True) for _ in range(number)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def compute() -> None:
    while True:
        sum(range(1_000_000))


@contextmanager
def running_stack(n_specs: int) -> Iterator[AirflowApi]:
    """Start a stack with as many specs; everything is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="tidemill-scheduler-") as folder:
        project = Path(folder) / "project"
        home = project / ".tidemill"
        for name in ("plugins", "sql", "dags"):
            shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("models", "__pycache__"))
        shutil.copy(PROJECT / "requirements.txt", project)
        write_specs(project / "dags" / "models", n_specs)
        os.environ["PYTHONPATH"] = os.pathsep.join(str(PROJECT / name) for name in ("src", "plugins"))
        ports = Ports(api=free_port(), mlflow=free_port(), postgres=free_port())
        try:
            summary = stack.up(home, project, sys.stderr.write, ports=ports)
            yield AirflowApi(summary.ui_url, *stack.login(home))
        finally:
            stack.remove(home, sys.stderr.write)


def until_complete(airflow: AirflowApi, expected: int) -> int:
    """Return the number of DAGs once all are there, or when time is up."""
    until(lambda: count(airflow) >= expected, LIMIT_S)
    return count(airflow)


def count(airflow: AirflowApi) -> int:
    answer: dict[str, Any] = airflow.request("GET", "dags?limit=1&exclude_stale=true")
    return int(answer["total_entries"])


def parse_seconds(airflow: AirflowApi) -> dict[str, float]:
    """Return how long the DAG processor took for each file, by its DAGs."""
    found: dict[str, float] = {}
    for verb in ("train", "predict", "monitor", "reproduce", "retrain", "rollback"):
        dag = airflow.request("GET", f"dags/model_1_{verb}")
        found[Path(dag["fileloc"]).name] = dag["last_parse_duration"]
    return found


if __name__ == "__main__":
    sys.exit(main())
