"""Airflow's connections as the URLs that the platform takes."""

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from tidemill.errors import SettingsError
from tidemill.workspace import LEDGER, PROMOTER, SOURCE

__all__ = ["channel_url", "connection_url"]


def connection_url(conn_id: str) -> str:
    """Return the URL of an Airflow connection: ``postgresql://``, with its extras as parameters of libpq.

    A connection of type ``fs`` (a folder, its extra ``path``) or ``s3`` (host, schema and extras are bucket, prefix and
    options) becomes ``file://`` or ``s3://``. The two connections of the ledger default to the warehouse's: one login with
    all three roles is enough.

    Raises
    ------
    SettingsError
        If the connection does not exist, has another type, or an extra that libpq does not know.
    """
    try:
        connection = _get(conn_id, f"AIRFLOW_CONN_{conn_id.upper()}")
    except SettingsError:
        if conn_id not in (LEDGER, PROMOTER):
            raise
        connection = _get(SOURCE, f"AIRFLOW_CONN_{SOURCE.upper()}")
    if connection.conn_type in _PLACES:
        return _PLACES[connection.conn_type](connection)
    if connection.conn_type not in ("postgres", "postgresql"):
        raise SettingsError(
            f"Airflow's connection {conn_id!r} is of type {connection.conn_type!r}, expected 'postgres', 'fs' or 's3'.",
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
    url = "postgresql:///?" + urlencode(given, quote_via=quote)  # libpq reads a '+' literally, not as a space
    try:
        parse_dsn(url)
    except ProgrammingError as error:  # which names the parameter, and no value
        raise SettingsError(
            f"Airflow's connection {conn_id!r} has an extra that is not a parameter of libpq: {str(error).strip()}.",
            "Remove it from the connection's extras, or name another connection in the spec.",
        ) from None
    return url


def _folder(connection: Any) -> str:
    path = connection.extra_dejson.get("path") or f"{connection.host or ''}/{connection.schema or ''}"
    return f"file:///{path.strip('/')}"


def _bucket(connection: Any) -> str:
    options = urlencode(connection.extra_dejson, quote_via=quote)
    place = "/".join(filter(None, (connection.host, (connection.schema or "").strip("/"))))
    return f"s3://{place}{'?' if options else ''}{options}"


_PLACES = {"fs": _folder, "file": _folder, "s3": _bucket}
"""Types of connections to files: what ``source.inputs`` reads."""


def channel_url(name: str) -> str:
    """Return the address of a channel for alerts: of ``TIDEMILL_ALERT_<NAME>``, or of the Airflow connection of that id.

    A connection of type ``smtp`` becomes a mail server, ``apprise`` and ``slackwebhook`` what Apprise takes.

    Raises
    ------
    SettingsError
        If neither exists, or the connection has another type.
    """
    variable = f"TIDEMILL_ALERT_{name.upper()}"
    connection = None if os.environ.get(variable) else _get(name, variable)
    url = os.environ[variable] if connection is None else _address(connection)
    mask_secret(url)  # libraries may log it
    return url


def _address(connection: Any) -> str:
    extra = connection.extra_dejson
    match connection.conn_type:
        case "smtp":
            return _mail_server(connection, extra)
        case "apprise":
            config = extra.get("config") or {}
            config = json.loads(config) if isinstance(config, str) else config
            first = config[0] if isinstance(config, list) else config
            return str(first.get("path", ""))
        case "slackwebhook":
            host = (connection.host or "https://hooks.slack.com/services").rstrip("/")
            return f"{host}/{(connection.password or '').lstrip('/')}"
    raise SettingsError(
        f"Airflow's connection {connection.conn_id!r} is of type {connection.conn_type!r}, "
        "expected 'smtp', 'apprise' or 'slackwebhook'.",
        "Change the connection's type, or name another channel in the spec.",
    )


def _mail_server(connection: Any, extra: dict[str, Any]) -> str:
    secure = not extra.get("disable_ssl", False)
    login = connection.login or ""
    user = f"{quote(login, safe='')}:{quote(connection.password or '', safe='')}@" if login else ""
    options = {"from": extra.get("from_email", ""), "to": extra.get("to", "")}
    if not secure and extra.get("disable_tls", False):
        options["tls"] = "off"
    given = urlencode({name: value for name, value in options.items() if value}, safe="@,", quote_via=quote)
    port = f":{connection.port}" if connection.port else ""
    return f"{'smtps' if secure else 'smtp'}://{user}{connection.host}{port}?{given}"


def _get(conn_id: str, variable: str) -> Any:
    try:
        return Connection.get(conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"Airflow has no connection {conn_id!r}.", f"Add it under Admin, Connections, or set {variable}."
        ) from None
