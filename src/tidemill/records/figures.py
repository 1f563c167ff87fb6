"""What other records are made of: verdicts and figures."""

from dataclasses import dataclass
from enum import StrEnum

from tidemill.record import Record

__all__ = ["Decision", "MetricValue", "Record", "Severity", "Verdict"]


class Severity(StrEnum):
    """How bad a broken expectation or an alert is."""

    FAIL = "fail"
    WARN = "warn"


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
    """The figure."""
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end of its 95 % interval."""
    n: int | None = None
    """Rows behind it."""
    feature: str | None = None
    """Feature that it speaks of, if any."""
    slice: str | None = None
    """Slice that it speaks of, e.g. ``origin=EWR``; None for all rows."""
    standard_error: float | None = None
    """Standard error of the figure, from whole blocks of time; None where nothing is decided on it."""
    n_blocks: int | None = None
    """Blocks of time (partitions) behind it."""
    label_coverage: float | None = None
    """Share of rows whose label is known, 0 to 1; None where no label is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Record):
    """A recorded yes or no with its reasons."""

    kind: str
    """``accept`` (a model), ``approve`` (a person's word on it) or ``retrain``."""
    verdict: Verdict
    """The outcome."""
    reasons: tuple[str, ...]
    """One sentence for each thing that was weighed, decisive ones first."""
    decision_id: int | None = None
    """Row in ``tidemill.decision`` once it is recorded."""
    by: str = ""
    """Person who took it; empty if a rule did or nobody answered."""

    @property
    def accepted(self) -> bool:
        """Whether the verdict is ``accept``: everything unclear refuses."""
        return self.verdict is Verdict.ACCEPT
