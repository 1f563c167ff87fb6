"""Records about alerts: findings, open alerts, changes, messages."""

from dataclasses import dataclass
from enum import StrEnum

from tidemill.records.figures import Record, Severity

__all__ = ["Alert", "AlertChange", "AlertEvent", "AlertsRef", "Examination", "OpenAlert", "SentRef"]


class AlertEvent(StrEnum):
    """What has happened to an alert."""

    OPENED = "opened"
    UPDATED = "updated"
    """It goes on; no message is sent."""
    WORSENED = "worsened"
    """It goes on, more severe than in the last message, or twice as far off."""
    REMINDED = "reminded"
    """It goes on, and has not been acknowledged for a while."""
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Record):
    """Something that a person should look at."""

    rule: str
    """Stable name of the rule, e.g. ``nulls:dep_hour``; one open alert a model and rule."""
    severity: Severity
    """``fail`` needs action today, ``warn`` a look."""
    message: str
    """What, how bad and what to do, in one or two sentences."""
    value: float
    """Observed figure."""
    threshold: float
    """Figure that it crossed."""

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
    """What was found in a partition, whether or not it is worth an alert yet."""

    partition: str
    """Key of the partition."""
    parts: tuple[str, ...]
    """Parts of monitoring that looked at it, e.g. ``drift``; the rules of other parts were not asked."""
    findings: tuple[Alert, ...]
    """Rules that its figures crossed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlert(Record):
    """An alert that is open."""

    alert_id: int
    """Row in ``tidemill.alert``."""
    model: str
    """Name of the model."""
    alert: Alert
    """As it was last found."""
    owner: str
    """Who answers for it."""
    first_partition: str
    """Partition in which it was first found: since when."""
    last_partition: str
    """Partition in which it was last found."""
    told: Alert
    """The alert as of the last message."""
    told_partition: str
    """Partition with which they were."""
    acknowledged_by: str | None = None
    """Who has said that they know; reminders stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange(Record):
    """What becomes of one alert with a partition."""

    event: AlertEvent
    """What has happened."""
    alert: Alert
    """As it is now; of a resolved one, as it was last found."""
    owner: str
    """Who answers for it."""
    first_partition: str
    """Partition in which it was first found."""
    last_partition: str
    """Partition in which it was last found."""
    alert_id: int | None = None
    """The open alert that it speaks of; None if it is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsRef(Record):
    """The outcome of ``alert``."""

    alerts: tuple[Alert, ...]
    """Rules that the partition's figures crossed."""
    n_open: int
    """Alerts of the model that are open now."""
    changes: tuple[AlertChange, ...] = ()
    """What became of its alerts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRef(Record):
    """The outcome of ``notify``."""

    n_sent: int
    """Messages that went out."""
    n_waiting: int
    """Messages that wait for their channel."""
    problems: tuple[str, ...] = ()
    """Why, one sentence a channel."""
