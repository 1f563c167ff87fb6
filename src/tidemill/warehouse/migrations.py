"""Migrations: numbered SQL files, forward only, each in one transaction with its own record.

Concurrent migrations wait for each other on the lock of the table of records. Roles that only read cannot take that lock,
unlike an advisory one. A migration that waits too long, even for a table that somebody reads, ends and names the others.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg2.errors import LockNotAvailable, UniqueViolation

from tidemill.errors import SettingsError, WarehouseUnavailable
from tidemill.warehouse.connections import Connection, Cursor, connect
from tidemill.warehouse.statements import execute, sql_folder

__all__ = ["apply_migrations"]

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
LOCK_TIMEOUT_S = 60  # seconds per lock; ordinary readers and writers are done by then


def apply_migrations(owner_url: str, folder: Path | None = None) -> tuple[str, ...]:
    """Bring the ledger's schema up to date.

    Parameters
    ----------
    owner_url : str
        Connection of the role that owns the schema.
    folder : Path, optional
        Folder of ``NNNN_name.sql`` files.

    Returns
    -------
    tuple of str
        Names of the files applied by this call; empty if nothing was due.

    Raises
    ------
    SettingsError
        If a file that was applied earlier has changed since.
    WarehouseUnavailable
        If another session holds a lock for too long; the message names it.
    """
    paths = sorted(path for path in (folder or sql_folder("migrations")).iterdir() if _FILE.fullmatch(path.name))
    with connect(owner_url, "tidemill-migrate") as connection:
        _create_records(connection)
        with _locked(connection) as cursor:
            applied = _applied(cursor)
        for path in paths:
            if path.name in applied and applied[path.name] != _digest(path):
                raise SettingsError(
                    f"Migration {path.name} has changed since it was applied.",
                    "Restore the file and write the change as a new migration.",
                )
        due = [path for path in paths if path.name not in applied]
        return tuple(path.name for path in due if _apply(connection, path))


def _create_records(connection: Connection) -> None:
    with suppress(UniqueViolation), connection, connection.cursor() as cursor:  # another process has just created it
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS public.tidemill_migration "
            "(name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )


def _apply(connection: Connection, path: Path) -> bool:
    """Apply a migration, unless another process has done so meanwhile; return whether this call did."""
    with _locked(connection) as cursor:
        if path.name in _applied(cursor):
            return False
        cursor.execute(path.read_text(encoding="utf-8"))
        cursor.execute(
            "INSERT INTO public.tidemill_migration (name, digest) VALUES (%s, %s)", (path.name, _digest(path))
        )
        return True


def _applied(cursor: Cursor) -> dict[str, str]:
    cursor.execute("SELECT name, digest FROM public.tidemill_migration")
    return dict(cursor.fetchall())


@contextmanager
def _locked(connection: Connection) -> Iterator[Cursor]:
    """Open a transaction that excludes other migrations; if it waits too long, report which sessions block it."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
            cursor.execute("LOCK TABLE public.tidemill_migration IN SHARE ROW EXCLUSIVE MODE")
            yield cursor
    except LockNotAvailable as error:
        with connection, connection.cursor() as cursor:
            execute(cursor, "lock_holders")
            holders = ", ".join(
                f"session {pid} of {role} ({name or 'no name'})" for pid, role, name in cursor.fetchall()
            )
        raise WarehouseUnavailable(
            f"The migration has waited {LOCK_TIMEOUT_S} s for a table of the ledger; now in use by"
            f" {holders or 'nobody any more'}.",
            "Wait for these sessions or end them, then run 'tidemill migrate' again; the migration was rolled back.",
        ) from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
