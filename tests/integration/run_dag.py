"""Run a DAG file's DAG once in this process, as ``dag.test`` does, and print how it ended; a program of its own.

Airflow reads its settings when it is first imported, so a run with a metadata database of its own needs a fresh process.
"""

import json
import os
import sys
import threading
from typing import Any


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


if __name__ == "__main__":
    answer = run(sys.argv[1], json.loads(sys.argv[2]))
    print("\n" + json.dumps(answer))  # noqa: T201 - the answer is for the test that started this
