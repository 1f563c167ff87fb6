"""Queries that DuckDB runs over staged inputs.

The database is in memory and sees only the staged files: no other file, no network, no variable of this process. It
uses one thread, because the sum of doubles depends on the order of addition. What exceeds the memory limit is spilled to
a scratch folder.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.errors import OutOfMemory, SchemaChanged, SpecError, first_line
from tidemill.sources.source import Window
from tidemill.sources.staging import Staged
from tidemill.spec import ModelSpec
from tidemill.warehouse.model_queries import Query, bind_named
from tidemill.warehouse.reading import Column, count_rounded, refuse_endless_times
from tidemill.warehouse.zone_casts import IN_UTC, made_instants, mentions, zone_problem
from tidemill.workspace import Workspace

__all__ = ["DuckDBSource", "open_duckdb"]

MEMORY = "512MB"  # a million rows of 20 columns take 220 MB; more is spilled
BATCH_ROWS = 8_192  # about 1 MB with 20 columns

_SQL_TYPES = {
    "BOOLEAN": "boolean", "TINYINT": "smallint", "UTINYINT": "smallint", "SMALLINT": "smallint", "USMALLINT": "integer",
    "INTEGER": "integer", "UINTEGER": "bigint", "BIGINT": "bigint", "UBIGINT": "numeric", "HUGEINT": "numeric",
    "UHUGEINT": "numeric", "DECIMAL": "numeric", "FLOAT": "real", "DOUBLE": "double precision", "VARCHAR": "text",
    "ENUM": "text", '"NULL"': "text", "UUID": "uuid", "DATE": "date", "TIMESTAMP WITH TIME ZONE": "timestamptz",
}  # fmt: skip
"""Name in Postgres of each supported type of DuckDB."""
_CASTS = {
    "boolean": "BOOLEAN", "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT", "numeric": "VARCHAR",
    "real": "FLOAT", "double precision": "DOUBLE", "text": "VARCHAR", "uuid": "VARCHAR", "date": "DATE",
    "timestamptz": "TIMESTAMPTZ",
}  # fmt: skip
"""What DuckDB sends of each type; ``numeric`` as text, so that lost digits can be counted."""
_REFUSED_CAST = "Casting from TIMESTAMP to TIMESTAMP WITH TIME ZONE"
_CLOCK = re.compile(r"\bstrptime\b|\bTIMESTAMP\b(?! WITH)", re.IGNORECASE)
"""What makes a time without a zone in a query."""
_ENDLESS = {"timestamptz": pa.int64(), "date": pa.int32()}
_SETTINGS: Mapping[str, Any] = {
    "threads": 1,
    "memory_limit": MEMORY,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a variable of this process would be a table
    "default_null_order": "postgres",
    "integer_division": True,  # 7 / 2 is 3, as in Postgres
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DuckDBSource:
    """A database that sees staged inputs."""

    database: Any
    """Connection of DuckDB, locked."""
    workspace: Workspace
    """Where the queries are stored."""
    spec: ModelSpec
    staged: Mapping[str, Staged]
    """What is staged of each input."""
    timeout_s: int
    """Seconds after which a query is cancelled."""

    @property
    def cursor(self) -> None:
        """None: views bound what a query sees, and no plan is read."""
        return None

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of what is staged of each input, by name."""
        return {name: staged.digest for name, staged in self.staged.items()}

    def columns(self, file: str, window: Window) -> tuple[Column, ...]:
        """Return the names and types of a query's columns."""
        query = self._query(file)
        empty = {name: [staged.empty] for name, staged in self.staged.items()}
        with self._views(query, window, empty):
            self.database.execute(f"DESCRIBE {query}", _used(query, window))
            described = [(str(name), str(kind)) for name, kind, *_ in self.database.fetchall()]
        stored = {name for staged in self.staged.values() for name in staged.schema.names}
        unnamed = [name for name, _ in described if "(" in name and name not in stored]  # the expression is the name
        if unnamed:
            raise SpecError(f"{query.file}: column {unnamed[0]!r} has no name.", "Name it, with AS.")
        return _columns(described, query, self.spec.timezone)

    def zone_problems(self, file: str, window: Window) -> list[str]:
        """Return where a query interprets a time without a zone as UTC: in calls that make an instant, and in casts.

        DuckDB itself refuses such casts on request; for a model in UTC they are refused unless they are of a date.
        """
        query, timezone = self._query(file), self.spec.timezone
        fields = [field for staged in self.staged.values() for field in staged.schema]
        clocks = [field.name for field in fields if pa.types.is_timestamp(field.type) and field.type.tz is None]
        found = [
            zone_problem(name, call, timezone)
            for call in made_instants(query)
            for name in clocks
            if mentions(call, name)
        ]
        has_clocks = any(re.search(rf"\b{name}\b", query) for name in clocks) or _CLOCK.search(query) is not None
        if (has_clocks or timezone not in IN_UTC) and (line := self._line_of_cast(query, window)):
            found.append(
                f"line {line} reads a time without a time zone as UTC. Specify its time zone: … AT TIME ZONE '{timezone}'."
            )
        return found

    def _line_of_cast(self, query: Query, window: Window) -> str:
        """Return the line of the first cast of a time without a zone to an instant; empty if there is none."""
        with duckdb.connect(":memory:", config={**_SETTINGS}) as strict:
            strict.execute("SET TimeZone = 'UTC'")
            strict.execute("SET disable_timestamptz_casts = true")
            for name, staged in self.staged.items():
                _create_view(strict, name, [staged.empty], None, window)
            try:
                strict.execute(f"DESCRIBE {query}", _used(query, window))
            except duckdb.BinderException as error:
                said, _, place = str(error).partition("\n\nLINE ")
                return (place.partition(":")[0] or "1") if _REFUSED_CAST in said else ""
        return ""

    @contextmanager
    def batches(
        self, file: str, window: Window, columns: tuple[Column, ...], rounded: Counter[str] | None = None
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Return a query's rows, while DuckDB computes them."""
        query = self._query(file)
        select = ", ".join(f"CAST({_quoted(item.name)} AS {_CASTS[item.sql_type]})" for item in columns)
        statement = f"SELECT {select} FROM ({query}\n) AS query ORDER BY query.{_quoted(self.spec.entity_key)}"
        files = {name: staged.of(self.spec, window) for name, staged in self.staged.items()}
        with self._views(query, window, files):
            reader = self.database.sql(statement, params=_used(query, window)).to_arrow_reader(BATCH_ROWS)
            yield _translated(reader, columns, query, Counter() if rounded is None else rounded)

    def _query(self, file: str) -> Query:
        """Return a bound query, which must be one SELECT."""
        query = bind_named(self.workspace.query(file), file)
        with _reading(query):
            statements = duckdb.extract_statements(query)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise SpecError(f"{file} is not one SELECT.", "Write a single SELECT, or WITH … SELECT.")
        return query

    @contextmanager
    def _views(self, query: Query, window: Window, files: Mapping[str, list[Path]]) -> Iterator[None]:
        """Let each input's view show the rows observed by the window's cutoff, and limit the time of a block."""
        for name, paths in files.items():
            _create_view(self.database, name, paths, self.staged[name].input.observed_at, window)
        timer = threading.Timer(self.timeout_s, self.database.interrupt)
        timer.start()
        try:
            with _reading(query):
                yield
        finally:
            timer.cancel()


@contextmanager
def open_duckdb(
    workspace: Workspace, spec: ModelSpec, staged: Mapping[str, Staged], spill: Path, timeout_s: int
) -> Iterator[DuckDBSource]:
    """Open a database on staged inputs for the length of a block.

    Parameters
    ----------
    staged : mapping of str to Staged
        What is staged of each input.
    spill : Path
        Folder for what does not fit into memory.
    timeout_s : int
        Seconds after which a single query is cancelled.
    """
    files = sorted({str(path) for item in staged.values() for path in (*item.files.values(), item.empty)})
    with duckdb.connect(":memory:", config={**_SETTINGS, "temp_directory": str(spill)}) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(f"SET allowed_paths = {_list(files)}")  # a folder would allow COPY to write into it
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        yield DuckDBSource(database=database, workspace=workspace, spec=spec, staged=staged, timeout_s=timeout_s)


def _create_view(database: Any, name: str, paths: list[Path], observed_at: str | None, window: Window) -> None:
    schema, _, table = name.rpartition(".")
    if schema:
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
    known = f" WHERE {_quoted(observed_at)} <= TIMESTAMPTZ '{window['cutoff'].isoformat()}'" if observed_at else ""
    place = f"{_quoted(schema)}.{_quoted(table)}" if schema else _quoted(table)
    files = f"read_parquet({_list([str(path) for path in paths])}, hive_partitioning = false)"
    database.execute(f"CREATE OR REPLACE VIEW {place} AS SELECT * FROM {files}{known}")


def _columns(described: list[tuple[str, str]], query: Query, timezone: str) -> tuple[Column, ...]:
    """Return columns by DuckDB's description; refuse names that appear twice, and types that are not supported."""
    names = [name for name, _ in described]
    kinds = {name: kind if kind.endswith("]") else kind.partition("(")[0] for name, kind in described}
    folded = [name.lower() for name in names]  # to DuckDB, "N" is n
    problems = [f"column {name!r} appears twice" for name in sorted({n for n in names if folded.count(n.lower()) > 1})]
    unknown = {name: kind for name, kind in kinds.items() if kind not in _SQL_TYPES}
    problems += [f"column {name!r} has type {kind}, which is not supported" for name, kind in unknown.items()]
    if problems:
        clocks = [name for name, kind in unknown.items() if kind.startswith("TIMESTAMP")]
        advice = ["CAST the column to a plain type, or rename it."]
        advice += [f"Name the zone of its clock: {name} AT TIME ZONE '{timezone}' AS {name}." for name in clocks]
        raise SpecError(f"{query.file}: {'; '.join(problems)}.", " ".join(advice[len(clocks) == len(problems) :]))
    return tuple(Column.of(name, _SQL_TYPES[kinds[name]]) for name in names)


def _translated(
    reader: Iterator[pa.RecordBatch], columns: tuple[Column, ...], query: Query, rounded: Counter[str]
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(column.name, column.arrow) for column in columns])
    for batch in reader:
        if not batch.num_rows:
            continue
        since_1970 = [
            values.cast(_ENDLESS.get(column.sql_type, values.type))
            for column, values in zip(columns, batch.columns, strict=True)
        ]
        refuse_endless_times(pa.RecordBatch.from_arrays(since_1970, names=schema.names), columns, query)
        arrays = [values.cast(field.type) for values, field in zip(batch.columns, schema, strict=True)]
        _refuse_nul(arrays, columns, query)
        for column, sent, values in zip(columns, batch.columns, arrays, strict=True):
            if column.sql_type == "numeric" and (n_rounded := count_rounded(sent, values, column)):
                rounded[column.name] += n_rounded
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _refuse_nul(arrays: list[pa.Array], columns: tuple[Column, ...], query: Query) -> None:
    """Refuse a text with a NUL character, which the ledger could not keep."""
    for values, column in zip(arrays, columns, strict=True):
        if pa.types.is_string(values.type) and pc.any(pc.match_substring(values, "\0")).as_py():
            raise SpecError(
                f"{query.file}: column {column.name!r} holds a NUL character, which Postgres cannot store.",
                f"Remove it, such as replace({column.name}, chr(0), '') AS {column.name}.",
            )


@contextmanager
def _reading(query: Query) -> Iterator[None]:
    """Translate DuckDB's errors, with the query's file and its line."""
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise SchemaChanged(
            _in_words(error, query), "Restore what the source has lost, or change the query and the spec."
        ) from error
    except duckdb.InterruptException as error:
        raise SpecError(f"{query.file} was cancelled because it took too long.", "Make the query faster.") from error
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory(
            f"{query.file} needs more than {MEMORY}, the memory that DuckDB may have: {first_line(error)}.",
            "Let the query aggregate or join fewer rows at a time.",
        ) from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, duckdb.PermissionException) as error:
        raise SpecError(_in_words(error, query), "Correct the query.") from error


def _in_words(error: Exception, query: Query) -> str:
    said, _, place = str(error).partition("\n\nLINE ")
    line = f":{place.partition(':')[0]}" if place else ""
    words = " ".join(said.split())
    return f"{query.file}{line}: {words}{'' if words.endswith(('.', '!', '?')) else '.'}"


def _used(query: Query, window: Window) -> dict[str, Any]:
    """Return the parameters that a query names; DuckDB refuses others."""
    (statement,) = duckdb.extract_statements(query)
    return {name: window[name] for name in statement.named_parameters}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list(texts: list[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
