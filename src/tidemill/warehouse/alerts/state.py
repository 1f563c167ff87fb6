"""Alerts in the ledger: findings, open alerts, their events, and the outbox of messages about them.

One transaction records a partition's findings, changes the alerts, and puts the messages for the channels into the
outbox. So every message has a record, and no record loses its message if a process dies. The caller's function decides how
alerts change; another module sends.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.errors import FatalError
from tidemill.faults import fault_point
from tidemill.records import Alert, AlertChange, AlertEvent, Examination, OpenAlert, Severity
from tidemill.warehouse.connections import Cursor, fetch_dicts, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["Acknowledgement", "Alerts", "Decide", "open_alerts"]

Decide = Callable[[Sequence[OpenAlert], Sequence[Examination]], Sequence[AlertChange]]
"""From open alerts and the newest examinations to what becomes of the alerts."""

N_EXAMINATIONS = 100  # newest partitions to consider; no persistence needs more than 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """A person's word that they know of an alert."""

    by: str
    reason: str
    """Why nobody else has to act."""
    until: datetime | None = None
    """When that ends; None for until the alert gets worse."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """The writer's view of alerts."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def update(
        self,
        model: str,
        examination: Examination,
        decide: Decide,
        *,
        channels: Sequence[tuple[str, Severity]],
        run_id: int,
        now: datetime,
    ) -> tuple[AlertChange, ...]:
        """Record a partition's findings, change the alerts accordingly, and queue messages about the changes.

        Parameters
        ----------
        channels : sequence of (str, Severity)
            Channels, each with its lowest severity.
        now : datetime
            Instant from which messages may be sent.

        Returns
        -------
        tuple of AlertChange
            What ``decide`` returned.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "lock_alerts")
            examined = _Examined(cursor, model, examination.partition, run_id)
            examined.record(examination)
            return examined.change(decide(open_alerts(cursor, [model]), _examinations(cursor, model)), channels, now)

    def change(
        self,
        model: str,
        partition: str,
        decide: Callable[[Sequence[OpenAlert]], Sequence[AlertChange]],
        *,
        channels: Sequence[tuple[str, Severity]],
        run_id: int,
        now: datetime,
    ) -> tuple[AlertChange, ...]:
        """Change alerts without an examination, and queue messages; arguments and result as for `update`."""
        with transaction(self.url) as cursor:
            execute(cursor, "lock_alerts")
            changes = decide(open_alerts(cursor, [model]))
            return _Examined(cursor, model, partition, run_id).change(changes, channels, now)

    def crossed(self, model: str) -> dict[str, frozenset[str]]:
        """Return the rules that each of a model's newest partitions crossed, as it was last examined."""
        with transaction(self.url) as cursor:
            found = _examinations(cursor, model)
        rules = dict[str, frozenset[str]]()
        for item in found:
            rules[item.partition] = rules.get(item.partition, frozenset()) | {alert.rule for alert in item.findings}
        return rules

    def open(self, model: str | None = None) -> tuple[OpenAlert, ...]:
        """Return the open alerts of a model, or of all, what needs action first."""
        with transaction(self.url) as cursor:
            return open_alerts(cursor, None if model is None else [model])

    def acknowledge(
        self, alert_id: int, said: Acknowledgement, *, now: datetime | None = None, model: str | None = None
    ) -> OpenAlert | None:
        """Record that somebody knows of an open alert and why nobody else has to act.

        Parameters
        ----------
        said : Acknowledgement
            Who knows, why, and until when.
        now : datetime, optional
            Instant of the acknowledgement; by the ledger's clock by default.
        model : str, optional
            Model whose alert it must be; of any by default.

        Returns
        -------
        OpenAlert or None
            The alert, or None if it is not open.

        Raises
        ------
        FatalError
            If the reason is empty, or the acknowledgement would end before it begins.
        """
        if not said.reason.strip():
            raise FatalError("An acknowledgement needs a reason.", "Pass --reason 'why nobody else has to act'.")
        details = {"by": said.by, "reason": said.reason.strip()}
        with transaction(self.url) as cursor:
            at = now or _now(cursor)
            if said.until is not None and said.until <= at:
                raise FatalError(
                    f"An acknowledgement until {said.until:%Y-%m-%d %H:%M %Z} would already be over.",
                    "Choose a later instant, or none for until the alert gets worse.",
                )
            execute(cursor, "acknowledge_alert", **details, until=said.until, now=at, alert_id=alert_id, model=model)
            row = cursor.fetchone()
            if row is None:
                return None
            ends = {} if said.until is None else {"until": said.until.isoformat()}
            event = json.dumps({"alert_id": alert_id, **details, **ends})
            execute(cursor, "append_audit", event="acknowledge", model=row[0], details=event)
            return next(item for item in open_alerts(cursor, [row[0]]) if item.alert_id == alert_id)


def _now(cursor: Cursor) -> datetime:
    execute(cursor, "now")
    instant: datetime = fetch_value(cursor)
    return instant


def _examinations(cursor: Cursor, model: str) -> list[Examination]:
    """Return the newest partitions, newest first, each with the last examination by each step."""
    execute(cursor, "newest_examinations", model=model, limit=N_EXAMINATIONS)
    return [
        Examination(partition=key, parts=tuple(parts), findings=tuple(Alert.from_dict(item) for item in findings))
        for key, parts, findings in cursor.fetchall()
    ]


def open_alerts(cursor: Cursor, models: Sequence[str] | None) -> tuple[OpenAlert, ...]:
    """Return the open alerts of some models, or of all, what needs action first, within the caller's transaction."""
    execute(cursor, "open_alerts", models=None if models is None else list(models))
    return tuple(_open_alert(row) for row in fetch_dicts(cursor))


def _open_alert(row: dict[str, Any]) -> OpenAlert:
    figures = {name: row.pop(name) for name in ("rule", "message", "value", "threshold")}
    alert = Alert(severity=Severity(row.pop("severity")), **figures)
    return OpenAlert(alert=alert, told=Alert.from_dict(row.pop("told")), **row)


@dataclass(frozen=True, slots=True)
class _Event:
    """A recorded event that channels may receive."""

    event_id: int
    alert_id: int
    severity: Severity


@dataclass(frozen=True, slots=True)
class _Examined:
    """The transaction in which the alerts of an examined partition change."""

    cursor: Cursor
    model: str
    partition: str
    run_id: int

    def record(self, examination: Examination) -> None:
        execute(
            self.cursor,
            "insert_examination",
            model=self.model,
            partition=self.partition,
            parts=list(examination.parts),
            findings=json.dumps([finding.to_dict() for finding in examination.findings]),
            run_id=self.run_id,
        )

    def change(
        self, changes: Sequence[AlertChange], channels: Sequence[tuple[str, Severity]], now: datetime
    ) -> tuple[AlertChange, ...]:
        """Write changes, and queue one message per channel about them."""
        events = [event for change in changes if (event := self.apply(change)) is not None]
        for channel, least in channels:
            told = [event.event_id for event in events if _hears(self.cursor, channel, least, event)]
            if told:
                self.enqueue(channel, told, now)
        fault_point("alerts-before-commit")
        return tuple(changes)

    def apply(self, change: AlertChange) -> _Event | None:
        """Write a change; return its event, or None if no channel needs it."""
        alert_id = self._open(change) if change.alert_id is None else self._continue(change, change.alert_id)
        if change.event is AlertEvent.UPDATED:
            return None
        if change.event is AlertEvent.WORSENED:
            execute(self.cursor, "forget_acknowledgement", alert_id=alert_id)
        if change.event is AlertEvent.RESOLVED:
            execute(self.cursor, "resolve_alert", alert_id=alert_id)
        else:
            told = json.dumps(change.alert.to_dict())
            execute(self.cursor, "note_told", told=told, told_partition=self.partition, alert_id=alert_id)
        return _Event(self._record_event(change, alert_id), alert_id, change.alert.severity)

    def enqueue(self, channel: str, event_ids: Sequence[int], now: datetime) -> None:
        """Put one message about several events into the outbox, and make the channel's waiting messages due before it."""
        parts = [self.model, self.partition, channel, self.run_id, *event_ids]
        execute(
            self.cursor,
            "insert_message",
            key=hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32],
            model=self.model,
            partition=self.partition,
            channel=channel,
            event_ids=list(event_ids),
            now=now,
        )
        execute(self.cursor, "release_waiting_messages", now=now, channel=channel)

    def _open(self, change: AlertChange) -> int:
        told = json.dumps(change.alert.to_dict())
        execute(
            self.cursor,
            "open_alert",
            model=self.model,
            owner=change.owner,
            told=told,
            told_partition=self.partition,
            **self._figures(change),
            last_partition=change.last_partition,
            rule=change.alert.rule,
        )
        return int(fetch_value(self.cursor))

    def _continue(self, change: AlertChange, alert_id: int) -> int:
        figures = self._figures(change)
        execute(self.cursor, "update_alert", alert_id=alert_id, last_partition=change.last_partition, **figures)
        return alert_id

    def _record_event(self, change: AlertChange, alert_id: int) -> int:
        of = {"alert_id": alert_id, "event": change.event.value, "partition": self.partition}
        execute(self.cursor, "insert_alert_event", **of, **self._figures(change))
        return int(fetch_value(self.cursor))

    def _figures(self, change: AlertChange) -> dict[str, Any]:
        return {
            "severity": change.alert.severity.value,
            "message": change.alert.message,
            "value": change.alert.value,
            "threshold": change.alert.threshold,
            "first_partition": change.first_partition,
            "run_id": self.run_id,
        }


def _hears(cursor: Cursor, channel: str, least: Severity, event: _Event) -> bool:
    """Whether a channel receives an event: it is severe enough, or the channel already knows its alert."""
    if event.severity is Severity.FAIL or least is Severity.WARN:
        return True
    execute(cursor, "channel_knows_alert", channel=channel, alert_id=event.alert_id)
    return bool(fetch_value(cursor))
