"""Tells, as JSON on standard output, what Airflow's DAG processor finds in a folder; a program of its own.

DAG files must be looked at in a fresh process: what they import is one of the facts.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CHANGES = {"spring": datetime(2013, 3, 10, 4, 30, tzinfo=UTC), "autumn": datetime(2013, 11, 3, 3, 30, tzinfo=UTC)}
"""Half an hour before the days on which New York's clocks change."""
BACKFILL = datetime(2013, 3, 9, tzinfo=UTC), datetime(2013, 4, 2, 23, 59, tzinfo=UTC)
"""From 9 March to 2 April: Airflow takes the bounds' wall clock in UTC for that of the timetable."""


def describe(folder: str) -> dict[str, Any]:
    """Load the folder as the DAG processor does."""
    from airflow.dag_processing.dagbag import DagBag

    before = set(sys.modules)
    bag = DagBag(dag_folder=folder)
    loaded = sorted(set(sys.modules) - before)
    return {
        "loaded": loaded,
        "errors": {Path(file).name: error for file, error in bag.import_errors.items()},
        "dags": {dag.dag_id: describe_dag(dag) for dag in bag.dags.values()},
    }


def describe_dag(dag: Any) -> dict[str, Any]:
    """Return what tests ask about a DAG; its schedule as the scheduler computes it."""
    from airflow.serialization.serialized_objects import DagSerialization

    serialized = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    timetable = serialized.timetable
    return {
        "file": Path(dag.fileloc).name,
        "timetable": type(dag.timetable).__name__,
        "runs": {name: next_runs(timetable, instant) for name, instant in CHANGES.items()},
        "backfill": backfill_keys(serialized),
        "start": dag.start_date and dag.start_date.isoformat(),
        "end": dag.end_date and dag.end_date.isoformat(),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "description": dag.description,
        "doc_md": dag.doc_md,
        "tags": sorted(dag.tags),
        "params": {name: {"default": dag.params[name], **dag.params.get_param(name).schema} for name in dag.params},
        "order": [task.task_id for task in dag.topological_sort()],
        "tasks": {task.task_id: describe_task(task) for task in dag.tasks},
    }


def backfill_keys(dag: Any) -> list[str]:
    """Return the partition keys that a backfill of ``BACKFILL`` makes runs for, as Airflow computes them."""
    return [info.partition_key for info in dag.iter_dagrun_infos_between(*BACKFILL)]


def next_runs(timetable: Any, since: datetime) -> list[tuple[str, str]]:
    """Return the next four runs: when, and their partition keys."""
    from airflow.timetables.base import TimeRestriction
    from pendulum import instance

    runs: list[tuple[str, str]] = []
    restriction, last = TimeRestriction(earliest=instance(since), latest=None, catchup=True), None
    while len(runs) < 4:
        last = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction)
        if last is None:
            break
        runs.append((last.run_after.isoformat(), last.partition_key))
    return runs


def describe_task(task: Any) -> dict[str, Any]:
    """Return what tests ask about a task, mapped or not."""
    from tidemill_airflow.retry import RETRY_POLICY

    mapped = task.is_mapped
    arguments = {**task.partial_kwargs, **task.expand_input.value} if mapped else vars(task)
    operator = task.operator_class if mapped else type(task)
    return {
        "operator": operator.__name__,
        "step": getattr(operator, "step", None),
        "takes": {name: source(arguments[name]) for name in operator.template_fields if name in arguments},
        "mapped": mapped,
        "upstream": sorted(task.upstream_task_ids),
        "form": sorted(arguments.get("params") or ()),
        "retries": task.retries,
        "has_our_policy": task.retry_policy is RETRY_POLICY,
        "owner": task.owner,
        "queue": task.queue,
        "pool": task.pool,
        "pod": pod_of(task.executor_config or {}),
        "trigger_rule": str(task.trigger_rule),
        "teardown": task.is_teardown and not task.on_failure_fail_dagrun,
        "inlets": [asset.name for asset in task.inlets],
        "outlets": [asset.name for asset in task.outlets],
    }


def pod_of(config: dict[str, Any]) -> Any:
    """Return what is laid over the pod of a task, as Kubernetes reads it."""
    if "pod_override" not in config:
        return None
    from kubernetes.client import ApiClient

    return ApiClient().sanitize_for_serialization(config["pod_override"])


def source(value: Any) -> Any:
    """Name the task that an argument comes from; other values as they are."""
    from airflow.sdk.definitions.xcom_arg import XComArg

    if isinstance(value, XComArg):
        return f"<{value.operator.task_id}>"
    if isinstance(value, list | tuple):
        return [source(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


if __name__ == "__main__":
    answer = describe(sys.argv[1])
    print(json.dumps(answer))  # noqa: T201 - the answer is for the test that started this
