"""Look up one entity: its newest published row with the whole trace, and what else was predicted for it."""

from datetime import datetime
from typing import Any

from tidemill.records import RowLookup, RowVersion
from tidemill.warehouse.connections import Cursor, fetch_all, transaction
from tidemill.warehouse.predictions.trace import trace
from tidemill.warehouse.statements import execute

__all__ = ["N_SEARCHED", "look_up_row"]

N_SEARCHED = 90  # newest published partitions; planning a query without a partition would consider all runs
N_VERSIONS = 20  # newest runs of a partition


def look_up_row(url: str, model: str, entity_key: str, partition: str | None = None) -> RowLookup | None:
    """Return the newest published row of an entity; None if the searched partitions have none.

    Parameters
    ----------
    url : str
        Connection; any role may read.
    partition : str, optional
        Partition to search; the newest 90 by default.
    """
    with transaction(url) as cursor:
        execute(cursor, "newest_runs", model=model, partition=partition, limit=N_SEARCHED)
        runs = cursor.fetchall()
        found = [key for key, run_id in runs if _has_row(cursor, model, key, run_id, entity_key)]
        if not found:
            return None
        history = tuple(version for key in found for version in _versions(cursor, model, key, entity_key))
    return RowLookup(
        model=model,
        entity_key=entity_key,
        partition=found[0],
        trace={name: _plain(value) for name, value in trace(url, model, entity_key, found[0]).items()},
        history=history,
    )


def _has_row(cursor: Cursor, model: str, partition: str, prediction_run_id: int, entity_key: str) -> bool:
    of = {"model": model, "partition": partition, "prediction_run_id": prediction_run_id}
    execute(cursor, "row_exists", **of, entity_key=entity_key)
    return cursor.fetchone() is not None


def _versions(cursor: Cursor, model: str, partition: str, entity_key: str) -> list[RowVersion]:
    execute(cursor, "row_versions", model=model, partition=partition, entity_key=entity_key, limit=N_VERSIONS)
    return list(fetch_all(cursor, RowVersion))


def _plain(value: Any) -> Any:
    """Return a value of the trace as a page shows it."""
    return f"{value:%Y-%m-%d %H:%M:%S %Z}" if isinstance(value, datetime) else value
