"""Print facts about this machine's Airflow as JSON: ``python -m tidemill_airflow.facts CONNECTION…``.

It is a separate program because the platform does not import Airflow, and because an Airflow that does not start is a
finding of ``tidemill install-check``, not a crash. The answer contains passwords: it goes through a pipe to the caller.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from airflow.sdk.configuration import conf

from tidemill.errors import SettingsError
from tidemill_airflow.connections import connection_url
from tidemill_airflow.resources import QUEUES, queue_of

__all__ = ["facts"]

LOCAL = "LocalDagBundle"
CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"
"""What lets Airflow look for connections in its metadata database too; a server's processes hand it down."""


def facts(connections: list[str]) -> dict[str, Any]:
    """Return executor, plugins folder, bundles of DAG files, queues, and the URL of each connection or why there is none."""
    if _has_metadata():
        os.environ[CONTEXT] = "server"
    else:  # Airflow would create an empty database, only to find no connection in it
        os.environ.pop(CONTEXT, None)
    return {
        "executor": conf.get("core", "executor"),
        "plugins_folder": conf.get("core", "plugins_folder"),
        "bundles": [_bundle(item) for item in json.loads(conf.get("dag_processor", "dag_bundle_config_list"))],
        "queues": [queue_of(kind) for kind in QUEUES],
        "connections": {name: _connection(name) for name in connections},
    }


def _bundle(item: dict[str, Any]) -> dict[str, Any]:
    """Return name, kind and path of a bundle; for a remote one, the folder where Airflow keeps its copies."""
    kind = item["classpath"].rpartition(".")[2]
    if kind == LOCAL:
        return {
            "name": item["name"],
            "kind": kind,
            "path": item.get("kwargs", {}).get("path") or conf.get("core", "dags_folder"),
        }
    from airflow.dag_processing.bundles.base import get_bundle_storage_root_path

    return {"name": item["name"], "kind": kind, "path": str(get_bundle_storage_root_path() / item["name"])}


def _connection(name: str) -> dict[str, str]:
    try:
        return {"url": connection_url(name)}
    except SettingsError as error:
        return {"problem": error.problem, "remedy": error.next_step}


def _has_metadata() -> bool:
    url = conf.get("database", "sql_alchemy_conn")
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).is_file()


if __name__ == "__main__":
    json.dump(facts(sys.argv[1:]), sys.stdout)
