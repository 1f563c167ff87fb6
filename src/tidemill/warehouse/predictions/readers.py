"""Logins for BI tools and dbt: they read the published views, and nothing else."""

import secrets
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import encrypt_password, parse_dsn

from tidemill.errors import SettingsError
from tidemill.warehouse.connections import Cursor, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["READABLE", "Reader", "allow_reader"]

READABLE = ("published_partition", "realised_quality", "live")
"""Views of the schema ``tidemill`` that a reader may read, besides all in ``predictions``."""

_RIGHTS = (
    "GRANT USAGE ON SCHEMA predictions, tidemill TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA predictions TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA predictions GRANT SELECT ON TABLES TO {role}",  # views of models to come
    *(f"GRANT SELECT ON tidemill.{view} TO {{role}}" for view in READABLE),
    "GRANT CONNECT ON DATABASE {database} TO {role}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A login, and how to connect with it."""

    name: str
    url: str
    """Connection URL without a password."""
    password: str | None
    """The password, if this call has set one; it is stored nowhere."""
    passline: str
    """Line for a libpq password file; empty without a password."""


def allow_reader(owner_url: str, name: str, *, new_password: bool = False) -> Reader:
    """Create a login unless it exists, and let it read the published views of all models, present and to come.

    Parameters
    ----------
    owner_url : str
        Connection of the schema's owner; creating a login needs its right to create roles.
    new_password : bool, default False
        Whether an existing login gets a new password.

    Raises
    ------
    SettingsError
        If the name belongs to Postgres or to Tidemill, or the owner may not create logins; with the SQL for an administrator.
    """
    with transaction(owner_url) as cursor:
        _refuse_taken(cursor, name)
        execute(cursor, "database_name")
        database = str(fetch_value(cursor))
        names = {"role": sql.Identifier(name), "database": sql.Identifier(database)}
        execute(cursor, "role_exists", role=name)
        exists = bool(fetch_value(cursor))
        password = secrets.token_urlsafe(32) if new_password or not exists else None
        if password is not None:
            _set_password(cursor, name, password, exists=exists)
        for right in _RIGHTS:
            cursor.execute(sql.SQL(right).format(**names))
    place = parse_dsn(owner_url)
    host, port = place.get("host", "localhost"), place.get("port", "5432")
    passline = f"{host}:{port}:{database}:{name}:{password}" if password else ""
    return Reader(name=name, url=f"postgresql://{name}@{host}:{port}/{database}", password=password, passline=passline)


def _refuse_taken(cursor: Cursor, name: str) -> None:
    execute(cursor, "role_has_powers", role=name)
    if name.startswith(("pg_", "tidemill")) or fetch_value(cursor):
        raise SettingsError(f"{name!r} is not the name of a reader's login.", "Choose another, such as bi or dbt.")


def _set_password(cursor: Cursor, name: str, password: str, *, exists: bool) -> None:
    # Hashed by the client, so that no log of the server can show the password.
    hashed = encrypt_password(password, name, cursor.connection, "scram-sha-256")
    role = sql.Identifier(name)
    create = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}")
    try:
        cursor.execute(create.format(role, sql.Literal(hashed)))
    except InsufficientPrivilege as error:
        statement = f"CREATE ROLE {role.as_string(cursor)} LOGIN PASSWORD '…';"
        raise SettingsError(
            f"The owner's role may not {'change' if exists else 'create'} the login {name!r}.",
            f"Let an administrator run: {statement} Then run this command again, for the rights.",
        ) from error
