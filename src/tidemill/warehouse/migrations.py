"""Migrations: numbered SQL files, forward only, each in one transaction with its own record."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

from tidemill.errors import SettingsError
from tidemill.warehouse.connections import connect

__all__ = ["apply_migrations", "migrations_folder"]

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_LOCK = 7_305_180_437  # any fixed number: concurrent migrations wait for each other


def migrations_folder() -> Path:
    """Return the folder of migrations: in the installed package, or in the checkout."""
    shipped = Path(str(files("tidemill"))) / "migrations"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "sql" / "migrations"


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
    """
    paths = sorted(path for path in (folder or migrations_folder()).iterdir() if _FILE.fullmatch(path.name))
    with connect(owner_url, "tidemill-migrate") as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))  # held until the connection closes
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS public.tidemill_migration "
                "(name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            cursor.execute("SELECT name, digest FROM public.tidemill_migration")
            applied = dict(cursor.fetchall())
        due = [path for path in paths if path.name not in applied]
        for path in paths:
            if path.name in applied and applied[path.name] != _digest(path):
                raise SettingsError(
                    f"Migration {path.name} has changed since it was applied.",
                    "Restore the file and write the change as a new migration.",
                )
        for path in due:
            with connection, connection.cursor() as cursor:
                cursor.execute(path.read_text(encoding="utf-8"))
                cursor.execute(
                    "INSERT INTO public.tidemill_migration (name, digest) VALUES (%s, %s)", (path.name, _digest(path))
                )
    return tuple(path.name for path in due)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
