"""The outbox: messages about alerts to be sent, each claimed by one sender at a time.

A sender claims a message, sends it, and then records it as sent. If it dies in between, the claim expires and the message
is sent again, under the same key. So delivery is at least once, and a second copy is recognisable. No lock is held while
a message is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidemill.records import AlertEvent, Severity
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["LEASE", "Outbox", "Told", "WaitingMessage"]

LEASE = timedelta(minutes=10)
"""How long a claim holds: longer than any sending takes, whose time-outs add up to two minutes."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of one alert, as a message reports it."""

    event_id: int
    """Row in ``tidemill.alert_event``."""
    alert_id: int
    """Row in ``tidemill.alert``."""
    event: AlertEvent
    partition: str
    """Partition with which it happened."""
    rule: str
    """Rule of the alert."""
    severity: Severity
    """Severity at that time."""
    message: str
    """What happened, how severe it is, and what to do."""
    value: float
    """Observed figure."""
    threshold: float
    """Figure that it crossed."""
    first_partition: str
    """Since when."""
    owner: str
    """Person or team responsible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessage:
    """A message that this sender has claimed."""

    message_id: int
    """Row in ``tidemill.alert_message``."""
    key: str
    """The same in every attempt."""
    model: str
    partition: str
    """Partition that it is about."""
    channel: str
    attempts: int
    """Attempts so far, this one among them."""
    created_at: datetime
    """When it was put into the outbox."""
    events: tuple[Told, ...] = ()
    """Its events, what needs action first."""
    roots: tuple[tuple[str, tuple[Told, ...]], ...] = ()
    """Key and events of the messages by which this channel first heard of the same alerts, oldest first; the message
    itself is not among them."""
    audit_head: str = ""
    """Newest row of the audit, with its hash: an anchor outside the database."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """The sender's view of the outbox."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def claim(
        self, now: datetime, *, model: str | None = None, without: Sequence[str] = (), after: int = 0
    ) -> WaitingMessage | None:
        """Claim and return the oldest message that is due, or None.

        Parameters
        ----------
        now : datetime
            Instant at which it must be due.
        model : str, optional
            Only messages about this model.
        after : int, default 0
            Only messages with a greater id.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "claim_message", now=now, lease=LEASE, model=model, without=list(without), after=after)
            row = cursor.fetchone()
            if row is None:
                return None
            *fields, event_ids = row
            names = ("message_id", "key", "model", "partition", "channel", "attempts", "created_at")
            events = _told(cursor, event_ids)
            roots = _roots(cursor, row[0], row[4], [event.alert_id for event in events])
            execute(cursor, "audit_head")
            head = "".join(f"row {audit_id}, {digest}" for audit_id, digest, _ in cursor.fetchall())
            return WaitingMessage(**dict(zip(names, fields, strict=True)), events=events, roots=roots, audit_head=head)

    def sent(self, message: WaitingMessage, now: datetime) -> None:
        """Record that a message went out."""
        with transaction(self.url) as cursor:
            execute(cursor, "mark_message_sent", now=now, message_id=message.message_id)

    def failed(self, message: WaitingMessage, error: str, now: datetime) -> datetime:
        """Record a failed attempt; return the instant of the next one, after twice the last pause."""
        doubled: int = 2 ** min(message.attempts - 1, 10)
        pause = min(FIRST_PAUSE * doubled, LONGEST_PAUSE)
        with transaction(self.url) as cursor:
            execute(cursor, "mark_message_failed", next_try=now + pause, error=error, message_id=message.message_id)
        return now + pause

    def postpone(self, channel: str, until: datetime) -> None:
        """Postpone everything that waits for a dead channel, so that it goes out in order afterwards."""
        with transaction(self.url) as cursor:
            execute(cursor, "postpone_messages", until=until, channel=channel)

    def n_waiting(self, model: str | None = None) -> int:
        """Count the messages that have not gone out."""
        with transaction(self.url) as cursor:
            execute(cursor, "count_waiting_messages", model=model)
            return int(fetch_value(cursor))

    def page(self, model: str, partition: str) -> str | None:
        """Return the folder of the newest monitoring page of a partition, relative to the storage root."""
        with transaction(self.url) as cursor:
            execute(cursor, "monitoring_page", model=model, partition=partition)
            found: str | None = fetch_value(cursor)
            return found


def _told(cursor: Cursor, event_ids: Sequence[int]) -> tuple[Told, ...]:
    execute(cursor, "events", event_ids=list(event_ids))
    return fetch_all(cursor, Told)


def _roots(
    cursor: Cursor, message_id: int, channel: str, alert_ids: Sequence[int]
) -> tuple[tuple[str, tuple[Told, ...]], ...]:
    execute(cursor, "root_messages", alert_ids=list(alert_ids), channel=channel, message_id=message_id)
    return tuple((key, _told(cursor, event_ids)) for _, key, event_ids in cursor.fetchall())
