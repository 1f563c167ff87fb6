"""Records about alerts: findings, open alerts, changes, messages."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tidemill.records.figures import Record, Severity

__all__ = ["Alert", "AlertChange", "AlertEvent", "AlertsRef", "Examination", "OpenAlert", "SentRef"]


class AlertEvent(StrEnum):
    """Change of an alert."""

    OPENED = "opened"
    UPDATED = "updated"
    """It continues; no message is sent."""
    WORSENED = "worsened"
    """It continues and is more severe than in the last message, or twice as far beyond the threshold."""
    REMINDED = "reminded"
    """It continues and has long not been acknowledged."""
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Record):
    """A finding that needs a person's attention."""

    rule: str
    """Stable name of the rule, e.g. ``nulls:dep_hour``; one open alert per model and rule."""
    severity: Severity
    """``fail`` needs action today, ``warn`` a look."""
    message: str
    """Finding, extent and next step in one or two sentences."""
    value: float
    """Observed figure."""
    threshold: float
    """Threshold that the figure crossed."""

    @property
    def family(self) -> str:
        """Name of the rule without its subject.

        Examples
        --------
        >>> Alert(rule="nulls:dep_hour", severity=Severity.WARN, message="", value=1.0, threshold=0.2).family
        'nulls'
        """
        return self.rule.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination(Record):
    """Findings in a partition, whether or not they open an alert."""

    partition: str
    parts: tuple[str, ...]
    """Monitoring parts that examined it, e.g. ``drift``; rules of other parts were not evaluated."""
    findings: tuple[Alert, ...]
    """Alerts of the rules that its figures crossed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlert(Record):
    """An alert that is open."""

    alert_id: int
    """Row in ``tidemill.alert``."""
    model: str
    alert: Alert
    """The alert as last found."""
    owner: str
    first_partition: str
    """Partition in which it was first found."""
    last_partition: str
    """Partition in which it was last found."""
    told: Alert
    """The alert as of the last message."""
    told_partition: str
    """Partition of the last message."""
    acknowledged_by: str | None = None
    """Person who acknowledged it, which stops reminders until it gets worse."""
    acknowledged_at: datetime | None = None
    acknowledged_reason: str = ""
    """Why nobody else has to act; empty in older records."""
    acknowledged_until: datetime | None = None
    """When that ends; None if it lasts until the alert gets worse."""
    dag_id: str | None = None
    """DAG of the step that found it last; None if the command line ran it."""
    dag_run_id: str | None = None
    """Run of the DAG."""
    task_id: str | None = None
    map_index: int | None = None
    """Index of a mapped task; -1 or None if it is not mapped."""
    try_number: int | None = None
    """Attempt, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange(Record):
    """Change of one alert by a partition."""

    event: AlertEvent
    alert: Alert
    """The alert now; a resolved one as last found."""
    owner: str
    """Person or team responsible."""
    first_partition: str
    """Partition in which it was first found."""
    last_partition: str
    """Partition in which it was last found."""
    alert_id: int | None = None
    """The changed open alert; None if it is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsRef(Record):
    """The outcome of ``alert``."""

    alerts: tuple[Alert, ...]
    """Alerts of the rules that the partition's figures crossed."""
    n_open: int
    """Open alerts of the model."""
    changes: tuple[AlertChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRef(Record):
    """The outcome of ``notify``."""

    n_sent: int
    """Sent messages."""
    n_waiting: int
    """Messages waiting for their channel."""
    problems: tuple[str, ...] = ()
    """Reason for the wait, one sentence per channel."""
