"""A running Postgres: whether it is ready, its roles and databases, and connections to them.

Each program has its own database and role, and a role can connect only to its own database. The migrations create
tables and decide who may read them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, encrypt_password

from tidemill.errors import StackError
from tidemill.machine.ports import LOOPBACK
from tidemill.postgres.cluster import ADMIN
from tidemill.postgres.passwords import create_password, passfile, password

__all__ = ["ROLES", "Answer", "Role", "Server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A login role and the one database that it can connect to."""

    name: str
    """Such as ``tidemill_reader``."""
    database: str
    """Such as ``warehouse``."""
    owns: bool = False
    """Whether the database belongs to the role."""
    creates_roles: bool = False
    """Whether it may create roles, as migrations do; Postgres lets it change only those that it created."""


ROLES = (
    Role(name="tidemill_owner", database="warehouse", owns=True, creates_roles=True),
    Role(name="tidemill_writer", database="warehouse"),
    Role(name="tidemill_promoter", database="warehouse"),
    Role(name="tidemill_reader", database="warehouse"),
    Role(name="airflow", database="airflow", owns=True),
    Role(name="mlflow", database="mlflow", owns=True),
)
_DATABASES = {ADMIN: "postgres"} | {role.name: role.database for role in ROLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of one query."""

    columns: tuple[str, ...]
    """Names in order; empty for a statement that returns no rows."""
    rows: tuple[tuple[Any, ...], ...]
    """Python values, as psycopg2 converts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a Postgres listens on this machine, and where its passwords are."""

    port: int
    """Port on 127.0.0.1."""
    passwords: Path
    """Folder of the password files, one per role."""

    def url(self, role: str, scheme: str = "postgresql") -> str:
        """Return a role's connection URL; the password is in the file that it names.

        Parameters
        ----------
        scheme : str, default="postgresql"
            ``postgresql+psycopg2`` and ``postgresql+asyncpg`` for SQLAlchemy, ``postgres`` for Airflow.

        Examples
        --------
        >>> Server(port=5432, passwords=Path("/a b")).url("airflow")
        'postgresql://airflow@127.0.0.1:5432/airflow?passfile=/a%20b/airflow.pgpass'
        """
        file = quote(str(passfile(self.passwords, role)))
        return f"{scheme}://{role}@{LOOPBACK}:{self.port}/{_DATABASES[role]}?passfile={file}"

    def password(self, role: str) -> str:
        """Return a role's password; for a connection, never for a log."""
        return password(self.passwords, role)

    def is_ready(self) -> bool:
        """Return whether the server accepts connections now."""
        try:
            with self._connected(ADMIN):
                return True
        except psycopg2.OperationalError:
            return False

    def create_databases(self) -> None:
        """Create missing roles and databases, and set passwords and rights again; missing passwords are generated."""
        with self._connected(ADMIN) as admin:
            for role in ROLES:
                create_password(self.passwords, role.name, role.database)
                _create_role(admin, role, self.password(role.name))
            for role in ROLES:
                if role.owns:
                    _create_database(admin, role)
            # PUBLIC can connect to every new database: revoke that before each role gets its own.
            for database in sorted({"postgres", "template1", *(role.database for role in ROLES)}):
                _execute(admin, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database)
            for role in ROLES:
                _execute(admin, "GRANT CONNECT ON DATABASE {} TO {}", role.database, role.name)

    def ask(self, query: str) -> Answer:
        """Run one query on the warehouse as the role that can only read.

        Raises
        ------
        StackError
            If Postgres refuses the query or cannot be reached; its own message is included.
        """
        try:
            with self._connected("tidemill_reader") as reader, reader.cursor() as cursor:
                cursor.execute(query)
                if cursor.description is None:
                    return Answer(columns=(), rows=())
                columns = tuple(column.name for column in cursor.description)
                return Answer(columns=columns, rows=tuple(cursor.fetchall()))
        except psycopg2.OperationalError as error:
            raise StackError(
                f"The warehouse did not answer: {str(error).strip()}.", "See which programs run: make status."
            ) from error
        except psycopg2.Error as error:
            raise StackError(f"Postgres refused the query: {str(error).strip()}.", "Correct the query.") from error

    @contextmanager
    def _connected(self, role: str) -> Iterator[connection]:
        # The password is passed, not left to libpq: PGPASSWORD in the caller's shell would override a password file.
        opened = psycopg2.connect(
            host=LOOPBACK,
            port=self.port,
            user=role,
            dbname=_DATABASES[role],
            password=self.password(role),
            connect_timeout=5,  # seconds; on one machine a longer wait means that the server hangs
            application_name="tidemill",
        )
        try:
            opened.autocommit = True  # CREATE DATABASE refuses to run in a transaction
            yield opened
        finally:
            opened.close()


def _create_role(admin: connection, role: Role, secret: str) -> None:
    if not _exists(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", role.name):
        _execute(admin, "CREATE ROLE {}", role.name)
    creates = sql.SQL("CREATEROLE" if role.creates_roles else "NOCREATEROLE")
    # Hashed by the client, so that no log of the server can show the password.
    hashed = encrypt_password(secret, role.name, admin, "scram-sha-256")
    statement = sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB {} PASSWORD {}")
    with admin.cursor() as cursor:
        cursor.execute(statement.format(sql.Identifier(role.name), creates, sql.Literal(hashed)))


def _create_database(admin: connection, owner: Role) -> None:
    if not _exists(admin, "SELECT 1 FROM pg_database WHERE datname = %s", owner.database):
        _execute(admin, "CREATE DATABASE {} OWNER {}", owner.database, owner.name)


def _exists(admin: connection, query: str, name: str) -> bool:
    with admin.cursor() as cursor:
        cursor.execute(query, (name,))
        return cursor.fetchone() is not None


def _execute(admin: connection, statement: str, *names: str) -> None:
    with admin.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
