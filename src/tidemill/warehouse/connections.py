"""Connections to Postgres, and the translation of its errors."""

import os
import re
import secrets
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from psycopg2 import errorcodes
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from tidemill.errors import SchemaChanged, SettingsError, StorageFull, TidemillError, WarehouseUnavailable, first_line

__all__ = [
    "Connection",
    "ConnectionPool",
    "Cursor",
    "connect",
    "fetch_all",
    "fetch_dicts",
    "fetch_one",
    "fetch_value",
    "kept_open",
    "process_name",
    "transaction",
    "translated",
]

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor
Row = TypeVar("Row")
_KEPT: ContextVar[dict[str, Connection] | None] = ContextVar("kept", default=None)
_NAMES: dict[int, str] = {}

_OVERRULING = ("PGTZ", "PGDATESTYLE")  # sent with the login, where they override the options
CONNECT_TIMEOUT_S = 10  # a server that does not answer by then counts as down
IDLE_TIMEOUT_S = 5  # releases the locks of a frozen client; ours never pause within a transaction
_RETRIABLE = ("08", "53", "57P")  # SQLSTATE classes: connection, resources, shutdown
_RETRIABLE_STATES = (
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.LOCK_NOT_AVAILABLE,
    errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
)
_SCHEMA_STATES = (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_COLUMN, errorcodes.UNDEFINED_FUNCTION)
_AUTH_CLASS = "28"
_LOST = "connection already closed"  # psycopg2's error of a rollback when the server has died during COPY
# Messages of a server or a pooler that have no SQLSTATE; a retry gets the same.
_POOLER = re.compile(r"startup parameter|command-line options")
_REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba\.conf entry|not permitted to log in"
    r"|permission denied|unrecognized configuration parameter|invalid value for parameter|invalid command-line argument"
    r"|no such (?:database|user)|tenant or user not found|does not support SSL|certificate|invalid connection option"
    r"|not currently accepting connections|^invalid (?:\w+ value|port number|integer value)|^definition of service",
    re.IGNORECASE,
)


def process_name() -> str:
    """Return this process's name in the ledger and its sessions: host, process id, and a random word."""
    pid = os.getpid()
    if pid not in _NAMES:  # a fork is a different process
        host = socket.gethostname()[:20].encode("ascii", "replace").decode().replace(" ", "-")
        _NAMES[pid] = f"{host}:{pid}:{secrets.token_hex(3)}"
    return _NAMES[pid]


@contextmanager
def connect(url: str, application: str = "tidemill") -> Iterator[Connection]:
    """Open a connection for the length of a block, with every error translated.

    Names must be schema-qualified: the search path is empty, so that nobody's table can shadow another's.
    All times are in UTC. Other settings in the URL's ``options`` apply, such as a role or a statement timeout.

    Parameters
    ----------
    url : str
        ``postgresql://`` URL without a password; libpq finds it by the ``passfile`` in the URL or its own rules.
    application : str, default "tidemill"
        Shown in ``pg_stat_activity``, with the name of this process.

    Raises
    ------
    WarehouseUnavailable
        If the server cannot be reached, or cuts the connection.
    SettingsError
        If the login is refused.
    """
    kept = _KEPT.get()
    with translated(url):
        if kept is not None and url in kept and _is_lost(kept[url]):
            kept.pop(url).close()
        if kept is not None and url in kept and kept[url].get_transaction_status() == TRANSACTION_STATUS_IDLE:
            yield kept[url]
            return
        connection = psycopg2.connect(
            url,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=f"{application} {process_name()}",
            options=_options(url),
            keepalives_idle=30,
            client_encoding="UTF8",  # overrides the shell's setting
        )
        _keep_settings(connection)
        if kept is not None:
            kept.setdefault(url, connection)
        try:
            yield connection
        finally:
            if kept is None or kept.get(url) is not connection:
                connection.close()


def _is_lost(connection: Connection) -> bool:
    """Return whether a server has ended an idle connection; it sends nothing else to one."""
    if connection.get_transaction_status() != TRANSACTION_STATUS_IDLE:
        return bool(connection.closed)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _options(url: str) -> str:
    """Return the options of the connection, or of the shell, followed by ours, which take precedence."""
    named = psycopg2.extensions.parse_dsn(url)
    service = named.get("service") or os.environ.get("PGSERVICE")
    given = named.get("options") or (service and _service_options(service)) or os.environ.get("PGOPTIONS", "")
    return (
        f"{given} -c search_path= -c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601"
        f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_S}s"
    ).strip()


def _service_options(service: str) -> str | None:
    """Return the options of a service, which Tidemill's would replace; None if libpq's service files set none."""
    files = [Path(os.environ.get("PGSERVICEFILE", Path.home() / ".pg_service.conf"))]
    files += [Path(folder) / "pg_service.conf" for folder in [os.environ.get("PGSYSCONFDIR")] if folder]
    for file in files:
        lines = [line.strip() for line in file.read_text().splitlines()] if file.is_file() else []
        if f"[{service}]" in lines:
            own = takewhile(lambda line: not line.startswith("["), lines[lines.index(f"[{service}]") + 1 :])
            return next((line.partition("=")[2] for line in own if line.startswith("options=")), None)
    return None


def _keep_settings(connection: Connection) -> None:
    """Restore settings that libpq's own variables override: a date must not depend on the shell."""
    if any(name in os.environ for name in _OVERRULING):
        with connection, connection.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'; SET datestyle = 'ISO'")


@contextmanager
def kept_open() -> Iterator[None]:
    """Keep one connection per URL open for a block: a login costs as much time as a day's scores.

    One that the server has ended meanwhile is replaced.
    """
    if _KEPT.get() is not None:  # by a block around this one
        yield
        return
    with ConnectionPool(max_idle=0).borrowed():
        yield


class ConnectionPool:
    """Keep connections open between the requests of a server; each request has its own while it runs.

    One that the server has ended meanwhile is replaced, as in `kept_open`.
    """

    def __init__(self, max_idle: int) -> None:
        self._idle: list[dict[str, Connection]] = []
        self._max_idle = max_idle

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Use the pool's connections in a block; those above ``max_idle`` are closed at its end."""
        kept = self._idle.pop() if self._idle else {}
        token = _KEPT.set(kept)
        try:
            yield
        finally:
            _KEPT.reset(token)
            if len(self._idle) < self._max_idle:
                self._idle.append(kept)
            else:
                for connection in kept.values():
                    connection.close()


@contextmanager
def transaction(url: str) -> Iterator[Cursor]:
    """Open a connection and one transaction: committed at the block's end, rolled back by an error."""
    with connect(url) as connection, connection, connection.cursor() as cursor:
        yield cursor


def fetch_dicts(cursor: Cursor) -> list[dict[str, Any]]:
    """Return each row as a dict by the names of the columns."""
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def fetch_all(cursor: Cursor, kind: type[Row]) -> tuple[Row, ...]:
    """Return one dataclass per row, by the names of the columns."""
    return tuple(kind(**row) for row in fetch_dicts(cursor))


def fetch_one(cursor: Cursor, kind: type[Row]) -> Row | None:
    """Return a dataclass of the only row, or None if there is no row."""
    return next(iter(fetch_all(cursor, kind)), None)


def fetch_value(cursor: Cursor) -> Any:
    """Return the first column of a statement's row, which always exists."""
    row = cursor.fetchone()
    assert row is not None  # an aggregate, a function or RETURNING
    return row[0]


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Translate psycopg2's errors, without the URL's secrets; also those about a text that no database can store."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"The value {error.object[:100]!r} holds half of a surrogate pair, which no text in Postgres does.",
            "Write the value in UTF-8.",
        ) from error
    except ValueError as error:
        if "NUL (0x00)" not in str(error):
            raise
        raise SettingsError(
            "A value holds a NUL character, which no text in Postgres does.", "Leave it out of the value."
        ) from error
    except psycopg2.Error as error:
        text = first_line(error)
        place = _place(url)
        ours = _schema_error(error, place, text) or _refusal(error, place, text) or _outage(error, place, text)
        if ours is None:
            raise
        raise ours from error


def _schema_error(error: psycopg2.Error, place: str, text: str) -> TidemillError | None:
    if error.pgcode not in _SCHEMA_STATES:
        return None
    if "tidemill." in text:
        problem = f"The ledger in {place} is older than this code: {text}."
        return SettingsError(problem, "Bring it up to date: 'tidemill migrate'.")
    return SchemaChanged(
        f"The warehouse {place} lacks something that a query reads: {text}.",
        "Restore the table or column, or change the query and the spec.",
    )


def _refusal(error: psycopg2.Error, place: str, text: str) -> TidemillError | None:
    """Return the error of a missing right, a login or a pooler, which a retry does not fix."""
    state = error.pgcode or ""
    if state == errorcodes.INSUFFICIENT_PRIVILEGE:
        return SettingsError(f"{place}: {text}.", "GRANT the connection's role what it needs.")
    if not state and _POOLER.search(text):
        return SettingsError(
            f"{place} is a connection pooler, which refuses the settings of a session: {text}.",
            "Connect to Postgres itself: locks and signs of life need sessions of their own.",
        )
    if state.startswith(_AUTH_CLASS) or (not state and _REFUSED.search(text)):
        return SettingsError(
            f"{place} refuses the login: {text}.", "Check the connection's database, role, password and options."
        )
    return None


def _outage(error: psycopg2.Error, place: str, text: str) -> TidemillError | None:
    state = error.pgcode or ""
    if state == errorcodes.DISK_FULL:
        return StorageFull(
            f"The disk of the warehouse {place} is full: {text}.",
            "Nothing has become visible. Make room, collect old runs with 'tidemill gc', and run it again.",
        )
    unreachable = not state and isinstance(error, psycopg2.OperationalError)
    if state.startswith(_RETRIABLE) or state in _RETRIABLE_STATES or unreachable or _LOST in text:
        return WarehouseUnavailable(
            f"The warehouse {place} is not available: {text}.",
            "Airflow tries it again; from a shell, run it again.",
        )
    return None


def _place(url: str) -> str:
    try:
        parts = psycopg2.extensions.parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise SettingsError(
            "A connection's URL is not valid; it is not shown, since it may hold a password.",
            "Write postgresql://user@host:port/database.",
        ) from None
    return f"{parts.get('dbname', '?')} at {parts.get('host', 'local socket')}:{parts.get('port', '5432')}"
