"""Building blocks of other records: verdicts and figures."""

import math
from dataclasses import dataclass
from enum import StrEnum

from tidemill.record import Record

__all__ = ["Decision", "MetricValue", "Record", "Severity", "Verdict", "percent", "significant"]


def significant(value: float, digits: int = 3) -> str:
    """Return a number as text with the given significant digits; from 1,000 on, with all whole digits and no exponent.

    Examples
    --------
    >>> significant(0.01234), significant(1020.4), significant(999.7), significant(12345.6, 4)
    ('0.0123', '1,020', '1,000', '12,346')
    """
    large = 10**digits - 0.5 <= abs(value) < 1e15
    return f"{value:,.0f}" if large else f"{value:.{digits}g}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share from 0 to 1 in percent, with at most the given decimals; a positive share is never shown as zero.

    Examples
    --------
    >>> percent(0.0283), percent(0.0002), percent(0.0), percent(float("nan")), percent(0.0667, 2)
    ('2.8 %', '< 0.1 %', '0 %', 'not defined', '6.67 %')
    """
    if share is None or not math.isfinite(share):
        return "not defined"
    least = 10.0**-digits
    if 0 < 100 * share < least:
        return f"< {least:.{digits}f} %"
    return f"{100 * share:.{digits}f} %".replace(f".{'0' * digits} %", " %")


class Severity(StrEnum):
    """Severity of a failed expectation or an alert."""

    FAIL = "fail"
    WARN = "warn"
    QUARANTINE = "quarantine"
    """Of an expectation only: the rows that break it are set aside."""


class Verdict(StrEnum):
    """The outcome of a decision."""

    ACCEPT = "accept"
    REJECT = "reject"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue(Record):
    """One figure with its uncertainty."""

    name: str
    """Name, e.g. ``roc_auc`` or ``psi``."""
    value: float
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end of its 95 % interval."""
    n: int | None = None
    """Rows behind it."""
    feature: str | None = None
    """Feature it applies to, if any."""
    slice: str | None = None
    """Slice it applies to, e.g. ``origin=EWR``; None for all rows."""
    standard_error: float | None = None
    """Standard error from blocks of time; None where no decision uses it."""
    n_blocks: int | None = None
    """Number of blocks of time (partitions) behind it."""
    label_coverage: float | None = None
    """Share of rows whose label is known, 0 to 1; None where no label is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Record):
    """A recorded yes or no with its reasons."""

    kind: str
    """``accept`` (the gate on a model), ``approve`` (a person on a model), ``retrain``, ``inspect`` (the rules on a run),
    ``publish`` (a person on a withheld run) or ``shadow`` (whether a release in the shadow replaces the champion)."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """One sentence per criterion, decisive ones first."""
    decision_id: int | None = None
    """Row in ``tidemill.decision`` once it is recorded."""
    by: str = ""
    """Person who decided; empty if a rule decided or no one answered."""

    @property
    def accepted(self) -> bool:
        """Whether the verdict is ``accept``; any unclear verdict counts as a refusal."""
        return self.verdict is Verdict.ACCEPT
