"""Sections about daily operation: prediction, monitoring, retraining, reproduction, tests and retention."""

import math
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tidemill.intervals import Every, duration_words
from tidemill.spec.alerting import PERSISTENCE, RULES, Rule, parse_persistence
from tidemill.spec.data import Ready
from tidemill.spec.kinds import Clock, Cron, Duration, Name, Part

__all__ = [
    "Case",
    "Monitor",
    "OnEmpty",
    "Predict",
    "Quarantine",
    "Reproduce",
    "Retention",
    "Retrain",
    "Tests",
    "Then",
    "Unanswered",
    "Withhold",
    "require_fit",
]

_LONGEST = {
    Every.HOUR: timedelta(hours=1),
    Every.DAY: timedelta(days=1),
    Every.WEEK: timedelta(days=7),
    Every.MONTH: timedelta(days=31),
}
"""Time that holds the start of a whole partition, wherever it begins."""


class OnEmpty(StrEnum):
    """What happens to a partition without rows."""

    FAIL = "fail"
    PUBLISH = "publish"


class Then(StrEnum):
    """What happens to a partition that is not ready at its deadline."""

    WAIT = "wait"
    PREDICT = "predict"
    SKIP = "skip"


class Unanswered(StrEnum):
    """What happens to a withheld run when nobody has decided in time."""

    KEEP = "keep"
    PUBLISH_MARKED = "publish_marked"


class Withhold(Part):
    """What happens to a run that differs too much from the model's past."""

    after: Duration = timedelta(hours=4)
    """Time that Airflow waits for a person's decision."""
    then: Unanswered = Unanswered.KEEP
    """After that. ``keep``: the run stays withheld. ``publish_marked``: it is published and marked."""


class Quarantine(Part):
    """How many rows of a partition may be set aside; with more, the run fails."""

    rows: Annotated[int, Field(ge=0)] | None = None
    """Maximum number of rows; null for no limit but the share."""
    share: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Maximum share of the rows. It also limits the rows of a training window."""

    def limit(self, n_rows: int) -> int:
        """Return how many of a partition's rows may be set aside.

        Examples
        --------
        >>> Quarantine(share=0.29).limit(100), Quarantine(rows=5).limit(1000), Quarantine().limit(99)
        (29, 5, 0)
        """
        of_all = math.floor(self.share * n_rows + 1e-9)  # 0.29 * 100 is below 29
        return of_all if self.rows is None else min(self.rows, of_all)


class Predict(Part):
    """When and how a partition is scored."""

    schedule: Cron | None = "0 5 * * *"
    """Cron expression in the model's time zone."""
    offset: Annotated[int, Field(ge=-366, le=366)] = 0
    """Partition of a scheduled run, counted from the one that contains its time: -1 is the previous partition, 0 the
    current one, 1 the next. It applies to every schedule of the model."""
    ready: Ready | None = None
    """What a run waits for; null to start at once."""
    by: Clock | None = None
    """Deadline of a run: the first such time of day after its tick, in the model's time zone."""
    then: Then = Then.WAIT
    """What happens at the deadline to a partition that is not ready."""
    on_empty: OnEmpty = OnEmpty.FAIL
    """``fail``: an empty partition is an error. ``publish``: it is published and marked as empty."""
    reasons: Annotated[int, Field(ge=0, le=50)] = 0
    """Number of features with the largest contributions to store with each score; 0 stores none."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Threads that score a partition; by default, one per processor. The scores do not depend on it."""
    shard_rows: Annotated[int, Field(ge=1)] | None = None
    """Maximum rows per scoring task; a larger partition is split into shards. By default, one task scores all rows."""
    withhold: Withhold | None = Withhold()
    """What happens to rows that differ too much from the model's past; null to publish them all."""
    lookback: Duration | None = None
    """Time before a run's partition in which published partitions are read again after it; those whose rows have changed
    are scored and published again. Null to read none."""
    quarantine: Quarantine = Quarantine()
    """How many rows may be set aside because they break an expectation of severity ``quarantine``, or because their score
    is not a number."""

    @model_validator(mode="after")
    def _then_needs_a_deadline(self) -> Self:
        if self.then is not Then.WAIT and (self.by is None or self.ready is None):
            raise ValueError("then says what happens when the data are not ready in time; it needs ready and by")
        return self


def require_fit(predict: Predict, every: Every) -> None:
    """Refuse a schedule or a look back that does not fit the length of the partitions.

    Raises
    ------
    ValueError
        About the first.
    """
    if every is Every.HOUR and "schedule" not in predict.model_fields_set:
        raise ValueError(
            f"predict.schedule: with hourly partitions, {predict.schedule!r} would score one per day; write, for example, "
            "'5 * * * *', or null"
        )
    if predict.lookback and predict.lookback < _LONGEST[every]:
        raise ValueError(
            f"predict.lookback: {duration_words(predict.lookback)} may hold no partition of a {every.value}, so nothing "
            f"would be read again; write '{duration_words(_LONGEST[every])}' or more"
        )


class Monitor(Part):
    """When a partition is monitored, and the thresholds for alerts."""

    schedule: Cron | None = "0 8 * * *"
    """Cron expression in the model's time zone."""
    ready: Ready | None = None
    """What a run waits for; null to start at once."""
    lookback: Duration = timedelta(days=28)
    """Time before a partition in which measured partitions are measured again if their labels or rows have changed. The
    newest seven matured ones always are."""
    psi: Annotated[float, Field(gt=0)] = 0.2
    """Population stability index from which a feature or the score counts as drifted."""
    drift_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the model's importance held by drifted features that triggers an alert."""
    null_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Absolute increase of a feature's share of nulls that triggers an alert."""
    label_coverage: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of rows of a matured partition that should have a label."""
    compute_ratio: Annotated[float, Field(gt=1)] = 2.0
    """Ratio of a step's seconds or memory to its trailing median that triggers an alert."""
    volume_ratio: Annotated[float, Field(gt=1)] = 1.6
    """Factor above or below the usual row count of the same weekday that triggers an alert."""
    model_age: Duration = timedelta(days=60)
    """Age of the release's newest training data that triggers an alert."""
    rules: dict[str, Rule] = Field(default_factory=dict)
    """Severity, persistence and owner per family of rules."""

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, value: dict[str, Rule]) -> dict[str, Rule]:
        unknown = sorted(set(value) - set(RULES))
        if unknown:
            raise ValueError(f"unknown rule {', '.join(unknown)}; valid rules: {', '.join(RULES)}")
        return value


class Retrain(Part):
    """When a challenger is trained outside the regular schedule."""

    schedule: Cron | None = "0 9 * * *"
    """Cron expression in the model's time zone."""
    cooldown: Duration = timedelta(days=7)
    """Minimum time between two trainings; each consecutive rejected challenger doubles it, up to a factor of eight."""
    budget: Annotated[int, Field(ge=1)] = 8
    """Maximum number of trainings in 30 days."""
    max_age: Duration = timedelta(days=30)
    """Age of the champion's newest training row from which it is retrained in any case."""
    drift_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the model's importance held by drifted features from which a partition counts as drifted."""
    persistence: Annotated[str, Field(pattern=PERSISTENCE)] = "3 of 5"
    """How many of the newest partitions must have drifted."""
    cost: Annotated[float, Field(gt=0)] | None = None
    """Price of a training; with ``worth``, it is due once the expected loss of waiting exceeds it. Null for no price."""
    worth: Annotated[float, Field(gt=0)] | None = None
    """Worth of one unit of the acceptance metric for one day, in the unit of ``cost``."""
    min_labels: Annotated[int, Field(ge=0)] = 0
    """Minimum labels that have matured since the newest training, for any training after the first."""
    quality_drop: Annotated[float, Field(ge=0)] | None = None
    """Tolerated deterioration of the acceptance metric, relative for errors in the label's unit; null for 15 % of the
    champion's lead over ``prior`` at acceptance."""

    @model_validator(mode="after")
    def _priced_by_both(self) -> Self:
        if (self.cost is None) != (self.worth is None):
            raise ValueError("a price of retraining needs both cost and worth")
        return self

    @field_validator("persistence")
    @classmethod
    def _can_be_met(cls, value: str) -> str:
        parse_persistence(value)
        return value


class Reproduce(Part):
    """When a randomly chosen release that has served is rebuilt and compared."""

    schedule: Cron | None = "0 6 * * 0"
    """Cron expression in the model's time zone; null for manual runs only."""


class Case(Part):
    """A row, and the range of its score; a feature that it does not name has its median or its most frequent value."""

    row: Annotated[dict[Name, float | bool | str | None], Field(min_length=1)]
    """Values by feature."""
    minimum: float | None = None
    """Minimum of the score; null for none."""
    maximum: float | None = None
    """Maximum of the score; null for none."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.minimum is None and self.maximum is None:
            raise ValueError("a case needs a minimum, a maximum or both")
        return self


class Tests(Part):
    """Tests of the model on a sample of its source, in a database of their own."""

    schedule: Cron | None = None
    """When the DAG ``<model>_test`` runs, as a cron expression in the model's time zone; null for no such DAG."""
    directions: dict[Name, Literal["increasing", "decreasing"]] = Field(default_factory=dict)
    """Features that must raise or lower the mean score when they grow from their 10 % to their 90 % quantile."""
    invariant: dict[Name, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """By feature, the most that a score may change on average if the rows swap their values of it."""
    cases: dict[Name, Case] = Field(default_factory=dict)
    """Rows with a known range of their score, by name."""


class Retention(Part):
    """How long unused data are kept; published data and everything that the champion depends on are never removed."""

    unpublished: Duration = timedelta(days=7)
    """Age from which rows of an unpublished attempt may be removed."""
    superseded: Duration = timedelta(days=90)
    """Time after replacement from which rows may be removed; until then a rollback can restore them."""
    releases: Duration = timedelta(days=400)
    """Time after a release last served from which its bundle, evidence and training data may be removed."""
    challengers: Duration = timedelta(days=90)
    """Time after last use from which a bundle that never served, or its evaluation, may be removed."""
    snapshots: Duration = timedelta(days=400)
    """Time after last use from which a data set that no kept release or run depends on may be removed."""
    reports: Duration = timedelta(days=400)
    """Age from which an analysis, contract or monitoring page may be removed."""
    records: Duration = timedelta(days=800)
    """Age from which the ledger's rows about runs, checks, figures, examinations and sent messages may be removed, unless
    still needed."""

    @field_validator("*")
    @classmethod
    def _longer_than_a_chain(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=1):
            raise ValueError("must be at least 1 day, since a chain may take that long from its first file to its last")
        return value

    @field_validator("records")
    @classmethod
    def _longer_than_the_ledger_allows(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=30):  # equals tidemill.youngest_records: no role may delete younger ones
            raise ValueError("must be at least 30 days: the ledger deletes no younger records")
        return value

    @model_validator(mode="after")
    def _records_outlive_what_they_speak_of(self) -> Self:
        longest = max(self.unpublished, self.superseded, self.releases, self.challengers, self.snapshots, self.reports)
        if self.records < longest:
            raise ValueError(
                f"records must be kept at least as long as what they describe, {longest.days} days: "
                "they show when it was last used"
            )
        return self
