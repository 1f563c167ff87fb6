"""Airflow's connections as the URLs that the platform takes."""

from urllib.parse import quote, urlencode

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from tidemill.errors import SettingsError

__all__ = ["connection_url"]


def connection_url(conn_id: str) -> str:
    """Give a ``postgresql://`` URL for an Airflow connection; its extras become parameters of libpq.

    Raises
    ------
    SettingsError
        If there is no such connection, or it is not one to Postgres.
    """
    try:
        connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"Airflow has no connection {conn_id!r}.",
            f"Add it under Admin, Connections, or set AIRFLOW_CONN_{conn_id.upper()}.",
        ) from None
    if connection.conn_type not in ("postgres", "postgresql"):
        raise SettingsError(
            f"Airflow's connection {conn_id!r} is of type {connection.conn_type!r}, expected 'postgres'.",
            "Change the connection's type, or name another one in the spec.",
        )
    fields = {
        "host": connection.host,
        "port": connection.port,
        "dbname": connection.schema,
        "user": connection.login,
        "password": connection.password,
        **connection.extra_dejson,
    }
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    return "postgresql:///?" + urlencode(given, quote_via=quote)  # libpq takes a '+' for itself, not for a space
