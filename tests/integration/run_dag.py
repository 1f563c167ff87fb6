"""Runs a DAG file's DAG once in this process, as ``dag.test`` does, and tells how it ended; a program of its own.

Airflow reads its settings when it is first imported, so a run with a metadata database of its own needs a fresh process.
"""

import json
import sys
from typing import Any


def run(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Run a DAG of the DAG folder without second attempts, for which nobody in a test wants to wait."""
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
    ended = dag.test(logical_date=None, run_conf=conf)  # a date after the data would leave the tasks out
    return {"state": ended.state, "tasks": {item.task_id: item.state for item in ended.get_task_instances()}}


if __name__ == "__main__":
    answer = run(sys.argv[1], json.loads(sys.argv[2]))
    print("\n" + json.dumps(answer))  # noqa: T201 - the answer is for the test that started this
