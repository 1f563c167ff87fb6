"""What Airflow finds of Tidemill by itself, through the entry point ``airflow.plugins``: the console in its UI.

Airflow imports this in every process, tasks included: the app is imported by the first request to it, in the API server.
"""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.configuration import conf

__all__ = ["TidemillPlugin", "console"]

PREFIX = "/tidemill"
_ROOT = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX


async def console(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request for a page, as an ASGI application."""
    from tidemill_airflow.console import app

    await app(scope, receive, send)


class TidemillPlugin(AirflowPlugin):
    """Entry in the UI's navigation, tab on every DAG's page, and the app behind them."""

    name = "tidemill"
    fastapi_apps: ClassVar[list[Any]] = [{"app": console, "url_prefix": PREFIX, "name": "Tidemill"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "Models", "href": f"{_ROOT}/", "destination": "nav", "url_route": "tidemill-models"},
        {"name": "Model", "href": f"{_ROOT}/dag/{{DAG_ID}}", "destination": "dag", "url_route": "tidemill-model"},
    ]
