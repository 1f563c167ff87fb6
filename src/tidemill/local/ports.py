"""Which TCP ports of 127.0.0.1 the stack listens on."""

from dataclasses import dataclass, fields

from tidemill.machine.ports import LOOPBACK, free_port, is_free
from tidemill.records import Record

__all__ = ["Ports", "choose", "loopback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(Record):
    """One port per program that listens.

    The stack does not run Airflow's log servers (8793, 8794) and the scheduler's health server (8974): they bind every
    interface, and the API server reads the logs from the same disk.
    """

    api: int = 8080
    """Airflow's API server and UI."""
    mlflow: int = 5000
    """MLflow's tracking server and UI."""
    postgres: int = 5432


def loopback() -> str:
    """Return the name of this machine for Airflow's components.

    Airflow calls this function (``[core] hostname_callable``). No component then asks a name server, and none tries to
    reach another through a network address.

    Examples
    --------
    >>> loopback()
    '127.0.0.1'
    """
    return LOOPBACK


def choose(*preferred: Ports) -> Ports:
    """Choose for each program the first preferred port that is free, otherwise any free port.

    Parameters
    ----------
    *preferred : Ports
        Best first: the ports of the last start, then the usual ones.

    Returns
    -------
    Ports
        Free at this moment, and all different.
    """
    chosen: dict[str, int] = {}
    for field in fields(Ports):
        candidates = (getattr(ports, field.name) for ports in preferred)
        found = next((port for port in candidates if port not in chosen.values() and is_free(port)), None)
        while found is None or found in chosen.values():
            found = free_port()
        chosen[field.name] = found
    return Ports(**chosen)
