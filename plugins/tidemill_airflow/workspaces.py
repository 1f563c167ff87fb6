"""The workspace of a task: settings from its environment, connections from Airflow, specs beside the file of its DAG."""

from pathlib import Path
from typing import Any

from airflow.sdk import Context

from tidemill.workspace import Workspace
from tidemill_airflow.connections import channel_url, connection_url

__all__ = ["origin_of", "workspace_of"]


def workspace_of(context: Context) -> Workspace:
    """Return the workspace of a task.

    A bundle of DAG files is versioned, and each version has a folder of its own. The specs and queries of a run are those
    beside the file of its DAG, unless ``TIDEMILL_MODELS`` and ``TIDEMILL_SQL`` name others.
    """
    file = getattr(context.get("dag"), "fileloc", "")
    return Workspace.from_environment(connection_url, channel_url, dags=Path(file).parent if file else Path("dags"))


def origin_of(context: Context) -> Any:
    """Return the task, its run and who has triggered it, for the ledger."""
    from tidemill.warehouse.ledger import Origin

    task_instance = context["ti"]
    return Origin(
        dag_id=task_instance.dag_id,
        dag_run_id=task_instance.run_id,
        task_id=task_instance.task_id,
        map_index=task_instance.map_index,
        try_number=task_instance.try_number,
        requested_by=getattr(context["dag_run"], "triggering_user_name", None) or "",
    )
