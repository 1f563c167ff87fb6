"""Alerts in the ledger: what was found, what is open, what has happened, and the outbox of what is to be told.

One transaction takes a partition's findings in, changes the alerts, and puts what its channels are to be told into the
outbox: nothing is told that is not on record, and nothing on record is forgotten by a process that dies. What becomes
of an alert is decided by the caller's function; sending is not done here.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.faults import fault_point
from tidemill.records import Alert, AlertChange, AlertEvent, Examination, OpenAlert, Severity
from tidemill.warehouse.connections import Cursor, fetch_value, transaction

__all__ = ["Alerts", "Decide", "open_alerts"]

Decide = Callable[[Sequence[OpenAlert], Sequence[Examination]], Sequence[AlertChange]]
"""From open alerts and the newest examinations to what becomes of the alerts."""

N_EXAMINATIONS = 100  # newest partitions that are looked back on; no persistence asks for more than 99


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
        """Take a partition's findings in, and do to the alerts what follows from them.

        Parameters
        ----------
        model : str
            Name of the model.
        examination : Examination
            What was found in the partition.
        decide : callable
            Says what becomes of the alerts.
        channels : sequence of (str, Severity)
            Who is told, and from which severity on.
        run_id : int
            The step's run.
        now : datetime
            Instant from which messages may be sent.

        Returns
        -------
        tuple of AlertChange
            What ``decide`` said.
        """
        with transaction(self.url) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('tidemill.alerts'), hashtext(%s))", (model,))
            _insert_examination(cursor, model, examination, run_id)
            changes = tuple(decide(open_alerts(cursor, model), _examinations(cursor, model)))
            told = [_apply(cursor, model, examination.partition, change, run_id) for change in changes]
            events = [(*event, change.alert.severity) for change, event in zip(changes, told, strict=True) if event]
            for channel, least in channels:
                heard = [
                    event_id
                    for event_id, alert_id, severity in events
                    if severity is Severity.FAIL or least is Severity.WARN or _knows(cursor, alert_id, channel)
                ]
                if heard:
                    _enqueue(cursor, model, examination.partition, channel, heard, run_id, now)
            fault_point("alerts-before-commit")
        return changes

    def crossed(self, model: str) -> dict[str, frozenset[str]]:
        """Return the rules that each of a model's newest partitions crossed, as it was last examined."""
        with transaction(self.url) as cursor:
            found = _examinations(cursor, model)
        return {item.partition: frozenset(alert.rule for alert in item.findings) for item in found}

    def open(self, model: str | None = None) -> tuple[OpenAlert, ...]:
        """Return the open alerts of a model, or of all, what needs action first."""
        with transaction(self.url) as cursor:
            return open_alerts(cursor, model)

    def acknowledge(self, alert_id: int, by: str, now: datetime) -> OpenAlert | None:
        """Note that somebody knows of an open alert; gives it, or None if it is not open."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "UPDATE tidemill.alert SET acknowledged_by = %s, acknowledged_at = %s"
                " WHERE alert_id = %s AND status = 'open' RETURNING model",
                (by, now, alert_id),
            )
            row = cursor.fetchone()
            if row is None:
                return None
            details = json.dumps({"alert_id": alert_id, "by": by})
            cursor.execute("SELECT tidemill.append_audit('acknowledge', %s, %s)", (row[0], details))
            return next(item for item in open_alerts(cursor, row[0]) if item.alert_id == alert_id)


def _insert_examination(cursor: Cursor, model: str, examination: Examination, run_id: int) -> None:
    findings = json.dumps([finding.to_dict() for finding in examination.findings])
    cursor.execute(
        "INSERT INTO tidemill.examination (model, partition, parts, findings, run_id) VALUES (%s, %s, %s, %s, %s)",
        (model, examination.partition, list(examination.parts), findings, run_id),
    )


def _examinations(cursor: Cursor, model: str) -> list[Examination]:
    """Return the newest partitions, the newest first, each as it was last examined."""
    cursor.execute(
        "SELECT DISTINCT ON (partition) partition, parts, findings FROM tidemill.examination WHERE model = %s"
        " ORDER BY partition DESC, examination_id DESC LIMIT %s",
        (model, N_EXAMINATIONS),
    )
    return [
        Examination(partition=key, parts=tuple(parts), findings=tuple(Alert.from_dict(item) for item in findings))
        for key, parts, findings in cursor.fetchall()
    ]


def open_alerts(cursor: Cursor, model: str | None) -> tuple[OpenAlert, ...]:
    """Return the open alerts of a model, or of all, what needs action first, within the caller's transaction."""
    cursor.execute(
        "SELECT alert_id, model, rule, severity, message, value, threshold, owner, first_partition, last_partition, told,"
        " told_partition, acknowledged_by FROM tidemill.alert WHERE status = 'open' AND (%(model)s IS NULL"
        " OR model = %(model)s) ORDER BY severity, model, rule",
        {"model": model},
    )
    return tuple(
        OpenAlert(
            alert_id=alert_id,
            model=of,
            owner=owner,
            first_partition=first,
            last_partition=last,
            told=Alert.from_dict(told),
            told_partition=told_partition,
            acknowledged_by=acknowledged,
            alert=Alert(rule=rule, severity=Severity(severity), message=message, value=value, threshold=threshold),
        )
        for (
            alert_id,
            of,
            rule,
            severity,
            message,
            value,
            threshold,
            owner,
            first,
            last,
            told,
            told_partition,
            acknowledged,
        ) in cursor.fetchall()
    )


def _apply(cursor: Cursor, model: str, partition: str, change: AlertChange, run_id: int) -> tuple[int, int] | None:
    """Write a change; gives the ids of its event and alert, or None if it is not worth telling."""
    alert = change.alert
    figures = (alert.severity.value, alert.message, alert.value, alert.threshold)
    span = (change.first_partition, change.last_partition)
    if change.alert_id is None:
        cursor.execute(
            "INSERT INTO tidemill.alert (model, rule, severity, message, value, threshold, first_partition,"
            " last_partition, owner, told, told_partition, run_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING alert_id",
            (model, alert.rule, *figures, *span, change.owner, json.dumps(alert.to_dict()), partition, run_id),
        )
        alert_id = int(fetch_value(cursor))
    else:
        alert_id = change.alert_id
        cursor.execute(
            "UPDATE tidemill.alert SET severity = %s, message = %s, value = %s, threshold = %s, first_partition = %s,"
            " last_partition = %s, run_id = %s, updated_at = now() WHERE alert_id = %s",
            (*figures, *span, run_id, alert_id),
        )
    if change.event is AlertEvent.UPDATED:
        return None
    if change.event is AlertEvent.RESOLVED:
        cursor.execute(
            "UPDATE tidemill.alert SET status = 'resolved', resolved_at = now() WHERE alert_id = %s", (alert_id,)
        )
    else:
        cursor.execute(
            "UPDATE tidemill.alert SET told = %s, told_partition = %s WHERE alert_id = %s",
            (json.dumps(alert.to_dict()), partition, alert_id),
        )
    return _record_event(cursor, alert_id, partition, change, run_id), alert_id


def _record_event(cursor: Cursor, alert_id: int, partition: str, change: AlertChange, run_id: int) -> int:
    alert = change.alert
    cursor.execute(
        "INSERT INTO tidemill.alert_event (alert_id, event, partition, severity, message, value, threshold,"
        " first_partition, run_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING event_id",
        (
            alert_id,
            change.event.value,
            partition,
            alert.severity.value,
            alert.message,
            alert.value,
            alert.threshold,
            change.first_partition,
            run_id,
        ),
    )
    return int(fetch_value(cursor))


def _knows(cursor: Cursor, alert_id: int, channel: str) -> bool:
    """Return whether a channel has been told of an alert, or will be."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM tidemill.alert_message m JOIN tidemill.alert_event e ON e.event_id = ANY (m.event_ids)"
        " WHERE m.channel = %s AND e.alert_id = %s)",
        (channel, alert_id),
    )
    return bool(fetch_value(cursor))


def _enqueue(
    cursor: Cursor, model: str, partition: str, channel: str, event_ids: Sequence[int], run_id: int, now: datetime
) -> None:
    """Put one message about several events into the outbox, and let the channel's waiting ones go out before it."""
    parts: list[Any] = [model, partition, channel, run_id]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    cursor.execute(
        "INSERT INTO tidemill.alert_message (key, model, partition, channel, event_ids, next_try)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (key, model, partition, channel, list(event_ids), now),
    )
    cursor.execute(
        "UPDATE tidemill.alert_message SET next_try = %(now)s"
        " WHERE channel = %(channel)s AND state = 'waiting' AND next_try > %(now)s",
        {"now": now, "channel": channel},
    )
