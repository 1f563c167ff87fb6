"""Result of one criterion of the gate."""

import math
from dataclasses import dataclass
from typing import Self

from tidemill.records import Verdict

__all__ = ["Finding", "is_finite"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Verdict and reason of one criterion."""

    verdict: Verdict
    """Verdict of this criterion by itself."""
    reason: str
    """Sentence with the figures."""

    @classmethod
    def of(cls, passed: bool, reason: str) -> Self:
        """Return acceptance if passed, else rejection."""
        return cls(Verdict.ACCEPT if passed else Verdict.REJECT, reason)

    @classmethod
    def refuse(cls, reason: str) -> Self:
        """Return a rejection."""
        return cls(Verdict.REJECT, reason)

    @classmethod
    def undecided(cls, reason: str) -> Self:
        """Return that the evidence does not suffice either way."""
        return cls(Verdict.NOT_ENOUGH_EVIDENCE, reason)

    @classmethod
    def shown(cls, reason: str) -> Self:
        """Return an informational finding, which never rejects."""
        return cls(Verdict.ACCEPT, reason)


def is_finite(value: float | None) -> bool:
    """Return whether a value is a finite number.

    Examples
    --------
    >>> [is_finite(value) for value in (0.5, None, float("nan"), float("inf"))]
    [True, False, False, False]
    """
    return value is not None and math.isfinite(value)
