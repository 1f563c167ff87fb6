"""The complete spec of one model."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tidemill.errors import PartitionError, SpecError
from tidemill.intervals import Every, Interval, Partition
from tidemill.metrics.definitions import NO_SKILL, default_metric, greater_is_better, is_own
from tidemill.records import ScoreLine
from tidemill.spec.alerting import AlertChannel
from tidemill.spec.attestation import Attestation
from tidemill.spec.data import OBSERVED_AT, Expectation, Features, Label, Partitions, Policy, Source, Task
from tidemill.spec.folds import NO_TIME, STAMP, fold_block
from tidemill.spec.inputs import Engine
from tidemill.spec.kinds import Line, Name, Part, repeated
from tidemill.spec.operation import Monitor, Predict, Reproduce, Retention, Retrain, Tests, require_fit
from tidemill.spec.reserved import ANSWER_COLUMNS, OWN_TABLES, VIEW_COLUMNS, time_zones
from tidemill.spec.training import Accept, Train
from tidemill.spec.without_time import require_no_folds, require_no_time

__all__ = ["ModelSpec"]


class ModelSpec(Part):
    """The complete spec of one model."""

    model: Name
    """Unique name of the model; equal to the file name."""
    description: str = ""
    """One sentence for readers."""
    owner: Line = ""
    """Person or team responsible, as an e-mail address or a name."""
    task: Task
    """Kind of prediction."""
    entity_key: Name
    """Column that identifies a row; unique within a partition, or in the window if labels lack the event time."""
    event_time: Name
    """Column with the time that assigns a row to a partition; ``none`` if rows have no time."""
    timezone: str = "UTC"
    """IANA name of the time zone; partitions and schedules follow its wall clock."""
    draft: bool = True
    """Whether the schedules wait for the first promotion; runs by hand never wait."""
    partitions: Partitions = Partitions()
    source: Source
    label: Label
    features: Features | None = None
    audit: tuple[Name, ...] = ()
    """Columns of the features query by whose values groups are compared, and which the model never reads."""
    weight: Name | None = None
    """Column of either query that says how often a labelled row counts, in fits and in every figure; never a feature."""
    contract: tuple[Expectation, ...] = ()
    train: Train = Train()
    accept: Annotated[Accept, Field(validate_default=True)] = Accept()
    predict: Predict = Predict()
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    alerts: tuple[AlertChannel, ...] = ()
    reproduce: Reproduce = Reproduce()
    retention: Retention = Retention()
    test: Tests = Tests()
    attest: dict[ScoreLine, Attestation] = Field(default_factory=dict)
    """What people vouch for, by line of the ML Test Score."""

    @field_validator("model")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if OWN_TABLES.fullmatch(value):
            raise ValueError(f"{value!r} would collide with a table of the ledger; choose another name")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in time_zones():
            raise ValueError(f"{value!r} is not an IANA time zone; write one such as 'America/New_York' or 'UTC'")
        return value

    @field_validator("accept")
    @classmethod
    def _metric_of_the_task(cls, value: Accept, info: ValidationInfo) -> Accept:
        """Fill in the task's metric and a floor where there is a natural one; refuse a metric of another task."""
        task = info.data.get("task")
        if task is None:  # pydantic reports the task itself
            return value
        metric = value.metric if "metric" in value.model_fields_set else default_metric(task)
        try:
            if not is_own(metric):  # whose code a spec does not load
                greater_is_better(metric, task)
        except SpecError as error:
            raise ValueError(f"{error.problem} {error.next_step}") from None
        minimum = value.minimum if "minimum" in value.model_fields_set else NO_SKILL.get(metric)
        return value.model_copy(update={"metric": metric, "minimum": minimum})

    @field_validator("alerts")
    @classmethod
    def _no_channel_twice(cls, value: tuple[AlertChannel, ...]) -> tuple[AlertChannel, ...]:
        if twice := repeated(item.channel for item in value):
            raise ValueError(f"{', '.join(twice)} listed twice")
        return value

    @model_validator(mode="after")
    def _whole_hours(self) -> Self:
        if self.partitions.every is not Every.HOUR:
            return self
        zone, days = ZoneInfo(self.timezone), (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(n) for n in range(365))
        offsets = {day.astimezone(zone).utcoffset() or timedelta() for day in days}
        if (max(offsets) - min(offsets)) % timedelta(hours=1):
            raise ValueError(
                f"the clocks of {self.timezone} change by half an hour, so its days do not divide into whole hours; "
                "use timezone UTC with hourly partitions"
            )
        return self

    @model_validator(mode="after")
    def _predict_fits_the_partitions(self) -> Self:
        require_fit(self.predict, self.partitions.every)
        return self

    @model_validator(mode="after")
    def _divided_by_time_or_by_key(self) -> Self:
        if self.has_time:
            require_no_folds(self.train)
        else:
            require_no_time(self.train, self.partitions, self.predict)
        return self

    @model_validator(mode="after")
    def _label_is_no_feature(self) -> Self:
        listed = self.listed_features
        named = () if listed is None else listed.numeric + listed.categorical
        others = {"label": self.label.column, "entity key": self.entity_key, "event time": self.time_column}
        for what, name in others.items():
            if name in named:
                raise ValueError(f"the {what} {name!r} is listed as a feature")
        return self

    @model_validator(mode="after")
    def _audit_is_no_feature(self) -> Self:
        listed = self.listed_features
        named = () if listed is None else listed.numeric + listed.categorical
        own = {self.label.column, self.entity_key, self.time_column}
        if strange := sorted(set(self.audit) & {*named, *own}):
            raise ValueError(f"audit names {', '.join(strange)}, which is a feature, the key, the time or the label")
        if twice := repeated(self.audit):
            raise ValueError(f"audit lists {', '.join(twice)} twice")
        read = sorted({*self.train.monotonic} & set(self.audit))
        if read:
            raise ValueError(
                f"train.monotonic names {', '.join(read)}, which is an audit column: the model does not read it"
            )
        return self

    @model_validator(mode="after")
    def _weight_is_only_a_weight(self) -> Self:
        if self.weight is None:
            return self
        listed = self.listed_features
        named = () if listed is None else listed.numeric + listed.categorical
        others = {self.label.column, self.entity_key, self.time_column, OBSERVED_AT, *self.audit, *named}
        if self.weight in others | {*self.train.monotonic}:
            raise ValueError(
                f"weight names {self.weight!r}, which is a feature, the key, a time, the label or an audit column; return a "
                "column of its own"
            )
        if self.train.engine != "local":
            raise ValueError(f"weight: train.engine {self.train.engine!r} knows no weights; use engine local")
        return self

    @model_validator(mode="after")
    def _class_weights_are_calibrated(self) -> Self:
        if self.train.class_weight is None:
            return self
        if self.task is not Task.BINARY:
            raise ValueError(f"train.class_weight: only for task 'binary'; {self.task.value!r} has no calibration")
        if self.train.calibration == "none":
            raise ValueError(
                "train.class_weight moves scores away from probabilities: set train.calibration to isotonic or sigmoid"
            )
        if self.train.engine != "local":
            raise ValueError(
                f"train.class_weight: train.engine {self.train.engine!r} knows no weights; use engine local"
            )
        return self

    @model_validator(mode="after")
    def _gaps_exist(self) -> Self:
        if not self.accept.gaps:
            return self
        if not self.audit:
            raise ValueError("accept.gaps compares the groups of audit columns, and audit lists none")
        if strange := sorted(set(self.accept.gaps) - {"calibration", "error"}) if self.task is not Task.BINARY else []:
            raise ValueError(
                f"accept.gaps: task {self.task.value!r} has no {', '.join(strange)}; only calibration and error"
            )
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        key, time, label = self.entity_key, self.time_column, self.label.column
        if len({key, time, label}) < 3 or "observed_at" in (key, label):
            raise ValueError(
                f"entity_key {key!r}, event_time {time!r} and label.column {label!r} must be three different columns, and "
                "neither the key nor the label may be 'observed_at'"
            )
        taken = sorted({key, time} & (VIEW_COLUMNS | ANSWER_COLUMNS[self.task]))
        if taken:
            raise ValueError(
                f"the view predictions.{self.model} already has a column {', '.join(taken)}; rename yours in the queries "
                "(with AS) and here"
            )
        return self

    @model_validator(mode="after")
    def _limits_are_days_of_the_zone(self) -> Self:
        for name in ("first", "last"):
            day, zone = getattr(self.partitions, name), ZoneInfo(self.timezone)
            if day and datetime.combine(day, time(12), zone).astimezone(UTC).astimezone(zone).date() != day:
                raise ValueError(
                    f"partitions.{name}: the clocks of {self.timezone} skipped {day}; write the day after it"
                )
        return self

    @model_validator(mode="after")
    def _positive_fits_the_task(self) -> Self:
        if self.task is not Task.BINARY and "positive" in self.label.model_fields_set:
            raise ValueError(f"label.positive: task {self.task.value!r} has no positive class")
        return self

    @model_validator(mode="after")
    def _reasons_are_told(self) -> Self:
        if self.predict.reasons and self.train.own:
            raise ValueError(
                f"predict.reasons: estimators of your own ({', '.join(self.train.own)}) cannot return reasons "
                "while scoring; leave it at 0 and use 'tidemill explain' for single rows"
            )
        return self

    @model_validator(mode="after")
    def _stages_fit_the_task(self) -> Self:
        if self.task is Task.BINARY:
            return self
        binary_only = {
            "train.calibration": self.train.calibration != "none",
            "train.threshold": self.train.threshold != "f1",
            "accept.calibration_error": self.accept.calibration_error is not None,
        }
        if any(binary_only.values()):
            names = ", ".join(name for name, used in binary_only.items() if used)
            raise ValueError(f"{names}: task {self.task.value!r} has no calibration and no threshold")
        directed = {"train.monotonic": self.train.monotonic, "test": {**self.test.directions, **self.test.cases}}
        if self.task is Task.MULTICLASS and any(directed.values()):
            named = ", ".join(name for name, used in directed.items() if used)
            raise ValueError(f"{named}: not available for task 'multiclass', whose scores have no single direction")
        return self

    @model_validator(mode="after")
    def _monotonic_features_are_numbers(self) -> Self:
        if self.listed_features is None:
            return self
        if strange := sorted(self.train.monotonic.keys() - set(self.listed_features.numeric)):
            raise ValueError(f"train.monotonic names {', '.join(strange)}, which is not a numeric feature")
        return self

    @model_validator(mode="after")
    def _policy_has_a_plan(self) -> Self:
        if self.source.engine is not Engine.POSTGRES and self.features and self.features.policy != Policy():
            raise ValueError(
                "features.policy: only the plan of Postgres shows what a query reads; with source.engine duckdb, name only "
                "the allowed columns of each input, under 'columns'"
            )
        return self

    @property
    def has_time(self) -> bool:
        """Whether rows have a time; if not, they are divided by a hash of their key."""
        return self.event_time != NO_TIME

    @property
    def time_column(self) -> str:
        """Column with each row's time; without one, each row gets the start of the partition in which it was read."""
        return self.event_time if self.has_time else STAMP

    @property
    def block_unit(self) -> str:
        """Unit of the blocks in acceptance: days, longer partitions, or folds of the keys."""
        return self.partitions.every.block_unit if self.has_time else "fold"

    def block(self, key: str) -> Partition:
        """Return what a training row belongs to: its partition, or its fold if rows have no time."""
        return self.partition(key) if self.has_time else fold_block(key)

    @property
    def listed_features(self) -> Features | None:
        """The features that the spec lists; None if they are derived from the types of the query's columns."""
        return self.features if self.features and (self.features.numeric or self.features.categorical) else None

    @property
    def meaning(self) -> str:
        """Canonical JSON of the spec, defaults included; comments and the order of keys do not matter."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of `meaning`."""
        return hashlib.sha256(self.meaning.encode()).hexdigest()

    def partition(self, key: str) -> Partition:
        """Return the partition of a key, whether or not it lies within the model's data.

        Raises
        ------
        PartitionError
            If the key is malformed, or belongs to partitions of another length.
        """
        try:
            return self.partitions.every.of(key, self.timezone, self.partitions.cutoff)
        except PartitionError as error:
            other = next((kind for kind in Every if _is_of(kind, key, self.timezone)), None)
            if other is None:
                raise
            raise PartitionError(
                error.problem,
                f"{error.next_step} It names a {other.value}: if partitions.every has changed since something was published, "
                "restore it, and use a model with another name for the other length.",
            ) from None

    def asked(self, key: str) -> Partition:
        """Return the partition of a requested key, which must lie within the model's data.

        Raises
        ------
        PartitionError
            If the key is malformed, or lies before ``partitions.first`` or after ``partitions.last``.
        """
        partition = self.partition(key)
        day = partition.interval.start.astimezone(ZoneInfo(self.timezone)).date()
        first, last = self.partitions.first, self.partitions.last
        if (first and day < first) or (last and day > last):
            raise PartitionError(
                f"Partition {key!r} lies outside the data of model {self.model!r}, "
                f"which cover {first or 'the beginning'} to {last or 'now'}.",
                "Choose a partition in this range, or change partitions.first and partitions.last in the spec.",
            )
        return partition

    def partition_at(self, instant: datetime) -> Partition:
        """Return the partition of a run scheduled at an instant: ``predict.offset`` after the one that contains it."""
        every, cutoff = self.partitions.every, self.partitions.cutoff
        return every.move(every.containing(instant, self.timezone, cutoff), self.predict.offset, cutoff)

    def run_window(self, partition: Partition) -> Interval:
        """Return the interval in which the scheduled runs of a partition start."""
        return self.partitions.every.move(partition, -self.predict.offset).interval

    def partitions_between(self, first: str, last: str) -> Iterator[Partition]:
        """Return the partitions from one key to another in order, both included.

        Raises
        ------
        PartitionError
            If a key is malformed or outside the model's data, or the first comes after the last.
        """
        start, end = self.asked(first).interval.start, self.asked(last).interval.end
        if end <= start:
            raise PartitionError(f"Partition {first!r} comes after {last!r}.", "Pass the earlier one first.")
        return self.partitions.every.within(Interval(start=start, end=end), self.timezone, self.partitions.cutoff)

    def deadline(self, tick: datetime) -> datetime | None:
        """Return the deadline of a tick's run: the first ``predict.by`` on the wall clock that is not before the tick."""
        if self.predict.by is None:
            return None
        zone = ZoneInfo(self.timezone)
        local, by = tick.astimezone(zone), time.fromisoformat(self.predict.by)
        days = (local.date() + timedelta(n) for n in range(3))  # a time that the clocks skip may lie before the tick
        found = (datetime.combine(day, by, zone).astimezone(UTC) for day in days)
        return next(instant for instant in found if instant >= tick)

    def local_midnight(self, day: date) -> datetime:
        """Return the first instant of a day in the model's time zone."""
        return datetime.combine(day, time(), ZoneInfo(self.timezone))


def _is_of(every: Every, key: str, timezone: str) -> bool:
    try:
        every.of(key, timezone)
    except PartitionError:
        return False
    return True
