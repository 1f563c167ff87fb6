"""The stack's databases and login roles, and connections to them.

Each program has a database and a role of its own, and a role can connect to its own database alone. Tables, and
who may read them, are the migrations' business.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, encrypt_password

from tidemill.errors import StackError
from tidemill.local.home import Home
from tidemill.local.ports import LOOPBACK
from tidemill.local.postgres import ADMIN
from tidemill.local.secrets import create_password, passfile, password

__all__ = ["ROLES", "Answer", "Role", "ask", "copy_database", "create_databases", "is_ready", "url"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A login role and the one database that it may enter."""

    name: str
    """Such as ``tidemill_reader``."""
    database: str
    """Such as ``warehouse``."""
    owns: bool = False
    """Whether the database belongs to the role."""
    creates_roles: bool = False
    """Whether it may create roles, as migrations do; Postgres lets it touch only those it made."""


ROLES = (
    Role(name="tidemill_owner", database="warehouse", owns=True, creates_roles=True),
    Role(name="tidemill_writer", database="warehouse"),
    Role(name="tidemill_promoter", database="warehouse"),
    Role(name="tidemill_reader", database="warehouse"),
    Role(name="airflow", database="airflow", owns=True),
    Role(name="mlflow", database="mlflow", owns=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one query gave."""

    columns: tuple[str, ...]
    """Names in order; empty for a statement that gives no rows."""
    rows: tuple[tuple[Any, ...], ...]
    """Python values, as psycopg2 makes them."""


def url(home: Home, port: int, name: str, scheme: str = "postgresql") -> str:
    """Return a role's connection URL; the password is in the file that it names.

    Parameters
    ----------
    home : Home
        The stack's home.
    port : int
        Postgres's port.
    name : str
        A login role.
    scheme : str, default="postgresql"
        ``postgresql+psycopg2`` and ``postgresql+asyncpg`` for SQLAlchemy, ``postgres`` for Airflow.

    Examples
    --------
    >>> from pathlib import Path
    >>> url(Home(folder=Path("/a b")), 5432, "airflow")
    'postgresql://airflow@127.0.0.1:5432/airflow?passfile=/a%20b/secrets/airflow.pgpass'
    """
    return f"{scheme}://{name}@{LOOPBACK}:{port}/{_role(name).database}?passfile={quote(str(passfile(home, name)))}"


def is_ready(home: Home, port: int) -> bool:
    """Return whether Postgres takes connections now."""
    try:
        with _connected(home, port, ADMIN, "postgres"):
            return True
    except psycopg2.OperationalError:
        return False


def create_databases(home: Home, port: int) -> None:
    """Create what is missing of the roles and databases, and set passwords and rights anew.

    Parameters
    ----------
    home : Home
        Where the passwords lie; missing ones are generated.
    port : int
        Where Postgres listens.
    """
    with _connected(home, port, ADMIN, "postgres") as admin:
        for role in ROLES:
            create_password(home, role.name, role.database)
            _create_role(admin, role, password(home, role.name))
        for role in ROLES:
            if role.owns:
                _create_database(admin, role)
        # PUBLIC may enter every new database: take that away before giving each role its own.
        for database in sorted({"postgres", "template1", *(role.database for role in ROLES)}):
            _execute(admin, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database)
        for role in ROLES:
            _execute(admin, "GRANT CONNECT ON DATABASE {} TO {}", role.database, role.name)


def copy_database(home: Home, port: int, source: str, target: str, owner: str) -> None:
    """Replace a database by a copy of another one, which nobody may be connected to meanwhile.

    Parameters
    ----------
    home : Home
        The stack's home.
    port : int
        Where Postgres listens.
    source, target : str
        Names of databases; whoever is connected to ``target`` is cut off.
    owner : str
        Role that the copy belongs to.
    """
    with _connected(home, port, ADMIN, "postgres") as admin:
        _execute(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", target)
        _execute(admin, "CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy", target, source, owner)


def ask(home: Home, port: int, query: str) -> Answer:
    """Run one query as the role that can only read.

    Raises
    ------
    StackError
        If Postgres refuses the query or cannot be reached; its own words are in the message.
    """
    try:
        with _connected(home, port, "tidemill_reader", "warehouse") as reader, reader.cursor() as cursor:
            cursor.execute(query)
            if cursor.description is None:
                return Answer(columns=(), rows=())
            return Answer(columns=tuple(column.name for column in cursor.description), rows=tuple(cursor.fetchall()))
    except psycopg2.OperationalError as error:
        raise StackError(
            f"The warehouse did not answer: {str(error).strip()}.", "See what runs: make status."
        ) from error
    except psycopg2.Error as error:
        raise StackError(f"Postgres refused the query: {str(error).strip()}.", "Correct the query.") from error


def _role(name: str) -> Role:
    return next(role for role in ROLES if role.name == name)


@contextmanager
def _connected(home: Home, port: int, role: str, database: str) -> Iterator[connection]:
    # The password is given, not left to libpq: PGPASSWORD in somebody's shell would win over a passfile.
    opened = psycopg2.connect(
        host=LOOPBACK,
        port=port,
        user=role,
        dbname=database,
        password=password(home, role),
        connect_timeout=5,  # seconds; on one machine more means that it hangs
        application_name="tidemill",
    )
    try:
        opened.autocommit = True  # CREATE DATABASE refuses to run in a transaction
        yield opened
    finally:
        opened.close()


def _create_role(admin: connection, role: Role, word: str) -> None:
    if not _exists(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", role.name):
        _execute(admin, "CREATE ROLE {}", role.name)
    creates = sql.SQL("CREATEROLE" if role.creates_roles else "NOCREATEROLE")
    # Hashed on this side, so that no log of the server can ever show the password.
    hashed = encrypt_password(word, role.name, admin, "scram-sha-256")
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
