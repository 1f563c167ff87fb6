"""A file into the warehouse: one transaction creates the table, copies the rows and grants them to the reader.

If it ends early for any reason, the server rolls it back: the table has every row, or is as before.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.errors import (
    DependentObjectsStillExist,
    DuplicateTable,
    ProgramLimitExceeded,
    QueryCanceled,
    WrongObjectType,
)

from tidemill.arrow import as_csv
from tidemill.errors import SettingsError
from tidemill.onboarding.files import Content, read_content
from tidemill.onboarding.names import TableName
from tidemill.warehouse.connections import Cursor, transaction

__all__ = ["Loaded", "load_file"]

READER = "tidemill_reader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load wrote."""

    n_rows: int
    columns: dict[str, str]
    """Type in Postgres by name."""
    notes: list[str]


def load_file(
    owner_url: str,
    path: Path,
    table: TableName,
    *,
    replace: bool = False,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
) -> Loaded:
    """Load a CSV or Parquet file into a new table that the reader may read.

    Parameters
    ----------
    owner_url : str
        Connection of the role that may create schemas and tables.
    replace : bool, default False
        Whether an existing table of that name is dropped.
    on_rows : callable, optional
        Called with the rows sent so far, and their total.

    Raises
    ------
    SettingsError
        If the table exists, or the file cannot be read.
    """
    table.refuse_own()
    content = read_content(path)
    with _clear_errors(path, table), transaction(owner_url) as cursor:
        _create(cursor, table, content.columns, replace=replace)
        with io.BufferedReader(_Rows(content, on_rows), 2**20) as rows:
            cursor.copy_expert(sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(_identifier(table)), rows)
        n_rows = cursor.rowcount
        cursor.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (READER,))
        if cursor.fetchone():
            names = {
                "schema": sql.Identifier(table.schema),
                "table": _identifier(table),
                "role": sql.Identifier(READER),
            }
            cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}").format(**names))
            cursor.execute(sql.SQL("GRANT SELECT ON {table} TO {role}").format(**names))
        cursor.execute(sql.SQL("ANALYZE {}").format(_identifier(table)))
    return Loaded(n_rows=n_rows, columns=content.columns, notes=content.notes)


def _identifier(table: TableName) -> sql.Identifier:
    return sql.Identifier(table.schema, table.name)


def _create(cursor: Cursor, table: TableName, columns: dict[str, str], *, replace: bool) -> None:
    cursor.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (table.schema,))
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(table.schema)))
    if replace:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_identifier(table)))
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(sql_type)) for name, sql_type in columns.items()
    )
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(_identifier(table), definitions))


@contextmanager
def _clear_errors(path: Path, table: TableName) -> Iterator[None]:
    try:
        yield
    except DuplicateTable as error:
        raise SettingsError(f"{table} exists already; nothing was changed.", "Pass --replace to replace it.") from error
    except DependentObjectsStillExist as error:
        raise SettingsError(
            f"{table} cannot be replaced: {error.diag.message_detail}.", "Drop what depends on it first."
        ) from error
    except WrongObjectType as error:
        raise SettingsError(f"{table} is not a table: {error.diag.message_primary}.", "Choose another name.") from error
    except ProgramLimitExceeded as error:
        raise SettingsError(
            f"{path} does not fit into a table: {error.diag.message_primary}. Nothing was loaded.",
            "Leave columns out, or divide them among several files.",
        ) from error
    except QueryCanceled as error:  # by this side, because the rest of the file cannot be read
        raise SettingsError(
            f"{path} cannot be read to its end: {error.diag.message_primary or error}. Nothing was loaded.",
            "Write the file again.",
        ) from error
    except psycopg2.DataError as error:
        where = (error.diag.context or "").partition("\n")[0]
        raise SettingsError(
            f"{path} holds a value that Postgres does not take: {error.diag.message_primary} ({where}). Nothing was loaded.",
            "Correct the value.",
        ) from error


class _Rows(io.RawIOBase):
    """The rows of a file as a stream of CSV, made while it is read."""

    def __init__(self, content: Content, on_rows: Callable[[int, int], None]) -> None:
        self._batches, self._rest = content.batches, memoryview(b"")
        self._n_sent, self._n_rows, self._on_rows = 0, content.n_rows, on_rows

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # Buffer is a type from 3.12 on
        while not self._rest:
            batch = next(self._batches, None)
            if batch is None:
                return 0
            self._rest = memoryview(as_csv(batch))
            self._n_sent += batch.num_rows
            self._on_rows(self._n_sent, self._n_rows)
        n = min(len(buffer), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n
