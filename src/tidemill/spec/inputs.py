"""Inputs: named relations from files and other databases, which the queries read with DuckDB."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from tidemill.intervals import Every
from tidemill.spec.kinds import NAME, RELATION, Duration, Name, Part, SqlFile

__all__ = ["FIELDS", "ColumnType", "Engine", "Input", "Missing", "Relation"]

FIELDS = ("partition", "year", "month", "day", "hour")
"""What a path may contain in braces: the key of a partition, and parts of its start."""
ColumnType = Literal[
    "boolean", "smallint", "integer", "bigint", "real", "double precision", "text", "date", "timestamptz"
]
"""Types that a column of an input can be declared with."""


class Engine(StrEnum):
    """What runs the features and the labels query."""

    POSTGRES = "postgres"
    DUCKDB = "duckdb"


class Missing(StrEnum):
    """What a partition without files is."""

    FAIL = "fail"
    EMPTY = "empty"


def _path(value: str) -> str:
    parts = value.split("/")
    if not value.endswith((".parquet", ".csv")) or ".." in parts or "" in parts:
        raise ValueError(f"{value!r} is not a path to .parquet or .csv files below the connection's folder")
    unknown = sorted(set(re.findall(r"\{([^}]*)\}?", value)) - set(FIELDS))
    if unknown:
        raise ValueError(f"{value!r} has {{{unknown[0]}}}; a path knows {', '.join(f'{{{name}}}' for name in FIELDS)}")
    return value


Path = Annotated[str, AfterValidator(_path)]
Relation = Annotated[str, Field(pattern=RELATION, max_length=100)]


class Input(Part):
    """One relation, and where its rows come from."""

    connection: Name
    """A folder or bucket (``files``), or a Postgres (``query``): an Airflow connection id, or ``TIDEMILL_CONN_<NAME>``."""
    files: Path | None = None
    """Parquet or CSV files below the connection's folder; ``{partition}`` is a partition's key, ``*`` any part of a name."""
    query: SqlFile | None = None
    """Query on a Postgres for the rows of ``[:start, :end)``; without these parameters, for the whole relation."""
    columns: dict[Annotated[str, Field(pattern=NAME)], ColumnType] = Field(default_factory=dict)
    """Columns to read from the files, with their types; required for CSV."""
    observed_at: Name | None = None
    """Column of type ``timestamptz``: a query sees a row only if this lies at or before its cutoff. Null: always."""
    every: Every | None = None
    """Length of a partition of the input; null for that of the model."""
    lookback: Duration = timedelta(0)
    """How long before the interval's start the queries need rows."""
    lookahead: Duration = timedelta(0)
    """How long after the interval's end; partitions that begin after the cutoff are not needed."""
    missing: Missing = Missing.FAIL
    """What a partition without files is: an error, or ``empty``."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.files is None) == (self.query is None):
            raise ValueError("name either files or a query")
        if self.query is not None and (self.columns or self.missing is Missing.EMPTY):
            raise ValueError("columns and missing belong to files; a query has columns of its own")
        if self.is_csv and not self.columns:
            types = ", ".join(get_args(ColumnType))
            raise ValueError(f"columns: a CSV file has no types; write each column with its type, out of {types}")
        if self.observed_at and self.columns and self.columns.get(self.observed_at) != "timestamptz":
            raise ValueError(f"observed_at: columns has no {self.observed_at!r} of type timestamptz")
        return self

    @property
    def is_csv(self) -> bool:
        """Whether the files are CSV, and not Parquet."""
        return self.files is not None and self.files.endswith(".csv")
