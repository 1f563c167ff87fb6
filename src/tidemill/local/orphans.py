"""Ending what a killed supervisor left running, so that a stop is a stop and a start is clean."""

import signal
from collections.abc import Callable

import psutil

from tidemill.errors import StackError
from tidemill.local import processes
from tidemill.local.components import POSTGRES
from tidemill.local.home import Home, read_json
from tidemill.local.processes import Identity
from tidemill.local.supervisor import SupervisorRecord

__all__ = ["clear"]


def clear(home: Home, report: Callable[[str], None]) -> None:
    """End every process of the stack; Postgres last, and in order.

    Parameters
    ----------
    home : Home
        Whose processes; its supervisor must be gone.
    report : callable
        Told if there were any.

    Raises
    ------
    StackError
        If a process outlived its kill.
    """
    leaders = _recorded_leaders(home)
    found = processes.find(home.folder, leaders=leaders)
    if found:
        report(f"Ending {len(found)} processes that a killed supervisor left behind.")
    database = processes.with_descendants(processes.find(home.folder, POSTGRES))
    numbers = {process.pid for process in database}
    stubborn = processes.end(process for process in processes.with_descendants(found) if process.pid not in numbers)
    stubborn += _end_database(database)
    stubborn += processes.end(processes.find(home.folder), timeout_s=2.0)  # what was started meanwhile
    if stubborn:
        listed = ", ".join(str(process.pid) for process in stubborn)
        raise StackError(
            f"These processes of the stack cannot be ended: {listed}.", "Look at them with ps, and end them by hand."
        )
    home.record.unlink(missing_ok=True)


def _recorded_leaders(home: Home) -> list[Identity | None]:
    values = read_json(home.record)
    if values is None:
        return []
    return [watched.process for watched in SupervisorRecord.from_dict(values).components.values()]


def _end_database(database: list[psutil.Process]) -> list[psutil.Process]:
    # The server is the one whose parent is not in the family; it ends its children itself.
    numbers = {process.pid for process in database}
    servers = [process for process in database if _parent(process) not in numbers]
    processes.end(servers, first=signal.SIGINT, timeout_s=30.0)
    return processes.end([process for process in database if process.is_running()], timeout_s=5.0)


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return None
