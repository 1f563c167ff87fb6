"""Records about reproducing earlier results and comparing both."""

from dataclasses import dataclass
from enum import StrEnum

from tidemill.records.figures import Record

__all__ = ["Likeness", "ReproducedStep", "Reproduction"]


class Likeness(StrEnum):
    """Degree of equality of two results."""

    BIT_EQUAL = "bit_equal"
    WITHIN_TOLERANCE = "within_tolerance"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedStep(Record):
    """A repeated step compared with its original result."""

    step: str
    """``extract``, ``snapshot``, ``prepare``, ``train``, ``evaluate`` or ``predict``."""
    verdict: Likeness
    """Degree of equality of both results."""
    found: str
    """One sentence on what was compared and where both differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction(Record):
    """A release, or one of its prediction runs, reproduced from the ledger."""

    model: str
    partition: str
    """Partition of the training or of the prediction run."""
    release_id: int
    """Reproduced release."""
    prediction_run_id: int | None
    """Rescored prediction run, if any."""
    verdict: Likeness
    """Lowest degree of equality among the steps."""
    steps: tuple[ReproducedStep, ...]
    """Steps in the order of the chain, up to the first without a usable result."""
    changes: tuple[str, ...]
    """Changes since then in spec, queries, code, packages or machine; one phrase each."""
    as_declared: bool = False
    """True if today's spec and queries were used instead of the original ones."""
    reproduction_id: int | None = None
    """Row in ``tidemill.reproduction`` once it is recorded."""
