"""The plugin that Airflow finds by the entry point ``airflow.plugins``: the console in its UI, and the timetable.

Airflow imports this module in every process, tasks included. So only the API server imports the app, at its first request.
"""

import sys
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from tidemill_airflow.console.links import PREFIX, PartitionLink, root
from tidemill_airflow.scheduling.timetable import PartitionTimetable

__all__ = ["TidemillPlugin", "console"]

_ROOT = root()


async def console(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request for a page, as an ASGI application."""
    from tidemill_airflow.console.app import app

    await app(scope, receive, send)


_RUN = f"{_ROOT}/run/{{DAG_ID}}/{{RUN_ID}}"
_APPS: list[Any] = [{"app": console, "url_prefix": PREFIX, "name": "Tidemill"}]
_VIEWS: list[Any] = [
    {"name": "Models", "href": f"{_ROOT}/", "destination": "nav", "url_route": "tidemill-models"},
    {"name": "Model", "href": f"{_ROOT}/dag/{{DAG_ID}}", "destination": "dag", "url_route": "tidemill-model"},
    {"name": "Partition", "href": _RUN, "destination": "dag_run", "url_route": "tidemill-partition"},
    {"name": "Partition", "href": _RUN, "destination": "task_instance", "url_route": "tidemill-partition-of-task"},
]


class TidemillPlugin(AirflowPlugin):
    """Entry in the UI's navigation, tabs of DAGs, runs and tasks, the app behind them, and the timetable of the DAGs."""

    name = "tidemill"
    fastapi_apps = _APPS
    external_views = _VIEWS
    operator_extra_links = [PartitionLink()]  # noqa: RUF012 - as Airflow declares it
    timetables = [PartitionTimetable]  # noqa: RUF012 - as Airflow declares it

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """In the DAG processor, load what the process of each DAG file inherits."""
        if sys.argv[1:2] == ["dag-processor"]:
            from tidemill_airflow.dag_processor import prepare

            prepare()
