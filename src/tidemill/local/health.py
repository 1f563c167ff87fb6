"""Health of the running programs, read over HTTP on this machine."""

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

from tidemill.local.config import StackConfig
from tidemill.local.settings import api_url, mlflow_url

__all__ = [
    "airflow_health",
    "execution_api_is_ready",
    "fetch",
    "mlflow_is_ready",
    "ready_components",
    "silent_components",
]

_PARTS = {"scheduler": "scheduler", "dag_processor": "dag-processor", "triggerer": "triggerer"}
# Two programs of one machine need no proxy, whatever the environment says.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, timeout_s: float = 5.0) -> bytes | None:
    """Return the content of a page, or None if there is no successful response in time.

    Parameters
    ----------
    url : str
        A page on this machine.
    """
    try:
        with _DIRECT.open(url, timeout=timeout_s) as answer:
            content: bytes = answer.read()
            return content
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return None


def airflow_health(config: StackConfig) -> dict[str, Any] | None:
    """Return the health report of Airflow's API server, or None if it does not answer."""
    content = fetch(f"{api_url(config)}/api/v2/monitor/health")
    try:
        return None if content is None else dict(json.loads(content))
    except ValueError:  # another program has the port
        return None


def execution_api_is_ready(config: StackConfig) -> bool:
    """Return whether tasks can report to the API server.

    The first request builds the routes of every version, which takes seconds. This call spares the first task that time.
    """
    return fetch(f"{api_url(config)}/execution/health", timeout_s=30.0) is not None


def mlflow_is_ready(config: StackConfig) -> bool:
    """Return whether MLflow's server answers."""
    return fetch(f"{mlflow_url(config)}/health") is not None


def ready_components(health: dict[str, Any] | None, started: dict[str, float]) -> frozenset[str]:
    """Return the Airflow components that are ready.

    Parameters
    ----------
    health : dict, optional
        Airflow's health report; without one, nothing is ready.
    started : dict of str to float
        Start of each component's process, in seconds since 1970; an earlier heartbeat is its predecessor's.

    Examples
    --------
    >>> beat = {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:10+00:00"}
    >>> answer = {"metadatabase": {"status": "healthy"}, "scheduler": beat}
    >>> sorted(ready_components(answer, {"scheduler": 1767225600.0}))
    ['api-server', 'scheduler']
    >>> sorted(ready_components(answer, {"scheduler": 1767225700.0}))
    ['api-server']
    """
    if health is None:
        return frozenset()
    ready = {"api-server"} if _database_is_healthy(health) else set()
    for part, name in _PARTS.items():
        state = health.get(part) or {}
        beat = state.get(f"latest_{part}_heartbeat")
        if (
            state.get("status") == "healthy"
            and beat
            and datetime.fromisoformat(beat).timestamp() >= started.get(name, 0.0)
        ):
            ready.add(name)
    return frozenset(ready)


def silent_components(health: dict[str, Any] | None) -> frozenset[str] | None:
    """Return the Airflow components whose heartbeat is too old, or None if that is unknown.

    Examples
    --------
    >>> silent_components(None) is None
    True
    >>> answer = {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}}
    >>> sorted(silent_components(answer))
    ['scheduler']
    """
    if health is None or not _database_is_healthy(health):
        return None
    return frozenset(name for part, name in _PARTS.items() if (health.get(part) or {}).get("status") == "unhealthy")


def _database_is_healthy(health: dict[str, Any]) -> bool:
    return bool((health.get("metadatabase") or {}).get("status") == "healthy")
