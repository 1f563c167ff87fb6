"""Which TCP ports of 127.0.0.1 the stack listens on.

The usual ports are taken when they are free, and the ports of the last start before them. This module
only looks; the programs bind the ports themselves, a moment later.
"""

import socket
from dataclasses import dataclass, fields

from tidemill.records import Record

__all__ = ["LOOPBACK", "Ports", "choose", "free_port", "is_free", "loopback"]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(Record):
    """One port per program that listens.

    Airflow's log servers (8793, 8794) and the scheduler's health server (8974) are absent because the stack does
    not run them: they bind every interface, and the API server reads the logs from the same disk.
    """

    api: int = 8080
    """Airflow's API server and UI."""
    mlflow: int = 5000
    """MLflow's tracking server and UI."""
    postgres: int = 5432
    """Postgres."""


def loopback() -> str:
    """Return the name under which Airflow's components know this machine.

    Airflow calls it (``[core] hostname_callable``), so that no component asks a name server, and none ever
    tries to reach another through an address of the network.

    Examples
    --------
    >>> loopback()
    '127.0.0.1'
    """
    return LOOPBACK


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port, on 127.0.0.1 or on every interface.

    Parameters
    ----------
    port : int
        1 to 65535.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
        caller.settimeout(1.0)  # second; a listener on this machine answers in microseconds
        if caller.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # Without this, the closed connections of a stack that has just stopped would block its port for a minute.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:  # taken, or below 1024 without the right to bind it
            return False
    return True


def free_port() -> int:
    """Ask the operating system for a port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((LOOPBACK, 0))
        port: int = server.getsockname()[1]
    return port


def choose(*wishes: Ports) -> Ports:
    """Take for each program the first wished port that is free, or any free one.

    Parameters
    ----------
    *wishes : Ports
        Best first: the ports of the last start, then the usual ones.

    Returns
    -------
    Ports
        Free at this moment, and all different.
    """
    chosen: dict[str, int] = {}
    for field in fields(Ports):
        candidates = (getattr(wish, field.name) for wish in wishes)
        found = next((port for port in candidates if port not in chosen.values() and is_free(port)), None)
        while found is None or found in chosen.values():
            found = free_port()
        chosen[field.name] = found
    return Ports(**chosen)
