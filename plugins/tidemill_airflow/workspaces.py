"""The workspace of a task: settings from its environment, connections from Airflow, specs beside the file of its DAG."""

from pathlib import Path

from airflow.sdk import Context

from tidemill.workspace import Workspace
from tidemill_airflow.connections import channel_url, connection_url

__all__ = ["workspace_of"]


def workspace_of(context: Context) -> Workspace:
    """Return the workspace of a task.

    A bundle of DAG files is versioned, and its folder another one for each version: the specs and queries that belong
    to a run are those beside the file that its DAG was read from, unless ``TIDEMILL_MODELS`` and ``TIDEMILL_SQL`` say so.
    """
    file = getattr(context.get("dag"), "fileloc", "")
    return Workspace.from_environment(connection_url, channel_url, dags=Path(file).parent if file else Path("dags"))
