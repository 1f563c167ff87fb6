"""Sections about data: the label, the source of the rows, and the contract."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tidemill.intervals import Every, duration_words
from tidemill.records import Severity
from tidemill.spec.inputs import Engine, Input, Relation
from tidemill.spec.kinds import Day, DeniedColumn, DeniedTable, Duration, Name, Offset, Part, SqlFile, repeated

__all__ = ["OBSERVED_AT", "Expectation", "Features", "Label", "Partitions", "Policy", "Ready", "Source", "Task"]


OBSERVED_AT = "observed_at"
"""Column of the labels query: the time at which a label became known."""


class Task(StrEnum):
    """Kind of prediction that the model makes."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Partitions(Part):
    """How time is divided into partitions."""

    every: Every = Every.DAY
    """Length of a partition."""
    cutoff: Offset = timedelta(0)
    """Offset from a partition's start to the time as of which its features are known, on the wall clock. It is negative
    before the start, and at least the partition's length after the end."""
    first: Day | None = None
    """First day of the source's data; null if unknown."""
    last: Day | None = None
    """Last day of the source's data, inclusive; null if the data continue."""

    @model_validator(mode="after")
    def _first_before_last(self) -> Self:
        if self.first and self.last and self.last < self.first:
            raise ValueError("first must not be after last")
        return self

    @property
    def known(self) -> str:
        """The cutoff in words, such as ``5 hours after its start``."""
        return f"{duration_words(abs(self.cutoff))} {'before' if self.cutoff < timedelta() else 'after'} its start"


class Source(Part):
    """Where the rows come from."""

    connection: Name = "warehouse"
    """Connection to Postgres: an Airflow connection id, or ``TIDEMILL_CONN_<NAME>``."""
    features: SqlFile
    """Query for the rows of ``[:start, :end)`` as known at ``:cutoff``."""
    labels: SqlFile
    """Query for entity key, label and ``observed_at``."""
    engine: Engine = Engine.POSTGRES
    """What runs the two queries: the connection's Postgres, or DuckDB over ``inputs``."""
    inputs: dict[Relation, Input] = Field(default_factory=dict)
    """Relations that the queries read, by name; only for ``duckdb``."""

    @model_validator(mode="after")
    def _inputs_fit_the_engine(self) -> Self:
        if self.engine is Engine.DUCKDB and not self.inputs:
            raise ValueError("engine duckdb reads inputs: name at least one")
        if self.engine is Engine.POSTGRES and self.inputs:
            raise ValueError("inputs are read by DuckDB: write 'engine: duckdb', or leave them out")
        return self

    def queries(self, *, labelled: bool) -> tuple[str, ...]:
        """Return the files of all queries that rows come from, with or without labels: first the features query."""
        labels = (self.labels,) if labelled else ()
        return (self.features, *labels, *(item.query for item in self.inputs.values() if item.query is not None))


class Ready(Part):
    """What a run waits for before its first step."""

    query: SqlFile | None = None
    """Query that returns one row: whether the partition's data are ready and, optionally, the reason why not."""
    after: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names of Airflow assets that must have an event with the partition's key."""

    @model_validator(mode="after")
    def _something_to_wait_for(self) -> Self:
        if self.query is None and not self.after:
            raise ValueError("name a query or at least one asset to wait for")
        return self


class Label(Part):
    """What is predicted."""

    column: Name
    """Column of the labels query."""
    positive: bool | int | str = True
    """Value that counts as the positive class; only for ``binary``."""
    matures_after: Duration = timedelta(0)
    """Time from a partition's end until its labels are complete."""


class Policy(Part):
    """What the model must not read, by whatever name; checked against the plan of the features query."""

    denied_columns: tuple[DeniedColumn, ...] = ()
    """Columns of the source, as ``schema.table.column``, or ``column`` for those of any table."""
    denied_tables: tuple[DeniedTable, ...] = ()
    """Tables of the source, as ``schema.table``."""


class Features(Part):
    """Columns that the model reads; if none is listed, they are derived from the column types of the features query."""

    numeric: tuple[Name, ...] = ()
    """Numbers and booleans."""
    categorical: tuple[Name, ...] = ()
    """Texts, whole numbers and booleans."""
    policy: Policy = Policy()
    """What the model must not read."""

    @model_validator(mode="after")
    def _some_and_none_twice(self) -> Self:
        names = self.numeric + self.categorical
        if not names and self.policy == Policy():
            raise ValueError(
                "list at least one numeric or categorical column, or leave the key out to use all columns of the query"
            )
        if twice := repeated(names):
            raise ValueError(f"{', '.join(twice)} listed twice")
        return self


class Expectation(Part):
    """One entry of the contract, ``expect_…: {column: …, severity: …}``."""

    name: Annotated[str, Field(pattern=r"^expect_[a-z_]+$")]
    """Great Expectations name in snake case."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the expectation, including ``column``."""
    severity: Severity = Severity.FAIL
    """``fail`` stops the run, ``warn`` is recorded, ``quarantine`` sets the rows that break it aside."""

    @model_validator(mode="after")
    def _rows_are_set_aside_one_by_one(self) -> Self:
        if self.severity is Severity.QUARANTINE and "mostly" in self.arguments:
            raise ValueError(
                "mostly is not for severity quarantine: predict.quarantine limits the rows that are set aside"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _from_one_key(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "name" in value:
            return value
        if len(value) != 1:
            raise ValueError("write one expectation per entry, for example 'expect_column_to_exist: {column: origin}'")
        name, arguments = next(iter(value.items()))
        rest = dict(arguments or {}) if isinstance(arguments or {}, dict) else None
        if rest is None:
            raise ValueError(f"the arguments of {name} must be a mapping, for example {{column: origin}}")
        severity = rest.pop("severity", Severity.FAIL)
        return {"name": name, "arguments": rest, "severity": severity}
