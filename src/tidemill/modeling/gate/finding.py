"""What the gate finds about one thing that it weighs."""

import math
from dataclasses import dataclass
from typing import Self

from tidemill.records import Verdict

__all__ = ["Finding", "is_number"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing weighed."""

    verdict: Verdict
    """What it alone would decide."""
    reason: str
    """A sentence with the numbers."""

    @classmethod
    def of(cls, passed: bool, reason: str) -> Self:
        """Accept or reject."""
        return cls(Verdict.ACCEPT if passed else Verdict.REJECT, reason)

    @classmethod
    def refuse(cls, reason: str) -> Self:
        """Reject."""
        return cls(Verdict.REJECT, reason)

    @classmethod
    def undecided(cls, reason: str) -> Self:
        """Say that the evidence does not suffice either way."""
        return cls(Verdict.NOT_ENOUGH_EVIDENCE, reason)

    @classmethod
    def shown(cls, reason: str) -> Self:
        """Return what was not weighed: it stops nothing."""
        return cls(Verdict.ACCEPT, reason)


def is_number(value: float | None) -> bool:
    """Return whether a value can be decided on.

    Examples
    --------
    >>> [is_number(value) for value in (0.5, None, float("nan"), float("inf"))]
    [True, False, False, False]
    """
    return value is not None and math.isfinite(value)
