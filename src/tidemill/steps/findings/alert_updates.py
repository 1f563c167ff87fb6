"""Alerts from a partition's findings, by the rules of the spec."""

from dataclasses import replace
from functools import partial

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.monitoring.alerts.persistence import Persistence, decide_changes
from tidemill.records import Alert, AlertsRef, Examination
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec, Rule

__all__ = ["judged", "opens_at_once", "owner_of", "update_alerts"]


def update_alerts(job: Job, examined: Examination) -> AlertsRef:
    """Open, update and resolve the model's alerts, and put messages into the outbox."""
    spec = job.spec
    found = replace(examined, findings=judged(spec, examined.findings))
    changes = job.alerts.update(
        spec.model,
        found,
        partial(decide_changes, persistence=partial(_persistence, spec), owner=partial(owner_of, spec)),
        channels=[(item.channel, item.severity) for item in spec.alerts],
        run_id=job.run_id,
        now=job.ledger.now(),
    )
    return AlertsRef(alerts=found.findings, n_open=len(job.alerts.open(spec.model)), changes=changes)


def judged(spec: ModelSpec, findings: tuple[Alert, ...]) -> tuple[Alert, ...]:
    """Return findings with the severities that the spec declares."""
    return tuple(
        found if (severity := _rule(spec, found.family).severity) is None else replace(found, severity=severity)
        for found in findings
    )


def opens_at_once(spec: ModelSpec, found: Alert) -> bool:
    """Return whether a finding opens an alert by itself, without the same finding in other partitions."""
    return _persistence(spec, found.family).met([found])


def _rule(spec: ModelSpec, family: str) -> Rule:
    return spec.monitor.rules.get(family, Rule())


def owner_of(spec: ModelSpec, family: str) -> str:
    """Return who answers for the alerts of a family."""
    return _rule(spec, family).owner or spec.owner


def _persistence(spec: ModelSpec, family: str) -> Persistence:
    chosen = _rule(spec, family).persistence
    if chosen is not None:
        return Persistence.parse(chosen, always=True)
    return Persistence.parse(FAMILIES[family].persistence) if family in FAMILIES else Persistence()
