"""Records about building again what was built before, and comparing the two."""

from dataclasses import dataclass
from enum import StrEnum

from tidemill.records.figures import Record

__all__ = ["Likeness", "ReproducedStep", "Reproduction"]


class Likeness(StrEnum):
    """How like two results are."""

    BIT_EQUAL = "bit_equal"
    WITHIN_TOLERANCE = "within_tolerance"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedStep(Record):
    """One step done again, compared with its original result."""

    step: str
    """``extract``, ``snapshot``, ``prepare``, ``train``, ``evaluate`` or ``predict``."""
    verdict: Likeness
    """How like the two are."""
    found: str
    """What was compared, and where the two differ; a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction(Record):
    """A release, or one of its prediction runs, built again from what the ledger knows of it."""

    model: str
    """Name of the model."""
    partition: str
    """Partition of the release's training, or of the prediction run."""
    release_id: int
    """Release that was built again."""
    prediction_run_id: int | None
    """Prediction run that was scored again, if one was."""
    verdict: Likeness
    """That of the step that is least like."""
    steps: tuple[ReproducedStep, ...]
    """In the order of the chain; nothing after a step that gave nothing to go on with."""
    changes: tuple[str, ...]
    """What is not as it was then: spec, queries, code, packages, machine; one phrase each."""
    as_declared: bool = False
    """True if today's spec and queries were used, and not those of then."""
    reproduction_id: int | None = None
    """Row in ``tidemill.reproduction`` once it is recorded."""
