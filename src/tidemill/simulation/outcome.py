"""The outcome of a replay under one policy, which a child process returns to its parent."""

from dataclasses import dataclass
from enum import StrEnum

from tidemill.records import Record

__all__ = ["Held", "Opened", "Outcome", "Policy", "Stopped", "Trained"]


class Policy(StrEnum):
    """When a challenger is trained; the gate always decides whether it serves."""

    NEVER = "never"
    """Only once, at the beginning."""
    WEEKLY = "weekly"
    """Every seven days, whatever the monitors say."""
    SPEC = "spec"
    """When the spec's retrain policy decides so."""

    @property
    def called(self) -> str:
        """The policy's name on pages.

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
    """Key of the partition as of which the model was trained."""
    verdict: str
    """The gate's: ``accept``, ``reject`` or ``not_enough_evidence``."""
    reason: str
    """The gate's first reason."""
    promoted: bool
    """Whether the model was promoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Record):
    """One alert."""

    rule: str
    """Name of the rule, e.g. ``drift:temp``."""
    severity: str
    """``fail`` or ``warn``."""
    first_partition: str
    """Key of the partition that opened the alert."""
    last_partition: str
    """Key of the last partition with the alert."""
    message: str
    """Its last message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Record):
    """A partition whose rows were withheld before readers saw them."""

    partition: str
    rules: tuple[str, ...]
    """Rules that withheld them."""
    reasons: tuple[str, ...]
    """One sentence per finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Record):
    """A partition whose chain failed, as it would have in production."""

    partition: str
    chain: str
    """``train``, ``predict``, ``monitor`` or ``retrain``."""
    error: str
    """Class and message of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Record):
    """The outcome of one policy."""

    policy: Policy
    quality: dict[str, float | None]
    """The acceptance metric of each published partition, with all labels that ever arrived; None where undefined."""
    trained: tuple[Trained, ...]
    """Trainings in chronological order."""
    alerts: tuple[Opened, ...]
    """Alerts in order; the monitors run only under ``spec``."""
    stopped: tuple[Stopped, ...]
    """Chains that failed."""
    withheld: tuple[Held, ...] = ()
    """Partitions whose rows were withheld; the replay then publishes them."""
