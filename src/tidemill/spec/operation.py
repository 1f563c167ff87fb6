"""Sections about the work of every day: predict, monitor, retrain, keep."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from tidemill.spec.alerting import PERSISTENCE, RULES, Rule, parse_persistence
from tidemill.spec.kinds import Cron, Duration, Part

__all__ = ["Monitor", "OnEmpty", "Predict", "Reproduce", "Retention", "Retrain"]


class OnEmpty(StrEnum):
    """What becomes of a partition that has no rows."""

    FAIL = "fail"
    PUBLISH = "publish"


class Predict(Part):
    """When a partition is scored, and what becomes of one without rows."""

    schedule: Cron | None = "0 5 * * *"
    """Cron line in the model's zone."""
    on_empty: OnEmpty = OnEmpty.FAIL
    """``fail``: it is an error. ``publish``: it is published, and marked as empty."""
    reasons: Annotated[int, Field(ge=0, le=50)] = 0
    """How many of the features that moved a row's score most are stored with it; 0 stores none."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Threads that score a partition; as many as there are processors by default. The scores do not depend on it."""
    shard_rows: Annotated[int, Field(ge=1)] | None = None
    """Most rows of a partition that one task scores; several score a longer one. One task for all by default."""


class Monitor(Part):
    """When a partition is looked at, and what is worth an alert."""

    schedule: Cron | None = "0 8 * * *"
    """Cron line in the model's zone."""
    psi: Annotated[float, Field(gt=0)] = 0.2
    """Population stability index of a feature or of the score from which it has drifted."""
    drift_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the model's importance whose features have drifted that is worth an alert."""
    null_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Rise of a feature's share of nulls, in absolute terms, that is worth an alert."""
    label_coverage: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of labels that a matured partition should have."""
    compute_ratio: Annotated[float, Field(gt=1)] = 2.0
    """Seconds or memory of a step against its trailing median that is worth an alert."""
    volume_ratio: Annotated[float, Field(gt=1)] = 1.6
    """Times more or fewer rows than a partition of the same weekday usually has that is worth an alert."""
    model_age: Duration = timedelta(days=60)
    """Age of the release's newest training data that is worth an alert."""
    rules: dict[str, Rule] = Field(default_factory=dict)
    """Severity, persistence and owner of families of rules, by name."""

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, value: dict[str, Rule]) -> dict[str, Rule]:
        unknown = sorted(set(value) - set(RULES))
        if unknown:
            raise ValueError(f"there is no rule {', '.join(unknown)}; rules are {', '.join(RULES)}")
        return value


class Retrain(Part):
    """When a new challenger is trained out of turn."""

    schedule: Cron | None = "0 9 * * *"
    """Cron line in the model's zone."""
    cooldown: Duration = timedelta(days=7)
    """Least time between two trainings; each challenger in a row that is refused doubles it, up to eight times."""
    budget: Annotated[int, Field(ge=1)] = 8
    """Trainings in 30 days from which on no other is started."""
    max_age: Duration = timedelta(days=30)
    """Age of the champion's newest training row from which it is retrained anyway."""
    drift_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the model's importance whose features have drifted, from which a partition has."""
    persistence: Annotated[str, Field(pattern=PERSISTENCE)] = "3 of 5"
    """How many of the newest partitions have to have drifted."""
    quality_drop: Annotated[float, Field(ge=0)] | None = None
    """Change of the acceptance metric for the worse that is tolerated, a share of its figure for errors in the label's unit;
    null for 15 % of the lead over ``prior`` that the champion had at acceptance."""

    @field_validator("persistence")
    @classmethod
    def _can_be_met(cls, value: str) -> str:
        parse_persistence(value)
        return value


class Reproduce(Part):
    """When a release, picked at random among those that served, is built again and compared."""

    schedule: Cron | None = "0 6 * * 0"
    """Cron line in the model's zone; null for by hand alone."""


class Retention(Part):
    """How long what nobody needs any more is kept; what is published and what the champion stands on stays."""

    unpublished: Duration = timedelta(days=7)
    """Age from which the rows of an attempt that was never published may go."""
    superseded: Duration = timedelta(days=90)
    """Time since they were replaced from which rows may go; until then a rollback can bring them back."""
    releases: Duration = timedelta(days=400)
    """Time since it last served from which a release's bundle, evidence and training data may go."""
    challengers: Duration = timedelta(days=90)
    """Time since its last use from which a bundle that never served, or its evaluation, may go."""
    snapshots: Duration = timedelta(days=400)
    """Time since its last use from which a data set that no kept release or run stands on may go."""
    reports: Duration = timedelta(days=400)
    """Age from which a page of analysis, contract or monitoring may go."""
    records: Duration = timedelta(days=800)
    """Age from which the ledger's rows about runs, checks, figures, examinations and sent messages may go, unless needed."""

    @field_validator("*")
    @classmethod
    def _longer_than_a_chain(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=1):
            raise ValueError("keep things for at least 1 day, which a chain may take from its first file to its last")
        return value

    @model_validator(mode="after")
    def _records_outlive_what_they_speak_of(self) -> Self:
        longest = max(self.unpublished, self.superseded, self.releases, self.challengers, self.snapshots, self.reports)
        if self.records < longest:
            raise ValueError(
                f"records must be kept for as long as what they speak of, {longest.days} days: they tell when it was last used"
            )
        return self
