"""What came of a past that was lived again under one policy: the values that a child process hands to its parent."""

from dataclasses import dataclass
from enum import StrEnum

from tidemill.records import Record

__all__ = ["Opened", "Outcome", "Policy", "Stopped", "Trained"]


class Policy(StrEnum):
    """When a challenger is trained; whether it serves is always the gate's decision."""

    NEVER = "never"
    """Once at the beginning, and never again."""
    WEEKLY = "weekly"
    """Every seven days, whatever the monitors say."""
    SPEC = "spec"
    """When the spec's retrain policy says so."""

    @property
    def called(self) -> str:
        """The policy as its reader calls it.

        Examples
        --------
        >>> Policy.SPEC.called
        'this policy'
        """
        return {Policy.NEVER: "no retraining", Policy.WEEKLY: "weekly retraining"}.get(self, "this policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(Record):
    """One training."""

    partition: str
    """Key of the partition as of which it was trained."""
    verdict: str
    """The gate's: ``accept``, ``reject`` or ``not_enough_evidence``."""
    reason: str
    """The gate's first reason."""
    promoted: bool
    """Whether it served from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Record):
    """One alert."""

    rule: str
    """Name of the rule, e.g. ``drift:temp``."""
    severity: str
    """``fail`` or ``warn``."""
    first_partition: str
    """Key of the partition that opened it."""
    last_partition: str
    """Key of the last partition that it spoke of."""
    message: str
    """What it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Record):
    """A partition whose chain ended in an error, as it would have in production."""

    partition: str
    """Key of the partition."""
    chain: str
    """``train``, ``predict``, ``monitor`` or ``retrain``."""
    error: str
    """Class and words of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Record):
    """One policy's past."""

    policy: Policy
    """The policy."""
    quality: dict[str, float | None]
    """The acceptance metric of each published partition, with all labels that ever came; None where undefined."""
    trained: tuple[Trained, ...]
    """Trainings in order."""
    alerts: tuple[Opened, ...]
    """Alerts in order; the monitors run under ``spec`` alone."""
    stopped: tuple[Stopped, ...]
    """Chains that ended in an error."""
