"""How long people wait for each page of the console, with many models and a long past: ``make bench-console``.

Fills a Postgres of its own with a generated ledger, and Airflow's database with runs, and starts Airflow's API server as
the local stack does. Then users, each with one open request at a time, open every page and call of the API in random
order. Prints the seconds that they waited and the processor seconds of the server and of Postgres, and fails if the 95th
percentile of any page is above a second.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tidemill.local.components import AIRFLOW, airflow_environment
from tidemill.local.config import StackConfig
from tidemill.local.ports import Ports
from tidemill.local.secrets import create_login, login
from tidemill.machine.polling import until
from tidemill.machine.ports import free_port
from tidemill.warehouse.overview import Overview

from ..chaos.server import Server
from .many_models import SEED, Size, copy_models, trained_model
from .output import say

PROJECT = Path(__file__).parents[2]
GOAL_S = 1.0
START_S = 120.0  # of the API server on a busy machine
VERBS = ("train", "predict", "monitor", "retrain", "rollback", "reproduce", "act")

# A month of each model's scheduled runs, of which a few have failed; and the components' signs of life.
RUNS = (
    """INSERT INTO dag_run (dag_id, run_id, run_type, state, partition_key, conf, run_after, start_date, end_date, queued_at)
    SELECT 'model_' || lpad(m::text, 3, '0') || '_' || verb, 'scheduled__' || key || verb, 'scheduled',
        CASE WHEN n = 1 AND m %% 25 = 0 AND verb = 'monitor' THEN 'failed' ELSE 'success' END, key, '{}', at, at, at, at
    FROM generate_series(1, %(models)s) m, generate_series(30, 1, -1) n, unnest(ARRAY['predict', 'monitor', 'retrain']) verb,
        LATERAL (SELECT now() - make_interval(days => n) AS at, to_char(current_date - n, 'YYYY-MM-DD') AS key) day""",
    """INSERT INTO job (state, job_type, start_date, latest_heartbeat)
    SELECT 'running', kind, now(), now() + interval '1 day'
    FROM unnest(ARRAY['SchedulerJob', 'TriggererJob', 'DagProcessorJob']) kind""",
    "ANALYZE",
)


@dataclass(frozen=True, slots=True)
class Console:
    """The running server: where it is, who may enter, and its process."""

    url: str
    token: str
    process: psutil.Process


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="times that each user opens every page")
    parser.add_argument("--pause", type=float, default=0.0, help="mean seconds that a user reads a page")
    options = parser.parse_args()
    size = Size(models=options.models, partitions=options.partitions, features=options.features)
    with tempfile.TemporaryDirectory(prefix="tidemill-console-") as folder, filled_server(Path(folder), size) as server:
        paths = all_pages(server, size)
        with serving(server) as console:
            list(waits(console, paths, 1, random.Random(0)))  # what the first request loads is not a page's cost
            return report(console, server, paths, options)


@contextmanager
def filled_server(folder: Path, size: Size) -> Iterator[Server]:
    """Start a Postgres with the ledger and Airflow's database."""
    server = Server(folder, "-c", "fsync=off", "-c", "max_wal_size=4GB")
    try:
        server.start()
        server.create_ledger()
        copy_models(trained_model(server, folder), server, size, say)
        create_login(server.home)
        airflow(server, "db", "migrate")
        for statement in RUNS:
            server.as_admin(statement, "airflow", {"models": size.models})
        yield server
    finally:
        server.remove()


def airflow(server: Server, *arguments: str, port: int = 0) -> subprocess.Popen[bytes]:
    """Run a command of Airflow with the local stack's settings; one that listens is left running."""
    config = StackConfig(
        project=PROJECT,
        ports=Ports(api=port or free_port(), mlflow=free_port(), postgres=server.port),
        cluster=server.cluster,
    )
    with server.home.log("airflow").open("ab") as log:
        command = [sys.executable, "-m", "airflow", *arguments]
        process = subprocess.Popen(command, env=airflow_environment(server.home, config), stdout=log, stderr=log)
    if not port and process.wait() != 0:
        raise RuntimeError(server.home.log("airflow").read_text(encoding="utf-8")[-3000:])
    return process


@contextmanager
def serving(server: Server) -> Iterator[Console]:
    """Start the API server, and log in."""
    port = free_port()
    process = airflow(server, *AIRFLOW["api-server"], port=port)
    url = f"http://127.0.0.1:{port}"
    try:
        if not until(lambda: answers(f"{url}/api/v2/version"), START_S):
            raise RuntimeError(server.home.log("airflow").read_text(encoding="utf-8")[-3000:])
        user, password = login(server.home)
        answer = httpx.post(f"{url}/auth/token", json={"username": user, "password": password}).raise_for_status()
        yield Console(f"{url}/tidemill", answer.json()["access_token"], psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def all_pages(server: Server, size: Size) -> dict[str, list[str]]:
    """Return the addresses of every kind of page and call, several of a kind where models or partitions differ."""
    overview = Overview(server.url("tidemill_reader"))
    model, seeded = overview.model("model_001"), overview.model(SEED)
    assert model is not None
    assert seeded is not None
    newest, other = (item.release_id for item in model.releases[:2])
    key = model.partitions[0].partition
    report_of = seeded.partitions[0].monitoring
    assert report_of is not None
    figure = "figures?part=performance&name=roc_auc"
    return {
        "models": ["/"],
        "model": [f"/{name}/" for name in size.opened],
        "partition": [f"/{name}/partitions/{key}/" for name in size.opened],
        "score": [f"/{name}/score/" for name in size.opened],
        "figures": [f"/{name}/figures/" for name in size.opened],
        "release": [f"/model_001/releases/{newest}/"],
        "comparison": [f"/model_001/releases/{newest}/against/{other}/"],
        "model card": [f"/model_001/releases/{newest}/card/"],
        "monitoring report": [f"/{SEED}/{report_of.removeprefix(f'{SEED}/')}/"],
        "row by its key": [f"/{SEED}/rows/?key=20240326-007"],
        "form of an action": [f"/{name}/act/hold/?what=partition&name={key}" for name in size.opened],
        "preview of a rollback": ["/model_001/act/roll_back/?preview=true"],
        "a DAG's model": ["/dag/model_001_predict"],
        "a run's partition": [f"/run/model_001_predict/scheduled__{key}predict"],
        "script": ["/assets/explore.js"],
        "API: names": [f"/{name}/api/names" for name in size.opened],
        "API: a figure": [f"/{name}/api/{figure}" for name in size.opened],
        "API: a feature": ["/model_001/api/figures?part=drift&name=psi&feature=feature_007"],
        "API: description": ["/api/openapi.json"],
    }


def waits(
    console: Console, paths: dict[str, list[str]], rounds: int, order: random.Random, pause: float = 0.0
) -> Iterator[tuple[str, float]]:
    """Open every kind of page a number of times in random order, as one user; yield the seconds of each."""
    headers = {"Authorization": f"Bearer {console.token}"}
    with httpx.Client(headers=headers, timeout=60) as client:
        for kind in order.sample([*paths] * rounds, len(paths) * rounds):
            path = order.choice(paths[kind])
            if pause:
                time.sleep(order.expovariate(1 / pause))
            began = time.perf_counter()
            answer = client.get(console.url + path)
            if answer.status_code not in (200, 307):
                raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
            yield kind, time.perf_counter() - began


def report(console: Console, server: Server, paths: dict[str, list[str]], options: argparse.Namespace) -> int:
    """Let all users read at once, print what they waited, and return 1 if a page is too slow."""
    assert server.process is not None
    processes = {"server": console.process, "Postgres": psutil.Process(server.process.pid)}
    before = {name: processor_s(process) for name, process in processes.items()}
    began = time.perf_counter()

    def user(number: int) -> list[tuple[str, float]]:
        return list(waits(console, paths, options.rounds, random.Random(number), options.pause))

    with ThreadPoolExecutor(options.users) as users:
        found = [item for items in users.map(user, range(options.users)) for item in items]
    elapsed = time.perf_counter() - began
    seconds = defaultdict[str, list[float]](list)
    for kind, waited in found:
        seconds[kind].append(waited)
    say(f"{'page or call':<24}{'n':>5}{'p50, s':>9}{'p95, s':>9}{'alone, s':>10}{'processor, s':>14}")
    slow = []
    for kind, values in seconds.items():
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
        alone, used = cost(console, processes, paths[kind])
        slow += [kind] if p95 > GOAL_S else []
        say(f"{kind:<24}{len(values):>5}{statistics.median(values):>9.3f}{p95:>9.3f}{alone:>10.3f}{used:>14.3f}")
    used = {name: processor_s(process) - before[name] for name, process in processes.items()}
    say(f"{len(found):,} answers to {options.users} users in {elapsed:.1f} s, {len(found) / elapsed:.1f} per second")
    verdict = f"MISSED by {', '.join(slow)}" if slow else "reached by all"
    say(f"The goal is a 95th percentile of {GOAL_S:g} s: {verdict}.")
    return int(bool(slow))


def cost(console: Console, processes: dict[str, psutil.Process], paths: list[str], n: int = 5) -> tuple[float, float]:
    """Return the median seconds and the mean processor seconds of a page for a user alone."""
    before = sum(processor_s(process) for process in processes.values())
    found = [waited for _, waited in waits(console, {"": paths}, n, random.Random(0))]
    used = sum(processor_s(process) for process in processes.values()) - before
    return statistics.median(found), used / n


def processor_s(process: psutil.Process) -> float:
    """Return the processor seconds of a process and of its children, those that have ended included."""
    times = [item.cpu_times() for item in (process, *process.children(recursive=True))]
    return sum(item.user + item.system for item in times) + sum(
        item.children_user + item.children_system for item in times
    )


if __name__ == "__main__":
    sys.exit(main())
