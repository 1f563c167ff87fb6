"""Findings of the doctor: one per check and subject, each with its remedy."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from tidemill.records import Record

__all__ = ["Finding", "Health", "judged", "listed"]

SHOWN = 5  # names in a message


class Health(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Record):
    """Outcome of one check."""

    check: str
    """Stable name, e.g. ``freshness``."""
    subject: str
    """Model or thing that was looked at."""
    severity: Health
    """``fail`` needs action today, ``warn`` a look."""
    message: str
    """What was found, in one sentence."""
    remedy: str = ""
    """What to do about it, in one sentence; empty if the check passed."""

    @classmethod
    def ok(cls, check: str, subject: str, message: str) -> Self:
        """Return a finding that needs nothing."""
        return cls(check=check, subject=subject, severity=Health.OK, message=message)

    @classmethod
    def warn(cls, check: str, subject: str, message: str, remedy: str) -> Self:
        """Return a finding that somebody should look at."""
        return cls(check=check, subject=subject, severity=Health.WARN, message=message, remedy=remedy)

    @classmethod
    def fail(cls, check: str, subject: str, message: str, remedy: str) -> Self:
        """Return a finding that needs action."""
        return cls(check=check, subject=subject, severity=Health.FAIL, message=message, remedy=remedy)


def judged(check: str, subject: str, problems: list[str], well: str, remedy: str) -> Finding:
    """Return one finding about all subjects of a check: a failure with all problems, or ``ok``."""
    if problems:
        return Finding.fail(check, subject, f"{listed(problems)}.", remedy)
    return Finding.ok(check, subject, well)


def listed(names: list[str]) -> str:
    """Return the first few names, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b"])
    'a; b'
    >>> listed([str(number) for number in range(9)])
    '0; 1; 2; 3; 4; and 4 more'
    """
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "; ".join(names[:SHOWN] + more)
