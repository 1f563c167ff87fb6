"""A table as a sample shows it: columns, rows of the sample, and which columns are unique. Asks Postgres; guesses nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from psycopg2.errors import InsufficientPrivilege, UndefinedTable

from tidemill.errors import EmptyPartition, SettingsError
from tidemill.onboarding.columns import Candidate, TableColumn, candidates
from tidemill.onboarding.names import TableName, quoted
from tidemill.warehouse.connections import Cursor, fetch_value
from tidemill.warehouse.reading import frozen_view

__all__ = ["Profile", "TableReader", "list_tables", "open_table"]

SAMPLE_ROWS = 20_000  # enough to tell what a column is, and some megabytes
TIMEOUT_S = 120  # for one statement on the table
MAX_JSON_KEYS = 12  # of one column
_COLUMNS = """
    SELECT attname, format_type(coalesce(nullif(base.typbasetype, 0), atttypid), NULL),
        coalesce(below.typtype, base.typtype) = 'e'
    FROM pg_catalog.pg_attribute
    JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_catalog.pg_type AS base ON base.oid = atttypid
    LEFT JOIN pg_catalog.pg_type AS below ON below.oid = base.typbasetype
    WHERE nspname = %s AND relname = %s AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum"""
_TABLES = """
    SELECT nspname, relname
    FROM pg_catalog.pg_class
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition AND nspname !~ '^pg_'
        AND nspname NOT IN ('information_schema', 'tidemill', 'predictions') AND relname <> 'tidemill_migration'
        AND has_schema_privilege(pg_namespace.oid, 'USAGE') AND has_table_privilege(pg_class.oid, 'SELECT')
    ORDER BY 1, 2"""
_UNIQUE = """
    SELECT array_agg(attname::text ORDER BY attnum)
    FROM pg_catalog.pg_index
    JOIN pg_catalog.pg_class ON pg_class.oid = indrelid
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_catalog.pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
    WHERE nspname = %s AND relname = %s AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
    GROUP BY indexrelid, indisprimary
    ORDER BY indisprimary DESC, count(*)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A table as a sample shows it."""

    table: TableName
    columns: tuple[TableColumn, ...]
    n_rows: int
    sample: pd.DataFrame
    """A column for each feature candidate by its name in the spec, and each date or time by its name in the table."""
    features: tuple[Candidate, ...]
    unusable: dict[str, str]
    """Why a column cannot be a feature, by its type."""
    unique: tuple[tuple[str, ...], ...]
    """Columns of the unique indexes, the primary key first."""

    @property
    def times(self) -> list[str]:
        """Columns with a date."""
        return [column.name for column in self.columns if column.is_time]

    def column(self, name: str) -> TableColumn:
        """Return a column by its name in the table, or in the spec if that is what is written."""
        by_name = {item.column: item.column for item in self.features} | {c.name: c.name for c in self.columns}
        loose = {key.lower(): value for key, value in by_name.items()}
        found = by_name.get(name) or loose.get(name.lower())
        if found is None:
            names = ", ".join(quoted(column.name) for column in self.columns)
            raise SettingsError(f"{self.table} has no column {name!r}.", f"It has {names}.")
        return next(column for column in self.columns if column.name == found)

    def feature(self, column: str) -> Candidate:
        """Return how a column is read as one value.

        Raises
        ------
        SettingsError
            If it is neither a number nor a text.
        """
        found = [item for item in self.features if item.column == column]
        if not found:
            raise SettingsError(f"The column {column!r} is neither a number nor a text.", "Choose another column.")
        return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReader:
    """A table inside one read-only transaction."""

    cursor: Cursor
    table: TableName

    def profile(self) -> Profile:
        """Sample the table.

        Raises
        ------
        EmptyPartition
            If it has no rows.
        """
        columns = self._columns()
        self.cursor.execute(f"SELECT count(*) FROM {self.table}")
        n_rows = int(fetch_value(self.cursor))
        if not n_rows:
            raise EmptyPartition(f"{self.table} has no rows.", "Load it first: 'tidemill load FILE schema.table'.")
        features, unusable = candidates(columns)
        expressions = [f"{item.expression} AS {quoted(item.name)}" for item in features]
        times = [f"{quoted(column.name)} AS {quoted('@' + column.name)}" for column in columns if column.is_time]
        sample = self._sample([*expressions, *times], n_rows)
        self.cursor.execute(_UNIQUE, (self.table.schema, self.table.name))
        unique = tuple(tuple(names) for (names,) in self.cursor.fetchall())
        return Profile(
            table=self.table,
            columns=columns,
            n_rows=n_rows,
            sample=sample.rename(columns=lambda name: name.removeprefix("@")),
            features=tuple(features),
            unusable=unusable,
            unique=unique,
        )

    def is_unique(self, names: Sequence[str]) -> bool:
        """Whether no two rows are equal in all of these columns, and none of their values is NULL."""
        listed = ", ".join(map(quoted, names))
        nulls = " OR ".join(f"{quoted(name)} IS NULL" for name in names)
        self.cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {self.table} WHERE {nulls})")
        if not fetch_value(self.cursor):
            return False
        self.cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {self.table} GROUP BY {listed} HAVING count(*) > 1)")
        return bool(fetch_value(self.cursor))

    def is_once_per(self, name: str, every: str, local: str) -> bool:
        """Whether values recur in at least half of the rows, but only once in each partition.

        Parameters
        ----------
        name : str
            Column.
        every : str
            Length of a partition: ``day``, ``week`` or ``month``.
        local : str
            SQL of the local time of a row.
        """
        column = quoted(name)
        self.cursor.execute(
            f"SELECT count({column}) = count(*) AND count(DISTINCT {column}) <= count(*) / 2 FROM {self.table}"
        )
        if not fetch_value(self.cursor):
            return False
        self.cursor.execute(
            f"SELECT NOT EXISTS (SELECT FROM {self.table} GROUP BY {column}, date_trunc('{every}', {local})"
            " HAVING count(*) > 1)"
        )
        return bool(fetch_value(self.cursor))

    def rows_per_day(self, instant: str, label: str) -> list[tuple[datetime, int]]:
        """Return the days with labelled rows, oldest first, with their number of rows.

        Parameters
        ----------
        instant : str
            SQL of the local time of a row.
        label : str
            SQL of the label.
        """
        self.cursor.execute(
            f"SELECT date_trunc('day', {instant}), count(*) FROM {self.table} "
            f"WHERE {label} IS NOT NULL AND isfinite({instant}) GROUP BY 1 ORDER BY 1"
        )
        return self.cursor.fetchall()

    def _columns(self) -> tuple[TableColumn, ...]:
        self.cursor.execute(_COLUMNS, (self.table.schema, self.table.name))
        columns = [TableColumn(name=name, type=kind, is_enum=is_enum) for name, kind, is_enum in self.cursor.fetchall()]
        if not columns:
            raise SettingsError(
                f"There is no table {self.table} in the warehouse.",
                "Names are case-sensitive here. Load a file: 'tidemill load FILE schema.table'.",
            )
        return tuple(
            TableColumn(name=item.name, type=item.type, is_enum=item.is_enum, json_keys=self._json_keys(item))
            for item in columns
        )

    def _json_keys(self, column: TableColumn) -> tuple[tuple[str, bool], ...]:
        if column.type not in ("json", "jsonb"):
            return ()
        name = quoted(column.name)
        self.cursor.execute(
            f"SELECT key, bool_and(jsonb_typeof(value) IN ('number', 'null')) AND bool_or(jsonb_typeof(value) = 'number') "
            f"FROM (SELECT CAST({name} AS jsonb) AS item FROM {self.table} WHERE {name} IS NOT NULL LIMIT 2000) AS sampled, "
            "jsonb_each(CASE WHEN jsonb_typeof(item) = 'object' THEN item ELSE '{}' END) AS pair "
            "GROUP BY key HAVING bool_and(jsonb_typeof(value) NOT IN ('object', 'array')) "
            f"ORDER BY count(*) DESC, key LIMIT {MAX_JSON_KEYS}"
        )
        return tuple(self.cursor.fetchall())

    def _sample(self, expressions: list[str], n_rows: int) -> pd.DataFrame:
        self.cursor.execute("SELECT setseed(0.5)")  # the same sample each time
        share = min(1.0, SAMPLE_ROWS / n_rows)
        where = f"WHERE random() < {share}" if share < 1 else ""
        self.cursor.execute(f"SELECT {', '.join(expressions)} FROM {self.table} {where}")
        names = [item.name for item in self.cursor.description or ()]
        return pd.DataFrame(self.cursor.fetchall(), columns=names)


def list_tables(url: str) -> list[str]:
    """Return the tables and views that the role may read, without Tidemill's own and the server's, as SQL writes them."""
    with frozen_view(url, TIMEOUT_S) as cursor:
        cursor.execute(_TABLES)
        return [str(TableName(schema=schema, name=name)) for schema, name in cursor.fetchall()]


@contextmanager
def open_table(url: str, table: TableName) -> Iterator[TableReader]:
    """Open a table for reading.

    Raises
    ------
    SettingsError
        If there is no such table, or the role may not read it; with the GRANT that it needs.
    """
    try:
        with frozen_view(url, TIMEOUT_S) as cursor:
            cursor.execute("SELECT current_user")
            role = fetch_value(cursor)
            yield TableReader(cursor=cursor, table=table)
    except (InsufficientPrivilege, SettingsError) as error:
        if not isinstance(error.__cause__ or error, InsufficientPrivilege):
            raise
        grant = f"GRANT USAGE ON SCHEMA {quoted(table.schema)} TO {quoted(role)}; GRANT SELECT ON {table} TO {quoted(role)};"
        raise SettingsError(f"The role {role!r} may not read {table}.", f"Run as the table's owner: {grant}") from error
    except UndefinedTable as error:
        raise SettingsError(f"There is no table {table} in the warehouse.", "Check the name.") from error
