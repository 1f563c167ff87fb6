"""Ending the processes that a killed supervisor left running."""

import signal
from collections.abc import Callable

import psutil

from tidemill.errors import StackError
from tidemill.local.components import POSTGRES
from tidemill.local.home import Home
from tidemill.local.supervision import processes
from tidemill.local.supervision.processes import Identity
from tidemill.local.supervision.supervisor import SupervisorRecord
from tidemill.machine.files import read_json

__all__ = ["clear"]


def clear(home: Home, report: Callable[[str], None]) -> None:
    """End every process of the stack, Postgres last and in order.

    Parameters
    ----------
    home : Home
        The stack's home; its supervisor must have ended.
    report : callable
        Receives a sentence if there were any.

    Raises
    ------
    StackError
        If a process survives its kill.
    """
    found = processes.find(home.folder, leaders=_recorded_leaders(home))
    if found:
        report(f"Ending {len(found)} processes that a killed supervisor left behind.")
    database = processes.with_descendants(processes.find(home.folder, POSTGRES))
    numbers = {process.pid for process in database}
    survivors = processes.end(process for process in processes.with_descendants(found) if process.pid not in numbers)
    # The server is the process whose parent is not in the family; it ends its children itself.
    servers = [process for process in database if _parent(process) not in numbers]
    processes.end(servers, first=signal.SIGINT, timeout_s=30.0)
    survivors += processes.end([process for process in database if process.is_running()], timeout_s=5.0)
    survivors += processes.end(processes.find(home.folder), timeout_s=2.0)  # started in the meantime
    if survivors:
        listed = ", ".join(str(process.pid) for process in survivors)
        raise StackError(
            f"Could not end these processes of the stack: {listed}.", "Inspect them with ps, and end them."
        )
    home.record.unlink(missing_ok=True)


def _recorded_leaders(home: Home) -> list[Identity | None]:
    values = read_json(home.record)
    if values is None:
        return []
    return [watched.process for watched in SupervisorRecord.from_dict(values).components.values()]


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return None
