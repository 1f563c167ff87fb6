"""What a run waits for, and the trigger that watches for it in Airflow's triggerer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

from tidemill.intervals import Partition
from tidemill.spec import ModelSpec, Ready
from tidemill_airflow.schedules import partition_of_run

__all__ = ["ReadyTrigger", "Waiting"]

POLL_S = 15.0  # a query takes 10 ms of processor time: 0.04 s per minute
ASSETS_EVERY = timedelta(minutes=5)
"""Time between two checks of the assets. A trigger cannot read their events, so each check starts the task."""
OLDEST_EVENT = timedelta(days=31)
"""Time before a partition's start from which events of its assets count."""


class ReadyTrigger(BaseTrigger):
    """Fire when a ready query returns true, or at an instant, whichever comes first.

    It keeps no state, so a restart is harmless.

    Parameters
    ----------
    query : dict or None
        ``connection``, ``sql``, ``file`` and ``parameters`` of the query; None to wait for the instant only.
    until : datetime or None
        The instant; None to wait for the query only.
    """

    def __init__(self, *, query: dict[str, Any] | None, until: datetime | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.query, self.until = query, until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and arguments from which Airflow rebuilds the trigger."""
        return f"{type(self).__module__}.{type(self).__name__}", {"query": self.query, "until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the query returns true or the instant has come; an error in the query fails the task's attempt."""
        while not await asyncio.to_thread(self._fires):
            left = POLL_S if self.until is None else (self.until - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(max(0.0, min(POLL_S, left) if self.query else left))
        yield TriggerEvent(True)

    def _fires(self) -> bool:
        from tidemill.warehouse.readiness import ask_ready
        from tidemill_airflow.connections import connection_url

        if self.until is not None and datetime.now(UTC) >= self.until:
            return True
        if self.query is None:
            return False
        asked = self.query
        return ask_ready(connection_url(asked["connection"]), asked["sql"], asked["file"], asked["parameters"])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a run waits for, and its deadline."""

    query: dict[str, Any] | None
    """The ready query, as the trigger takes it."""
    missing: tuple[str, ...]
    """Assets that have no event of the partition yet."""
    tick: datetime
    """Instant for which the run was scheduled, or at which it was triggered."""
    deadline: datetime | None
    """Instant from which the run is late."""

    @classmethod
    def of(cls, context: Context, model: str, chain: str) -> "Waiting":
        """Return what the run of a task waits for now."""
        from tidemill_airflow.workspaces import workspace_of

        workspace = workspace_of(context)
        spec, tick = workspace.spec(model), context["dag_run"].run_after
        partition = spec.asked(partition_of_run(context, spec))
        ready = getattr(spec, chain).ready or Ready.model_construct()  # the spec may have changed while the task waited
        return cls(
            query=_query(workspace, spec, partition, ready.query, context["params"].get("cutoff")),
            missing=tuple(name for name in ready.after if not _has_event(name, partition)),
            tick=tick,
            deadline=spec.deadline(tick) if chain == "predict" else None,
        )

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and datetime.now(UTC) >= self.deadline

    def trigger(self) -> ReadyTrigger:
        """Return what wakes the task: a ready query that returns true, the deadline, or the next check of the assets."""
        until = None if self.is_over else self.deadline
        if not self.missing:
            return ReadyTrigger(query=self.query, until=until)
        look = datetime.now(UTC) + ASSETS_EVERY
        return ReadyTrigger(query=None, until=min(look, until or look))


def _query(
    workspace: Any, spec: ModelSpec, partition: Partition, file: str | None, cutoff: str | None
) -> dict[str, Any] | None:
    if file is None:
        return None
    from tidemill.steps.data.extract import query_parameters  # loads Arrow, which the triggerer does not need

    known = partition.cutoff if cutoff is None else datetime.fromisoformat(cutoff)
    parameters = query_parameters(partition.interval, known)
    text = workspace.query(file)
    return {"connection": spec.source.connection, "sql": text, "file": file, "parameters": parameters}


def _has_event(asset: str, partition: Partition) -> bool:
    """Whether an asset has an event with the partition's key."""
    from airflow.sdk.execution_time.context import InletEventsAccessor

    events = InletEventsAccessor(asset_name=asset).after((partition.interval.start - OLDEST_EVENT).isoformat())
    return any(event.partition_key == partition.key for event in events)
