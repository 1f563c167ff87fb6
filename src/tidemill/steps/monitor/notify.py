"""Alerts from a partition's findings by the rules of the spec, and their delivery."""

from dataclasses import replace
from functools import partial

from tidemill.delivery.sending import send_waiting
from tidemill.errors import ChannelUnavailable
from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.monitoring.alerts.persistence import Persistence, decide_changes
from tidemill.records import Alert, AlertsRef, Examination, SentRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec, Rule

__all__ = ["notify", "update_alerts"]


def update_alerts(job: Job, examined: Examination) -> AlertsRef:
    """Open, update and resolve the model's alerts, and put messages into the outbox."""
    spec = job.spec
    judged = replace(examined, findings=tuple(_judged(spec, item) for item in examined.findings))
    changes = job.alerts.update(
        spec.model,
        judged,
        partial(decide_changes, persistence=partial(_persistence, spec), owner=partial(_owner, spec)),
        channels=[(item.channel, item.severity) for item in spec.alerts],
        run_id=job.run_id,
        now=job.ledger.now(),
    )
    return AlertsRef(alerts=judged.findings, n_open=len(job.alerts.open(spec.model)), changes=changes)


@declarations.notify
def notify(job: Job) -> SentRef:
    """Send the model's waiting messages to their channels; runs last, so that the linked page exists.

    Raises
    ------
    ChannelUnavailable
        If a message still waits, so that a dead channel is noticed. No message is lost; a later run sends it again.
    """
    sent = send_waiting(job.workspace, model=job.spec.model)
    if sent.n_waiting:
        why = " ".join(sent.problems) or "They were refused before, and their next attempt is not due yet."
        raise ChannelUnavailable(
            f"{sent.n_waiting} message(s) about alerts of {job.spec.model!r} wait for their channel. {why}",
            "They stay in the outbox; fix the channel, and see 'tidemill alerts --send'.",
        )
    return sent


def _rule(spec: ModelSpec, family: str) -> Rule:
    return spec.monitor.rules.get(family, Rule())


def _owner(spec: ModelSpec, family: str) -> str:
    return _rule(spec, family).owner or spec.owner


def _judged(spec: ModelSpec, found: Alert) -> Alert:
    severity = _rule(spec, found.family).severity
    return found if severity is None else replace(found, severity=severity)


def _persistence(spec: ModelSpec, family: str) -> Persistence:
    chosen = _rule(spec, family).persistence
    if chosen is not None:
        return Persistence.parse(chosen, always=True)
    return Persistence.parse(FAMILIES[family].persistence) if family in FAMILIES else Persistence()
