"""Finding and ending the processes of a stack, even after their parents have died.

Each process of a stack has a mark in its environment, which its children inherit. So tasks that lead their own process
groups, and orphans of a killed supervisor, are found too. No process is ever found by its name.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tidemill.records import Record

__all__ = [
    "MARKER",
    "OWN_NAME",
    "Identity",
    "age_s",
    "end",
    "find",
    "first_of_each_component",
    "identify",
    "listens",
    "living",
    "with_descendants",
]

MARKER = "TIDEMILL_STACK_HOME"
"""Environment variable of every process of a stack: its home folder."""
OWN_NAME = "TIDEMILL_STACK_COMPONENT"
"""Environment variable of every process of a stack: the component it descends from."""

_SAME_START_S = 2.0  # the start time is derived from the boot time, which moves when the clock is set


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(Record):
    """One process, distinguished from a later one with the same number."""

    pid: int
    """Process number."""
    started_at: float
    """Start in seconds since 1970, as the operating system reports it."""
    after_boot_s: float | None = None
    """Start in seconds since boot, which no change of the clock affects; None if the system does not report it."""


def identify(pid: int) -> Identity | None:
    """Return a process's identity, or None if it has ended."""
    try:
        process = psutil.Process(pid)
        return Identity(pid=pid, started_at=process.create_time(), after_boot_s=_after_boot_s(process))
    except psutil.NoSuchProcess:
        return None


def age_s(identity: Identity) -> float:
    """Return the age of a process in seconds, whether or not the clock has been changed since."""
    if identity.after_boot_s is None:
        return time.time() - identity.started_at
    return time.time() - psutil.boot_time() - identity.after_boot_s  # both move with the clock


def living(identity: Identity | None) -> psutil.Process | None:
    """Return the process if it still runs and is not a later one with the same number."""
    if identity is None:
        return None
    try:
        process = psutil.Process(identity.pid)
        return process if _is(process, identity) and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def listens(identity: Identity, port: int) -> bool:
    """Return whether a process or a descendant listens on a TCP port; True if the system does not let this process see it."""
    process = living(identity)
    for member in with_descendants([] if process is None else [process]):
        try:
            connections = member.net_connections(kind="tcp")
        except psutil.AccessDenied:
            return True
        except psutil.NoSuchProcess:
            continue
        if any(item.status == psutil.CONN_LISTEN and item.laddr.port == port for item in connections):
            return True
    return False


def find(home: Path, component: str | None = None, leaders: Iterable[Identity | None] = ()) -> list[psutil.Process]:
    """Return the processes of a stack, except the calling one and its ancestors.

    Parameters
    ----------
    home : Path
        The stack's home folder, which is in the mark.
    component : str, optional
        Restricts the search to one component.
    leaders : iterable of Identity, optional
        Recorded processes of components, each of which led a session. Airflow makes its tasks unreadable
        (PR_SET_DUMPABLE), so only root sees their mark. For others, such a process belongs to the stack if its session
        does.
    """
    found = []
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    sessions = {leader.pid: leader for leader in leaders if leader is not None}
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        try:
            environment = process.environ()
            ours = environment.get(MARKER) == str(home) and component in (None, environment.get(OWN_NAME))
        except psutil.AccessDenied:
            ours = _is_in_session(process, sessions)
        except (psutil.Error, OSError):  # it has just ended
            continue
        if ours:
            found.append(process)
    return found


def first_of_each_component(home: Path) -> dict[str, int]:
    """Return the number of the oldest process of each component that still has one."""
    oldest: dict[str, tuple[float, int]] = {}
    for process in find(home):
        try:
            name, candidate = process.environ().get(OWN_NAME, ""), (process.create_time(), process.pid)
        except psutil.Error:
            continue
        oldest[name] = min(oldest.get(name, candidate), candidate)
    return {name: pid for name, (_, pid) in oldest.items()}


def with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Add the descendants of each process: a Postgres backend overwrites its environment."""
    family: dict[int, psutil.Process] = {}
    for process in processes:
        family[process.pid] = process
        try:
            family.update((child.pid, child) for child in process.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return list(family.values())


def end(
    processes: Iterable[psutil.Process], first: signal.Signals = signal.SIGTERM, timeout_s: float = 10.0
) -> list[psutil.Process]:
    """Ask processes to end, wait, and kill those that do not.

    Parameters
    ----------
    processes : iterable of psutil.Process
        psutil never signals a later process with the same number.
    timeout_s : float, default=10.0
        Seconds until the kill.

    Returns
    -------
    list of psutil.Process
        Those that still live five seconds after the kill; normally none.
    """
    remaining = list(processes)
    for number, patience_s in ((first, timeout_s), (signal.SIGKILL, 5.0)):
        for process in remaining:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        remaining = _remaining(remaining, patience_s)
    return remaining


def _remaining(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    # In short waits, because an orphan whose new parent never collects it remains a zombie, which counts as ended.
    deadline = time.monotonic() + timeout_s
    remaining = processes
    while remaining and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(remaining, timeout=0.2)  # seconds
        remaining = [process for process in alive if not _is_zombie(process)]
    return remaining


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _is_in_session(process: psutil.Process, sessions: dict[int, Identity]) -> bool:
    try:
        leader = sessions.get(os.getsid(process.pid))
        return leader is not None and process.create_time() > leader.started_at - _SAME_START_S
    except (psutil.NoSuchProcess, OSError):
        return False


def _is(process: psutil.Process, identity: Identity) -> bool:
    after_boot_s = _after_boot_s(process)
    if after_boot_s is not None and identity.after_boot_s is not None:
        return abs(after_boot_s - identity.after_boot_s) < _SAME_START_S
    return bool(abs(process.create_time() - identity.started_at) < _SAME_START_S)


def _after_boot_s(process: psutil.Process) -> float | None:
    """Return seconds since boot; Linux counts from there, and psutil adds a boot time that moves with the clock."""
    return process.create_time() - psutil.boot_time() if sys.platform == "linux" else None
