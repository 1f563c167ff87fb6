"""One MLflow server: used within a time budget, with its failures translated.

A server that is down, hangs or is slow costs a task less than half a minute (P10). MLflow's own client would repeat each
request seven times, even one that creates something and whose answer is merely lost. So nothing is repeated here: the
caller repeats the whole operation, which finds what already exists.
"""

import os
import re
import socket
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tidemill.errors import TrackingUnavailable, first_line

__all__ = ["BUDGET_S", "Session", "Tracking", "answers", "is_loopback", "is_reachable", "without_login"]

BUDGET_S = 14.0
"""Seconds after which no further request is begun; with the last one (8) and MLflow's import (6) a task loses under 30."""

_REQUEST_S = 8  # seconds before a single request times out
_CONNECT_S = 3  # seconds to accept a connection, before the client is imported
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_REQUEST_S),
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


@dataclass(frozen=True, slots=True)
class Session:
    """A session of work with one server."""

    client: Any
    """``mlflow.tracking.MlflowClient``."""
    shown: str
    """The server's address without user and password."""
    ends: float
    """When the budget ends, on the monotonic clock."""
    made: dict[str, str] = field(default_factory=dict)
    """Ids found or created in this session, by their subject."""

    def check_time(self) -> None:
        """Raise once the time budget is used up.

        Raises
        ------
        TrackingUnavailable
            If no time is left.
        """
        if time.monotonic() > self.ends:
            raise TrackingUnavailable(
                f"MLflow at {self.shown} answers slowly: {BUDGET_S:g} s were not enough.",
                "What is missing is shown the next time.",
            )


@dataclass(frozen=True, slots=True)
class Tracking:
    """Address of MLflow."""

    uri: str
    """Address, as ``MLFLOW_TRACKING_URI``; user, password and token may come from MLflow's own variables."""

    @contextmanager
    def session(self, budget_s: float = BUDGET_S) -> Iterator[Session]:
        """Work with the server.

        Raises
        ------
        TrackingUnavailable
            If it cannot be reached, refuses, fails, or is too slow.
        """
        shown = without_login(self.uri)
        if not is_reachable(self.uri):
            raise TrackingUnavailable(f"Nothing answers at MLflow's address {shown}.", "Start MLflow.")
        with _environment(_PATIENCE | _without_proxy(self.uri)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # MLflow's warnings about its own type hints
                import mlflow  # takes seconds
                import mlflow.pyfunc
                import requests
                from mlflow.exceptions import MlflowException
                from mlflow.tracking import MlflowClient

            mlflow.set_tracking_uri(self.uri)
            try:
                yield Session(MlflowClient(self.uri), shown, time.monotonic() + budget_s)
            except (MlflowException, requests.RequestException) as error:
                said = first_line(error).replace(self.uri, shown)[:300]
                raise TrackingUnavailable(f"MLflow at {shown} failed: {said}", "Look at its log.") from error


def is_reachable(uri: str) -> bool:
    """Whether anything listens at MLflow's address, tested before its client is imported and waits."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        # A database or a folder, which the client opens itself; but not a host and port without http://.
        return re.match(r"[\w.-]+:\d+(/|$)", uri) is None
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), _CONNECT_S):
            return True
    except (OSError, ValueError):  # the latter if the port is not a number
        return False


def answers(uri: str, limit_s: float = 5.0) -> bool:
    """Whether the server at MLflow's address answers one request in time; a database address is not tried.

    Parameters
    ----------
    uri : str
        Address, as ``MLFLOW_TRACKING_URI``.
    limit_s : float, default 5.0
        Seconds for the connection, the request and the first byte of the answer.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not is_reachable(uri):
        return is_reachable(uri)
    host, deadline = parts.hostname or "", time.monotonic() + limit_s
    question = f"GET {parts.path.rstrip('/')}/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with (
            socket.create_connection((host, port), limit_s) as plain,
            _secured(plain, parts.scheme, host) as connection,
        ):
            connection.sendall(question.encode("latin-1", "replace"))
            connection.settimeout(max(0.01, deadline - time.monotonic()))  # seconds; 0 would mean no waiting at all
            return connection.recv(1) != b""
    except OSError:  # refused, timed out, or no TLS
        return False


def _secured(connection: socket.socket, scheme: str, host: str) -> socket.socket:
    """Return the connection, with TLS if the scheme asks for it; the certificate is not checked, as nothing secret is sent."""
    if scheme == "http":
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=host)


def without_login(uri: str) -> str:
    """Return an address without user and password.

    Examples
    --------
    >>> without_login("https://me:secret@mlflow.example.com:8443/base")
    'https://mlflow.example.com:8443/base'
    """
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def is_loopback(uri: str) -> bool:
    """Whether an address is on this machine, which no proxy can reach.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:5000"), is_loopback("http://[::1]:5000"), is_loopback("https://mlflow.example.com")
    (True, True, False)
    """
    host = urlsplit(uri).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")


def _without_proxy(uri: str) -> dict[str, str]:
    """Return the variables that exclude this machine from ``HTTP_PROXY``."""
    if not is_loopback(uri):
        return {}
    names = ("no_proxy", "NO_PROXY")
    hosts = [*(os.environ.get(name, "") for name in names), urlsplit(uri).hostname or ""]
    return dict.fromkeys(names, ",".join(filter(None, hosts)))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a block: MLflow's client reads these settings only from there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            _restore(name, value)


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
