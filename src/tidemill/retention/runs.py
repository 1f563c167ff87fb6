"""Rows of prediction runs that were never published, or were superseded long ago."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tidemill.retention.removal import Removal
from tidemill.spec import Retention
from tidemill.warehouse.connections import Cursor, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["DueRun", "drop_runs", "due_runs"]

N_PASSES = 3  # a reader that was in the way has often gone by then; each stalls readers for 50 ms at most


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRun:
    """A prediction run that may go."""

    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    status_since: datetime
    """Since when it is what it is; a run that has changed since stays."""
    removal: Removal
    """What the log says about it."""


def due_runs(cursor: Cursor, model: str, limits: Retention, as_of: datetime) -> list[DueRun]:
    """Return the runs that may go."""
    execute(
        cursor, "due_runs", model=model, unpublished=as_of - limits.unpublished, superseded=as_of - limits.superseded
    )
    return [
        DueRun(
            prediction_run_id=number,
            status_since=since,
            removal=Removal(
                model=model,
                kind="prediction_run",
                name=str(number),
                size_bytes=size or 0,
                reason=f"partition {partition}: {status} since {since:%Y-%m-%d}"
                f"{'' if status == 'superseded' else ', never published'}",
            ),
        )
        for number, partition, status, since, size in cursor.fetchall()
    ]


def drop_runs(url: str, due: Sequence[DueRun]) -> Iterator[Removal]:
    """Drop runs one by one; a pass ends at the first that readers block, since each attempt stalls them."""
    waiting = list(due)
    for _ in range(N_PASSES):
        left, reading = [], False
        for item in waiting:
            outcome = "reading" if reading else _drop_run(url, item)
            if outcome in ("reading", "busy"):
                left.append(item)
                reading |= outcome == "reading"
            else:
                yield replace(item.removal, outcome=outcome)
        waiting = left
    yield from (replace(item.removal, outcome="busy") for item in waiting)


def _drop_run(url: str, item: DueRun) -> str:
    """Drop one run's table and record it, in one short transaction."""
    with transaction(url) as cursor:
        execute(
            cursor,
            "collect_prediction_run",
            prediction_run_id=item.prediction_run_id,
            status_since=item.status_since,
            reason=item.removal.reason,
        )
        return str(fetch_value(cursor))
