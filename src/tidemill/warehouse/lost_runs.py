"""Lost steps: their process has died silently, or is frozen. They are found, ended, and closed in the ledger.

The next step of the model does this, ``tidemill gc`` or ``tidemill doctor --repair``. Only the server's sessions and clock
count, so it does not matter on which machine a step ran. This needs no further rights: a role may end its own sessions.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidemill.errors import TidemillError
from tidemill.warehouse.connections import Cursor, fetch_all, transaction
from tidemill.warehouse.statements import execute

__all__ = ["FROZEN_AFTER", "LostRun", "Session", "close_lost_runs", "lost_runs"]

GRACE = timedelta(minutes=1)
"""From its start a step has so long for its first sign of life: a busy machine, a server without a free connection."""

FROZEN_AFTER = timedelta(minutes=10)
"""A process whose sessions have all waited for it for so long is frozen; no library holds Python up for longer."""

LIKELY = 0.5  # of the limit; the last known peak may be a second old, and memory can run out in less
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRun:
    """A step that is ``running`` only in the ledger."""

    run_id: int
    """Row in ``tidemill.run``."""
    model: str
    step: str
    partition: str
    process: str | None
    """Name of its process; None if an older version ran it."""
    peak_rss_bytes: int | None
    """Largest reported resident set, bytes; None if it died within about a second."""
    memory_limit_bytes: int | None
    last_sign: datetime | None
    """Last sign of life at the server; None if it has no session: it is dead, not frozen."""

    @property
    def why(self) -> str:
        """Cause of its end, for the ledger.

        Examples
        --------
        >>> LostRun(run_id=1, model="m", step="train", partition="2024-03-24", process="host:7:1", last_sign=None,
        ...         peak_rss_bytes=1_900_000_000, memory_limit_bytes=2_000_000_000).why
        'Killed, probably for its memory: peak 1.77 GiB of limit 1.86 GiB.'
        """
        if self.last_sign is not None:
            return f"Frozen: no sign of life since {self.last_sign:%Y-%m-%d %H:%M:%S %Z}; its sessions were ended."
        if self.peak_rss_bytes is None or self.memory_limit_bytes is None:
            return "Its process died without a message: killed, crashed, or the machine went down."
        memory = f"peak {self.peak_rss_bytes / _GIB:.2f} GiB of limit {self.memory_limit_bytes / _GIB:.2f} GiB."
        if self.peak_rss_bytes >= LIKELY * self.memory_limit_bytes:
            return f"Killed, probably for its memory: {memory}"
        return f"Its process died without a message: killed, crashed, or the machine went down; {memory}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session of a lost process that was ended."""

    process: str
    role: str
    """Role of the login."""
    query: str
    """Start of its last statement."""
    silent_since: datetime
    """Since when the server has waited for it."""


def lost_runs(
    cursor: Cursor, model: str | None = None, *, frozen_after: timedelta = FROZEN_AFTER
) -> tuple[LostRun, ...]:
    """Return the steps that are running only in the ledger, oldest first.

    Parameters
    ----------
    cursor : cursor
        On the ledger, as the writer, which sees only its own sessions.
    model : str, optional
        One model's; all by default.
    frozen_after : timedelta
        Silence after which a process that still has sessions counts as frozen.
    """
    execute(cursor, "lost_runs", model=model, grace=GRACE, frozen_after=frozen_after)
    return fetch_all(cursor, LostRun)


def close_lost_runs(
    ledger: str, others: Sequence[str] = (), model: str | None = None, *, frozen_after: timedelta = FROZEN_AFTER
) -> tuple[LostRun, ...]:
    """End the remaining sessions of lost steps, and mark the steps as failed, with the known cause.

    A step that is alive after all, or wakes up, loses its connections and overwrites this end with its own.

    Parameters
    ----------
    ledger : str
        Connection of the role ``tidemill_writer``.
    others : sequence of str
        Connections of other roles whose sessions are to be ended: the source's reader, the promoter.
    model : str, optional
        One model's steps; all by default.
    frozen_after : timedelta
        As for ``lost_runs``.
    """
    with transaction(ledger) as cursor:
        lost = lost_runs(cursor, model, frozen_after=frozen_after)
    processes = sorted({run.process for run in lost if run.process is not None})
    sessions = [session for url in (ledger, *others) for session in _end_sessions(url, processes)] if processes else []
    for run in lost:
        _close(ledger, run, [session for session in sessions if session.process == run.process])
    return lost


def _end_sessions(url: str, processes: list[str]) -> tuple[Session, ...]:
    with suppress(TidemillError), transaction(url) as cursor:  # must work even if the source is down
        execute(cursor, "end_sessions", processes=processes)
        return fetch_all(cursor, Session)
    return ()


def _close(ledger: str, run: LostRun, sessions: list[Session]) -> None:
    with transaction(ledger) as cursor:
        execute(cursor, "close_lost_run", error=run.why, run_id=run.run_id)
        if cursor.fetchone() is None:  # it has ended by itself, or another process was faster
            return
        details = {
            "run_id": run.run_id,
            "step": run.step,
            "partition": run.partition,
            "process": run.process,
            "why": run.why,
            "sessions": [
                {"role": item.role, "query": item.query, "silent_since": str(item.silent_since)} for item in sessions
            ],
        }
        execute(cursor, "append_audit", event="close_run", model=run.model, details=json.dumps(details))
