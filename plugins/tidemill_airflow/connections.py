"""Airflow's connections as the URLs that the platform takes."""

from urllib.parse import urlencode

from airflow.sdk import Connection

from tidemill.errors import SettingsError

__all__ = ["connection_url"]


def connection_url(conn_id: str) -> str:
    """Give a ``postgresql://`` URL for an Airflow connection.

    Raises
    ------
    SettingsError
        If the connection is not one to Postgres.
    """
    connection = Connection.get(conn_id)
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
    return "postgresql:///?" + urlencode({name: value for name, value in fields.items() if value})
