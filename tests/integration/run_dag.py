"""Run DAGs as ``dag.test`` does, each in a process of its own, and return how they ended; a program of its own.

Airflow reads its settings when it is first imported, so its metadata database is that of this program. It imports
Airflow and the steps and builds the API of tasks once, which takes longer than most runs, and forks a child for each order.
"""

import asyncio
import importlib
import json
import os
import pkgutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import tidemill.steps

AIRFLOW = (
    "airflow.dag_processing.dagbag",
    "airflow.dag_processing.bundles.manager",
    "airflow.api_fastapi.execution_api.app",
    "airflow.api_fastapi.execution_api.routes",
    "airflow.sdk.execution_time.supervisor",
    "tidemill_airflow.operators",
)
"""What a run imports of Airflow."""
LIMIT_S = 500  # then a run hangs, and is ended before its test is given up: other tests wait for this program


def run(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Run a DAG of the DAG folder without retries, for which a test should not wait."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    (bundle,) = manager.get_all_dag_bundles()
    bag = BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=bundle.name)
    sync_bag_to_db(bag, bundle.name, bundle.version)
    dag = bag.dags[dag_id]
    for task in dag.tasks:
        task.retries = 0
    if paused := os.environ.get("TEST_PAUSE_ON_RUN"):
        set_paused(paused, False)
        threading.Thread(target=pause_on_run, args=(paused,), daemon=True).start()
    if scheduled := os.environ.get("TEST_SCHEDULED"):
        make_scheduled(scheduled)
    ended = dag.test(logical_date=None, run_conf=conf)  # a date after the data would leave the tasks out
    return {
        "state": ended.state,
        "tasks": {item.task_id: item.state for item in ended.get_task_instances()},
        "events": events(ended.dag_id, ended.run_id),
    }


def make_scheduled(key: str) -> None:
    """Make the run look to its tasks like one that the scheduler created for a partition."""
    from airflow.models import dagrun
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    def create(*, dag: Any, run_id: str, **arguments: Any) -> Any:
        kind = DagRunType.SCHEDULED
        named = kind.generate_run_id(suffix=run_id.partition("__")[2])
        return dag.create_dagrun(run_id=named, run_type=kind, partition_key=key, state=DagRunState.RUNNING, **arguments)

    dagrun.get_or_create_dagrun = create


def set_paused(dag_id: str, is_paused: bool) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_paused=is_paused))


def pause_on_run(dag_id: str) -> None:
    """Pause a DAG as soon as it has a run, as a person may."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from tidemill.machine.polling import until

    def has_run() -> bool:
        with create_session() as session:
            return session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id)) is not None

    if until(has_run, 200):
        set_paused(dag_id, True)


def events(dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """Return the asset events of a run, as a consumer sees them."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    asked = select(AssetEvent).where(AssetEvent.source_dag_id == dag_id, AssetEvent.source_run_id == run_id)
    with create_session() as session:
        return [
            {"asset": event.name, "partition_key": event.partition_key, "extra": event.extra}
            for event in session.scalars(asked.order_by(AssetEvent.id))
        ]


def carry_out(dag_id: str, conf: dict[str, Any], environment: dict[str, str], folder: str) -> None:
    """Run a DAG with these variables; leave what is printed, and the answer, as two files in a folder."""
    os.environ.update(environment)
    signal.alarm(LIMIT_S)
    log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    Path(folder, "answer.json").write_text(json.dumps(run(dag_id, conf)), encoding="utf-8")


def build_api() -> None:
    """Send the API of the tasks its first request, at which it derives the routes of all its versions: 8 s of processor."""
    import httpx
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    async def ask() -> None:
        async with httpx.AsyncClient(transport=in_process_api_server().atransport, base_url="http://tasks") as client:
            await client.get("/")

    asyncio.run(ask())


def main() -> None:
    """Take orders as lines of JSON, and answer each with the exit status of the child that carried it out."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what Airflow prints is none
    for module in pkgutil.walk_packages(tidemill.steps.__path__, "tidemill.steps."):
        importlib.import_module(module.name)
    for name in AIRFLOW:
        importlib.import_module(name)
    build_api()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            carry_out(**json.loads(line))
            return
        os.write(answers, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())


if __name__ == "__main__":
    main()
