"""Records about the ML Test Score: its lines, the evidence for each, and the points."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tidemill.records.figures import Record

__all__ = ["Evidence", "LineScore", "RecordedScore", "ScoreLine", "ScoreSection", "Scorecard"]


class ScoreSection(StrEnum):
    """Section of the rubric."""

    DATA = "data"
    MODEL = "model"
    INFRASTRUCTURE = "infrastructure"
    MONITORING = "monitoring"


class ScoreLine(StrEnum):
    """Line of the rubric, in its order: seven per section."""

    FEATURE_SCHEMA = "feature_schema"
    FEATURE_BENEFIT = "feature_benefit"
    FEATURE_COST = "feature_cost"
    FEATURE_POLICY = "feature_policy"
    PRIVACY = "privacy"
    FEATURE_LEAD_TIME = "feature_lead_time"
    FEATURE_CODE = "feature_code"
    SPEC_REVIEW = "spec_review"
    OFFLINE_ONLINE = "offline_online"
    TUNING = "tuning"
    STALENESS = "staleness"
    SIMPLER_MODEL = "simpler_model"
    SLICES = "slices"
    INCLUSION = "inclusion"
    REPRODUCIBILITY = "reproducibility"
    SPEC_TESTS = "spec_tests"
    INTEGRATION_TEST = "integration_test"
    VALIDATION = "validation"
    DEBUGGING = "debugging"
    CANARY = "canary"
    ROLLBACK = "rollback"
    DEPENDENCIES = "dependencies"
    INVARIANTS = "invariants"
    SKEW = "skew"
    MODEL_AGE = "model_age"
    STABILITY = "stability"
    COMPUTE = "compute"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Record):
    """A row of the ledger that a line rests on."""

    need: str
    """Which of the line's needs it meets."""
    kind: str
    """Table of the ledger."""
    row_id: str
    """Key of the row; of several rows of one run, the first."""
    at: datetime
    """When it was recorded."""
    worth: float
    """Points that it shows: 1, ½, or 0 if it shows the contrary."""
    shows: str
    """Finding in words, with figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineScore(Record):
    """A line with its points."""

    line: ScoreLine
    section: ScoreSection
    title: str
    """The test, as the rubric names it."""
    points: float
    """0, ½ or 1."""
    reason: str
    """Why it has these points, in one sentence."""
    evidence: tuple[Evidence, ...]
    """Newest rows that the line rests on, stale ones too."""
    stale_from: datetime | None
    """When the points are lost if nothing new is recorded; None without points."""
    next_half: str
    """Cheapest way to the next half point; empty with all points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScore(Record):
    """The ML Test Score as monitoring recorded it."""

    partition: str
    """Partition that was monitored."""
    points: dict[str, float]
    """Sum of the points of each section, 0 to 7, by its name."""

    @property
    def score(self) -> float:
        """Smallest of the sums."""
        return min(self.points.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard(Record):
    """The ML Test Score of a model."""

    model: str
    as_of: datetime
    """Instant of the ledger's clock at which evidence and attestations count."""
    lines: tuple[LineScore, ...]
    """All lines, in the rubric's order."""

    def of(self, section: ScoreSection) -> tuple[LineScore, ...]:
        """Return the lines of a section."""
        return tuple(line for line in self.lines if line.section is section)

    @property
    def points(self) -> dict[str, float]:
        """Sum of the points of each section, 0 to 7, by its name."""
        return {section.value: sum(line.points for line in self.of(section)) for section in ScoreSection}

    @property
    def score(self) -> float:
        """Smallest of the sums of the sections."""
        return min(self.points.values())
