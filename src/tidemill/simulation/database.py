"""The simulation's database: on a Postgres that a connection names, otherwise on a temporary one from a wheel."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from psycopg2 import sql

from tidemill.errors import SettingsError
from tidemill.postgres.cluster import ADMIN, is_installed
from tidemill.postgres.throwaway import throwaway_server
from tidemill.warehouse.connections import connect
from tidemill.warehouse.migrations import apply_migrations

__all__ = ["VARIABLE", "SimulationDatabase", "simulation_database"]

VARIABLE = "TIDEMILL_CONN_SIMULATION"
"""Connection of a login that may create databases, on a server with the ledger's roles."""

_ROLES = ("tidemill_writer", "tidemill_promoter", "tidemill_reader")  # the migrations grant rights to them


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationDatabase:
    """A database with an empty ledger that only one simulation uses."""

    server_url: str = field(repr=False)
    """Connection of the login that creates it; it may contain a password."""
    name: str
    """Name of the database, such as ``tidemill_simulation_1f0c``."""

    @property
    def url(self) -> str:
        """Connection to the database, which its login owns."""
        return urlsplit(self.server_url)._replace(path=f"/{self.name}").geturl()

    def create(self) -> None:
        """Create the database and the ledger in it.

        Raises
        ------
        SettingsError
            If the ledger's roles are missing, or the login may not create databases.
        """
        with connect(self.server_url, "tidemill-simulation") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)", (list(_ROLES),))
            missing = sorted(set(_ROLES) - {name for (name,) in cursor.fetchall()})
        if missing:
            raise SettingsError(
                f"The server of {VARIABLE} has no role {missing[0]!r}.",
                "Name the server of the warehouse, or create the roles: docs/deploy/existing-airflow.md.",
            )
        self._execute("CREATE DATABASE {}", self.name)
        self._execute("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", self.name)
        apply_migrations(self.url)

    def keep(self) -> None:
        """Copy the database; no session may be connected."""
        self._copy(self.name, self._kept)

    def restore(self) -> None:
        """Replace the database by its copy."""
        self._copy(self._kept, self.name)

    def drop(self) -> None:
        """Drop the database and its copy."""
        for name in (self.name, self._kept):
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    @property
    def _kept(self) -> str:
        return f"{self.name}_kept"

    def _copy(self, source: str, target: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", target)
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", target, source)

    def _execute(self, statement: str, *names: str) -> None:
        with connect(self.server_url, "tidemill-simulation") as connection:
            connection.autocommit = True  # CREATE DATABASE refuses to run in a transaction
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def simulation_database(folder: Path) -> Iterator[SimulationDatabase]:
    """Create a database with an empty ledger; the end of the block removes it.

    Parameters
    ----------
    folder : Path
        An empty, private folder for the temporary Postgres, which runs unless ``TIDEMILL_CONN_SIMULATION`` names one.

    Raises
    ------
    SettingsError
        If no server is named and none can be started, or the named one refuses.
    """
    with _server_url(folder) as server_url:
        database = SimulationDatabase(server_url=server_url, name=f"tidemill_simulation_{secrets.token_hex(6)}")
        try:
            database.create()
            yield database
        finally:
            database.drop()


@contextmanager
def _server_url(folder: Path) -> Iterator[str]:
    named = os.environ.get(VARIABLE)
    if named:
        yield named
    elif is_installed():
        with throwaway_server(folder) as server:
            yield server.url(ADMIN)
    else:
        raise SettingsError(
            f"A simulation needs a Postgres of its own: {VARIABLE} is not set, and no Postgres is installed.",
            f"Set {VARIABLE} to the postgresql:// URL of a login that may create databases, on the server of the"
            " warehouse; or install one: pip install 'tidemill[local]'.",
        )
