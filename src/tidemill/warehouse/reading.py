"""Bulk reading: a query's rows by COPY, parsed by Arrow while they arrive, in constant memory.

Types are exact: NULL is not the empty string, and timestamps keep their microseconds in UTC. ``numeric`` becomes a
double, as every estimator needs it; values that lose digits are counted. ``char(n)`` loses its padding, which SQL
ignores. A type that Arrow cannot represent faithfully is refused by name.
"""

import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Self, cast

import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from psycopg2 import sql
from psycopg2.errors import (
    CantChangeRuntimeParam,
    InsufficientPrivilege,
    ProgramLimitExceeded,
    QueryCanceled,
    StatementTooComplex,
    TooManyColumns,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)

from tidemill.errors import SchemaChanged, SettingsError, SpecError, WarehouseUnavailable, first_line
from tidemill.warehouse.connections import Cursor, transaction
from tidemill.warehouse.model_queries import Query

__all__ = ["Column", "copy_batches", "count_rounded", "describe", "frozen_view", "refuse_endless_times"]

PIPE_BYTES = 2**20  # between receiving and parsing: some thousand rows of slack
BLOCK_BYTES = 2**20  # of CSV per record batch: some 7,000 rows of 20 columns; Arrow reads up to 32 blocks ahead

_TYPES = {
    16: (pa.bool_(), "boolean"), 21: (pa.int16(), "smallint"), 23: (pa.int32(), "integer"), 20: (pa.int64(), "bigint"),
    700: (pa.float32(), "real"), 701: (pa.float64(), "double precision"), 1700: (pa.float64(), "numeric"),
    25: (pa.string(), "text"), 1043: (pa.string(), "varchar"), 1042: (pa.string(), "char"), 19: (pa.string(), "name"),
    2950: (pa.string(), "uuid"), 1082: (pa.date32(), "date"), 1184: (pa.timestamp("us", "UTC"), "timestamptz"),
}  # fmt: skip
"""Type in Arrow and name in SQL of each supported type, by its number in Postgres."""
_TIMESTAMP, _TIMESTAMPTZ, _DATE, _CHAR, _NUMERIC = 1114, 1184, 1082, 1042, 1700
_SENT = {
    # No text form of a time is portable, so it is sent as microseconds or days since 1970; as the largest
    # integer if it is infinite or has no year of four digits, whose microseconds may be too many for a bigint.
    _TIMESTAMPTZ: "CASE WHEN {0} >= '0001-01-01Z' AND {0} < '10000-01-01Z' THEN (extract(epoch FROM {0}) * 1000000)::bigint"
    " WHEN {0} IS NOT NULL THEN 9223372036854775807 END AS {0}",
    _DATE: "CASE WHEN isfinite({0}) THEN {0} - date '1970-01-01' WHEN {0} IS NOT NULL THEN 2147483647 END AS {0}",
    _CHAR: "{0}::text AS {0}",  # without the padding, which SQL ignores in comparisons
}
"""What COPY sends of a column, where that is not the column itself."""
_SENT_AS = {_TIMESTAMPTZ: pa.int64(), _DATE: pa.int32(), _NUMERIC: pa.string()}
_DIGITS_OF_DOUBLE = 15  # significant digits that every double keeps
_UNNAMED = "?column?"
_NO_SCALE = (None, 65_535)  # psycopg2's precision for other types, and for a numeric without a declared one
_FAULTS_OF_QUERIES = (
    psycopg2.ProgrammingError, psycopg2.DataError, psycopg2.NotSupportedError, psycopg2.IntegrityError,
    psycopg2.InternalError,  # a write in a read-only transaction, or an exception in a function
    CantChangeRuntimeParam, ProgramLimitExceeded, StatementTooComplex, TooManyColumns,
)  # fmt: skip
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31 in days since 1970: a year has four digits
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a query's result."""

    name: str
    """Name in the query's result."""
    oid: int
    """Postgres' type."""
    is_stored: bool = False
    """Whether it is a table's column or has a declared scale, so that its last digits do not come from a division."""

    @classmethod
    def of(cls, name: str, sql_type: str) -> Self:
        """Return the column of a supported type, such as ``bigint``."""
        return cls(name=name, oid=next(oid for oid, (_, known) in _TYPES.items() if known == sql_type), is_stored=True)

    @property
    def arrow(self) -> pa.DataType:
        """Type in Arrow."""
        return _TYPES[self.oid][0]

    @property
    def sql_type(self) -> str:
        """Type as a query's author knows it, such as ``bigint``."""
        return _TYPES[self.oid][1]

    @property
    def equality(self) -> str:
        """Name of the types that SQL compares with this one by ``=``: all texts are one kind, and all whole numbers."""
        if pa.types.is_integer(self.arrow):
            return "whole number"
        return "text" if self.sql_type in ("varchar", "char", "name") else self.sql_type

    @property
    def expression(self) -> sql.Composable:
        """Expression for COPY that loses nothing in text form."""
        return sql.SQL(_SENT.get(self.oid, "{0}")).format(sql.Identifier(self.name))


@contextmanager
def frozen_view(url: str, timeout_s: int) -> Iterator[Cursor]:
    """Open one read-only transaction on the present state of the warehouse.

    Parameters
    ----------
    url : str
        Connection of a role that may read the source.
    timeout_s : int
        Seconds after which a single statement is cancelled.
    """
    with transaction(url) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", (f"{timeout_s}s",))
        # Parsing may pause between two queries, and a reader's snapshot blocks nobody.
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        yield cursor
        cursor.connection.rollback()  # also resets any setting that a function in the query changed


def describe(
    cursor: Cursor, query: Query, parameters: Mapping[str, datetime], timezone: str = "UTC"
) -> tuple[Column, ...]:
    """Ask Postgres for the names and types of a query's columns, without running it.

    Parameters
    ----------
    cursor : cursor
        Of the transaction from ``frozen_view``.
    query : Query
        From ``queries.bind``.
    parameters : mapping of str to datetime
        Values of ``start``, ``end`` and ``cutoff``.
    timezone : str, default "UTC"
        The model's time zone, for advice about columns without one.

    Raises
    ------
    SchemaChanged
        If the source lacks a table, column or function that the query reads.
    SpecError
        If the query is not valid SQL, two columns have one name, or a type has no faithful form in Arrow.
    """
    statement = cursor.mogrify(f"SELECT * FROM ({query}\n) AS query LIMIT 0", parameters).decode()
    with _reading(query, statement):
        cursor.execute(statement)
    columns = tuple(
        Column(name=item.name, oid=item.type_code, is_stored=bool(item.table_oid) or item.precision not in _NO_SCALE)
        for item in cursor.description or ()
    )
    names = [column.name for column in columns]
    problems = [f"column {at} has no name" for at, name in enumerate(names, 1) if name == _UNNAMED]
    problems += [
        f"column {name!r} appears twice" for name in sorted({n for n in names if names.count(n) > 1} - {_UNNAMED})
    ]
    unknown = [column for column in columns if column.oid not in _TYPES]
    advice = ["CAST the column to a plain type, or rename it, with AS."]
    for column in unknown:
        cursor.execute("SELECT pg_catalog.format_type(%s, NULL)", (column.oid,))
        (type_name,) = cast(tuple[str], cursor.fetchone())
        problems.append(f"column {column.name!r} has type {type_name}, which is not supported")
        if column.oid == _TIMESTAMP:  # a cast would interpret the local time in the session's zone, which is UTC
            name = column.name
            advice.append(f"Name the zone of its clock: {name} AT TIME ZONE '{timezone}' AS {name}; do not CAST it.")
    if problems:
        clocks = all(column.oid == _TIMESTAMP for column in unknown) and len(problems) == len(unknown)
        raise SpecError(f"{query.file}: {'; '.join(problems)}.", " ".join(advice[clocks:]))
    return columns


@contextmanager
def _reading(query: Query, statement: str) -> Iterator[None]:
    """Translate the errors of a query, with its file and, if Postgres reports it, the line."""
    try:
        yield
    except (UndefinedTable, UndefinedColumn, UndefinedFunction) as error:
        raise SchemaChanged(
            _in_words(error, query, statement), "Restore what the source has lost, or change the query and the spec."
        ) from error
    except QueryCanceled as error:
        raise SpecError(
            f"{query.file} was cancelled: {error.diag.message_primary}.",
            "Make the query faster; see its plan with EXPLAIN.",
        ) from error
    except InsufficientPrivilege as error:
        raise SettingsError(
            _in_words(error, query, statement), "GRANT SELECT on it to the role of the source's connection."
        ) from error
    except _FAULTS_OF_QUERIES as error:
        raise SpecError(_in_words(error, query, statement), "Correct the query.") from error
    except (pa.ArrowInvalid, OverflowError) as error:
        reason = first_line(error)
        raise SpecError(
            f"{query.file} gives a value that no column can hold: {reason}.", "Leave it out, or CAST it."
        ) from error


def _in_words(error: psycopg2.Error, query: Query, statement: str) -> str:
    position = error.diag.statement_position
    line = f":{statement.count(chr(10), 0, int(position)) + 1}" if position else ""
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{query.file}{line}: {error.diag.message_primary}{hint}."


@contextmanager
def copy_batches(
    cursor: Cursor,
    query: Query,
    parameters: Mapping[str, datetime],
    columns: tuple[Column, ...],
    order_by: str | Sequence[str],
    rounded: Counter[str] | None = None,
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Return a query's rows in a fixed order, for the length of a block; leaving it early ends the query.

    Parameters
    ----------
    cursor : cursor
        Of the transaction from ``frozen_view``.
    query : Query
        From ``queries.bind``.
    parameters : mapping of str to datetime
        Values of ``start``, ``end`` and ``cutoff``.
    columns : tuple of Column
        From ``describe``.
    order_by : str or sequence of str
        Columns that identify a row; the fixed order makes equal data equal bytes.
    rounded : Counter, optional
        Counts how many values of each ``numeric`` column lose digits as a double.

    Yields
    ------
    iterator of pyarrow.RecordBatch
        At most about ``BLOCK_BYTES`` of rows each; never empty. The next one raises any error of the query or its
        values, translated.
    """
    names = [order_by] if isinstance(order_by, str) else order_by
    select = sql.SQL("SELECT {} FROM ({}\n) AS query ORDER BY {}").format(
        sql.SQL(", ").join(column.expression for column in columns),
        sql.SQL(cursor.mogrify(query, parameters).decode()),
        sql.SQL(", ").join(sql.Identifier("query", name) for name in names),
    )
    copy = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(select).as_string(cursor)
    with _Copying(cursor, copy) as copying:
        yield _batches(copying, columns, query, Counter() if rounded is None else rounded)


class _Copying:
    """A COPY that a thread receives from the server while another reads it through a pipe."""

    def __init__(self, cursor: Cursor, statement: str) -> None:
        self.cursor, self.statement = cursor, statement

    def __enter__(self) -> Self:
        source, self._sink = os.pipe()
        self.stream = io.BufferedReader(io.FileIO(source), PIPE_BYTES)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="copy")
        self._done = self._pool.submit(self._receive)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if not self._done.done():  # the rest is not needed
            with suppress(psycopg2.Error):
                self.cursor.connection.cancel()
        self.stream.close()
        self._pool.shutdown()

    def finish(self) -> int:
        """Wait for the end; return the number of sent rows, or raise the error of COPY."""
        self._done.result()
        return int(self.cursor.rowcount)

    def _receive(self) -> None:
        with io.BufferedWriter(io.FileIO(self._sink, "w"), PIPE_BYTES) as stream:
            self.cursor.copy_expert(self.statement, stream)


def _batches(
    copying: _Copying, columns: tuple[Column, ...], query: Query, rounded: Counter[str]
) -> Iterator[pa.RecordBatch]:
    n_rows = 0
    with _reading(query, copying.statement):
        try:
            for batch in _parse(copying.stream, columns, query, rounded) if copying.stream.peek(1) else ():
                n_rows += batch.num_rows
                yield batch
        except pa.ArrowInvalid as error:
            if not copying.stream.read(1):  # the data may have been cut off by an error of the query
                copying.finish()
            reason = re.sub(r"CSV column #(\d+)", lambda at: f"column {columns[int(at[1])].name!r}", str(error))
            raise pa.ArrowInvalid(reason) from error
        sent = copying.finish()
    if n_rows != sent:
        raise WarehouseUnavailable(
            f"{query.file}: {sent:,} rows were sent, and {n_rows:,} arrived.",
            "Airflow tries it again; from a shell, run it again.",
        )


def _parse(
    stream: IO[bytes], columns: tuple[Column, ...], query: Query, rounded: Counter[str]
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(column.name, column.arrow) for column in columns])
    sent = {column.name: _SENT_AS.get(column.oid, column.arrow) for column in columns}
    reader = pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(column_names=list(sent), block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=sent,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    for batch in reader:
        if batch.num_rows:
            refuse_endless_times(batch, columns, query)
            arrays = [array.cast(field.type) for array, field in zip(batch.columns, schema, strict=True)]
            for column, sent_values, values in zip(columns, batch.columns, arrays, strict=True):
                if column.oid == _NUMERIC and (n_rounded := count_rounded(sent_values, values, column)):
                    rounded[column.name] += n_rounded
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def count_rounded(texts: pa.Array, values: pa.Array, column: Column) -> int:
    """Count the values of which a double keeps fewer digits than Postgres sent.

    In a quotient, whose last digits mean nothing, only values beyond 2**53 count, and those that become 0.
    """
    long = pc.greater(pc.binary_length(texts), _DIGITS_OF_DOUBLE)
    if not column.is_stored:
        lost = pc.or_(pc.greater_equal(pc.abs(values), float(2**53)), pc.equal(values, 0.0))
        long = pc.and_(long, lost)
    if not pc.any(long).as_py():
        return 0
    texts, values = texts.filter(long), values.filter(long)
    return int(pc.sum(pc.not_equal(_digits(texts), _digits(values.cast(pa.string())))).as_py() or 0)


def _digits(texts: pa.Array) -> pa.Array:
    """Return the significant digits of numbers."""
    plain = pc.replace_substring_regex(texts, pattern=r"e.*$|[-.]", replacement="")
    return pc.utf8_trim(plain, characters="0")


def refuse_endless_times(batch: pa.RecordBatch, columns: tuple[Column, ...], query: Query) -> None:
    """Refuse times outside of the years 1 to 9999; the batch has them as microseconds or days since 1970.

    Raises
    ------
    SpecError
        Names the column.
    """
    for column, values in zip(columns, batch.columns, strict=True):
        if column.oid not in (_TIMESTAMPTZ, _DATE) or values.null_count == len(values):
            continue
        per_day = _DAY_US if column.oid == _TIMESTAMPTZ else 1
        ends = pc.min_max(values).as_py()
        if not _FIRST_DAY * per_day <= ends["min"] <= ends["max"] < (_LAST_DAY + 1) * per_day:
            raise SpecError(
                f"{query.file}: column {column.name!r} holds a {column.sql_type} that is infinite, before the year 1 or "
                "after the year 9999.",
                f"Make it NULL or a time within them, such as NULLIF({column.name}, 'infinity') AS {column.name}.",
            )
