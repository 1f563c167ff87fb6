"""The spec: what a data scientist declares about one model, as frozen objects.

Light on purpose: DAG files import this room while Airflow parses them. Reading the file is
``spec_file``'s work; here are the meaning, the defaults and the rules that tie fields together.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from tidemill.errors import PartitionError
from tidemill.intervals import Every, Interval, Partition, parse_duration
from tidemill.records import Severity

__all__ = [
    "BASELINES",
    "Accept",
    "Expectation",
    "Features",
    "Label",
    "ModelSpec",
    "Monitor",
    "Partitions",
    "Predict",
    "Retention",
    "Retrain",
    "Source",
    "Task",
    "Train",
]

NAME = r"^[a-z][a-z0-9_]{0,47}$"
"""Names become SQL identifiers, folders and DAG ids; 48 leaves room for a suffix within Postgres' 63."""

BASELINES = ("prior", "group_rate", "shallow_tree")
"""Trivial models that are trained beside the candidates, every time, and that a candidate has to beat."""


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _cron(value: str) -> str:
    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise ValueError(f"{value!r} is not a cron line of five fields, such as '0 5 * * *'")
    return value


def _words(value: timedelta) -> str:
    return f"{int(value.total_seconds()) // 60} minutes"


Name = Annotated[str, Field(pattern=NAME)]
Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_words)]
Cron = Annotated[str, AfterValidator(_cron)]
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))]  # beyond, a zone's arithmetic may overflow
SqlFile = Annotated[str, Field(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)*\.sql$")]


class Task(StrEnum):
    """What kind of answer the model gives."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Partitions(_Part):
    """How time is cut into pieces of work."""

    every: Every = Every.DAY
    """Length of a partition."""
    cutoff: Duration = timedelta(0)
    """From a partition's start to the instant as of which its features are known, on the wall clock."""
    first: Day | None = None
    """First day of the source's data; None if it has no known beginning."""
    last: Day | None = None
    """Last day of the source's data, inclusive; None if it goes on."""

    @model_validator(mode="after")
    def _first_before_last(self) -> Self:
        if self.first and self.last and self.last < self.first:
            raise ValueError("first must not be after last")
        return self


class Source(_Part):
    """Where the rows come from."""

    connection: Name = "warehouse"
    """Connection to Postgres: an Airflow connection id, or ``TIDEMILL_CONN_<NAME>``."""
    features: SqlFile
    """Query for the rows of ``[:start, :end)`` as known at ``:cutoff``."""
    labels: SqlFile
    """Query for entity key, label and ``observed_at``."""


class Label(_Part):
    """What is predicted."""

    column: Name
    """Column of the labels query."""
    positive: bool | int | str = True
    """Value that counts as the positive class."""
    matures_after: Duration = timedelta(0)
    """Time from a partition's end until its labels have arrived."""


class Features(_Part):
    """Columns that the model reads; left out, they follow from the types of the features query."""

    numeric: tuple[Name, ...] = ()
    """Numbers and booleans."""
    categorical: tuple[Name, ...] = ()
    """Texts."""

    @model_validator(mode="after")
    def _no_column_twice(self) -> Self:
        names = self.numeric + self.categorical
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} listed twice")
        return self


class Expectation(_Part):
    """One line of the contract, ``expect_…: {column: …, severity: …}``."""

    name: Annotated[str, Field(pattern=r"^expect_[a-z_]+$")]
    """Great Expectations name in snake case."""
    arguments: dict[str, Any] = {}
    """Arguments of the expectation, ``column`` among them."""
    severity: Severity = Severity.FAIL
    """``fail`` stops the run, ``warn`` is recorded."""

    @model_validator(mode="before")
    @classmethod
    def _from_one_key(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "name" in value:
            return value
        if len(value) != 1:
            raise ValueError("write one expectation an entry, such as 'expect_column_to_exist: {column: origin}'")
        name, arguments = next(iter(value.items()))
        rest = dict(arguments or {}) if isinstance(arguments or {}, dict) else None
        if rest is None:
            raise ValueError(f"the arguments of {name} must be a mapping, such as {{column: origin}}")
        severity = rest.pop("severity", Severity.FAIL)
        return {"name": name, "arguments": rest, "severity": severity}


class Train(_Part):
    """When and how a challenger is trained."""

    schedule: Cron | None = "0 4 * * 1"
    """Cron line in the model's zone; null for by hand and by retraining alone."""
    window: Duration = timedelta(days=90)
    """Length of all labelled data used: train, validation and test together."""
    validation: Duration = timedelta(days=14)
    """Part of the window, before the test set, to choose on."""
    test: Duration = timedelta(days=14)
    """Newest part of the window, which nothing is fitted or chosen on."""
    estimators: tuple[Name, ...] = ("xgboost", "hist_gradient_boosting")
    """Candidates, by name."""
    random_state: Annotated[int, Field(ge=0, lt=2**32)] = 20130101
    """Seed of everything random."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of one fit: estimators are fitted side by side, and equal bits need an equal number."""

    @model_validator(mode="after")
    def _room_to_fit(self) -> Self:
        if self.validation + self.test >= self.window:
            raise ValueError("window must be longer than validation and test together")
        if not self.estimators:
            raise ValueError("name at least one estimator")
        return self


class Accept(_Part):
    """What a challenger has to show before it serves."""

    metric: Name = "roc_auc"
    """Metric that decides, higher is better."""
    minimum: float = 0.5
    """Floor of the metric on the test set."""
    margin: Annotated[float, Field(ge=0)] = 0.005
    """How much worse than the champion the interval may reach."""
    slices: tuple[Name, ...] = ()
    """Categorical features by whose values the metric is reported too."""
    approval: Annotated[str, Field(pattern="^automatic$")] = "automatic"
    """``automatic``: the gate's word is enough."""


class Predict(_Part):
    """When a partition is scored."""

    schedule: Cron | None = "0 5 * * *"
    """Cron line in the model's zone."""


class Monitor(_Part):
    """When a partition is looked at, and what is worth an alert."""

    schedule: Cron | None = "0 8 * * *"
    """Cron line in the model's zone."""
    psi: Annotated[float, Field(gt=0)] = 0.2
    """Population stability index of a feature or of the score from which it has drifted."""
    null_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Rise of a feature's share of nulls, in absolute terms, that is worth an alert."""
    label_coverage: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of labels that a matured partition should have."""
    compute_ratio: Annotated[float, Field(gt=1)] = 2.0
    """Seconds or memory of a step against its trailing median that is worth an alert."""


class Retrain(_Part):
    """When a new challenger is trained out of turn."""

    schedule: Cron | None = "0 9 * * *"
    """Cron line in the model's zone."""
    cooldown: Duration = timedelta(days=7)
    """Least time between two trainings."""
    max_age: Duration = timedelta(days=30)
    """Age of the champion's newest training row from which it is retrained anyway."""
    drift_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of drifted features that counts as a drifted partition."""
    persistence: Annotated[str, Field(pattern=r"^[1-9]\d? of [1-9]\d?$")] = "3 of 5"
    """How many of the newest partitions have to have drifted."""
    quality_drop: Annotated[float, Field(ge=0)] = 0.03
    """Fall of the acceptance metric below its figure at acceptance that counts as decay."""

    @field_validator("persistence")
    @classmethod
    def _can_be_met(cls, value: str) -> str:
        n_drifted, n_recent = (int(number) for number in value.split(" of "))
        if n_drifted > n_recent:
            raise ValueError(f"'{value}' can never be met; write such as '3 of 5'")
        return value


class Retention(_Part):
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

    @field_validator("*")
    @classmethod
    def _longer_than_a_chain(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=1):
            raise ValueError("keep things for at least 1 day, which a chain may take from its first file to its last")
        return value


class ModelSpec(_Part):
    """One model, whole."""

    model: Name
    """Name, unique in the folder, the same as the file's."""
    description: str = ""
    """One sentence for people."""
    owner: str = ""
    """Who answers for it, an e-mail address or a team."""
    task: Task
    """Kind of answer."""
    entity_key: Name
    """Column that names a row, unique over all partitions of a window."""
    event_time: Name
    """Column with the time by which rows belong to partitions."""
    timezone: str = "UTC"
    """IANA name; partitions and schedules follow its wall clock."""
    partitions: Partitions = Partitions()
    source: Source
    label: Label
    features: Features | None = None
    contract: tuple[Expectation, ...] = ()
    train: Train = Train()
    accept: Accept = Accept()
    predict: Predict = Predict()
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    retention: Retention = Retention()

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone; write one such as 'America/New_York' or 'UTC'")
        return value

    @field_validator("task")
    @classmethod
    def _supported_task(cls, value: Task) -> Task:
        if value is not Task.BINARY:
            raise ValueError(f"task {value.value!r} is not built yet; this version trains 'binary' models")
        return value

    @model_validator(mode="after")
    def _label_is_no_feature(self) -> Self:
        named = () if self.features is None else self.features.numeric + self.features.categorical
        if self.label.column in named:
            raise ValueError(f"the label {self.label.column!r} is listed as a feature")
        if self.entity_key in named:
            raise ValueError(f"the entity key {self.entity_key!r} is listed as a feature")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the spec's meaning: comments, order of keys and omitted defaults do not count."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def partition(self, key: str) -> Partition:
        """Give the partition of a key, within the model's data.

        Raises
        ------
        PartitionError
            If the key is malformed, or lies before ``partitions.first`` or after ``partitions.last``.
        """
        partition = self.partitions.every.of(key, self.timezone, self.partitions.cutoff)
        day = partition.interval.start.astimezone(ZoneInfo(self.timezone)).date()
        first, last = self.partitions.first, self.partitions.last
        if (first and day < first) or (last and day > last):
            raise PartitionError(
                f"Partition {key!r} lies outside the data of model {self.model!r}, "
                f"which run from {first or 'the beginning'} to {last or 'now'}.",
                "Choose a partition inside, or change partitions.first and partitions.last in the spec.",
            )
        return partition

    def partitions_between(self, first: str, last: str) -> Iterator[Partition]:
        """Give, in order, the partitions from one key to another, both included."""
        start, end = self.partition(first).interval.start, self.partition(last).interval.end
        return self.partitions.every.within(Interval(start=start, end=end), self.timezone, self.partitions.cutoff)

    def local_midnight(self, day: date) -> datetime:
        """Give the first instant of a day in the model's zone."""
        return datetime.combine(day, time(), ZoneInfo(self.timezone))
