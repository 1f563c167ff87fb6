"""From a partition's findings to alerts, by the rules of the spec."""

from dataclasses import replace
from datetime import UTC, datetime

from tidemill.monitoring.families import FAMILIES
from tidemill.monitoring.persistence import Persistence, settle
from tidemill.records import Alert, AlertsRef, Examination
from tidemill.spec import ModelSpec, Rule
from tidemill.steps.running import Job

__all__ = ["settle_alerts"]


def settle_alerts(job: Job, examined: Examination) -> AlertsRef:
    """Open, update and resolve the model's alerts, and put what is to be told into the outbox."""
    spec = job.spec
    judged = replace(examined, findings=tuple(_judged(spec, item) for item in examined.findings))
    changes = job.alerts.settle(
        spec.model,
        judged,
        lambda opened, examinations: settle(
            opened,
            examinations,
            persistence=lambda family: _persistence(spec, family),
            owner=lambda family: _rule(spec, family).owner or spec.owner,
        ),
        channels=[(item.channel, item.severity) for item in spec.alerts],
        run_id=job.run_id,
        now=datetime.now(UTC),
    )
    return AlertsRef(alerts=judged.findings, n_open=len(job.alerts.open(spec.model)), changes=changes)


def _rule(spec: ModelSpec, family: str) -> Rule:
    return spec.monitor.rules.get(family, Rule())


def _judged(spec: ModelSpec, found: Alert) -> Alert:
    severity = _rule(spec, found.family).severity
    return found if severity is None else replace(found, severity=severity)


def _persistence(spec: ModelSpec, family: str) -> Persistence:
    chosen = _rule(spec, family).persistence
    if chosen is not None:
        return Persistence.parse(chosen, always=True)
    return Persistence.parse(FAMILIES[family].persistence) if family in FAMILIES else Persistence()
