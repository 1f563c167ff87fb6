"""Finding and ending the processes of a stack, whoever started them and whatever became of their parents.

Each process of a stack carries a mark in its environment, which its children inherit: tasks that lead process
groups of their own, and orphans of a killed supervisor, are found all the same. Nothing is ever found by its name.
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
    """One process, told apart from a later one with the same number."""

    pid: int
    """Process number."""
    started_at: float
    """Seconds since 1970, as the operating system tells it."""
    after_boot_s: float | None = None
    """Seconds from the machine's boot, which no setting of the clock changes; None where it is not told."""


def identify(pid: int) -> Identity | None:
    """Return a process's identity, or None if it has ended."""
    try:
        process = psutil.Process(pid)
        return Identity(pid=pid, started_at=process.create_time(), after_boot_s=_after_boot_s(process))
    except psutil.NoSuchProcess:
        return None


def age_s(identity: Identity) -> float:
    """Give for how long a process has run, in seconds, whatever has been done to the clock meanwhile."""
    if identity.after_boot_s is None:
        return time.time() - identity.started_at
    return time.time() - psutil.boot_time() - identity.after_boot_s  # both move with the clock


def _after_boot_s(process: psutil.Process) -> float | None:
    """Linux counts from the boot; psutil makes a time of day of it, by a boot time that moves with the clock."""
    return process.create_time() - psutil.boot_time() if sys.platform == "linux" else None


def _is(process: psutil.Process, identity: Identity) -> bool:
    after_boot_s = _after_boot_s(process)
    if after_boot_s is not None and identity.after_boot_s is not None:
        return abs(after_boot_s - identity.after_boot_s) < _SAME_START_S
    return bool(abs(process.create_time() - identity.started_at) < _SAME_START_S)


def living(identity: Identity | None) -> psutil.Process | None:
    """Return the process if it still runs and is not a later one that got its number."""
    if identity is None:
        return None
    try:
        process = psutil.Process(identity.pid)
        return process if _is(process, identity) and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def find(home: Path, component: str | None = None, leaders: Iterable[Identity | None] = ()) -> list[psutil.Process]:
    """Find the processes of a stack, except this one and those above it.

    Parameters
    ----------
    home : Path
        The stack's home folder, which the mark names.
    component : str, optional
        Find those of one component; all by default.
    leaders : iterable of Identity, optional
        Recorded processes of components, each of which led a session. Airflow makes its tasks unreadable
        (PR_SET_DUMPABLE), so that only root sees their mark; such a process counts as ours by its session.
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
        except (psutil.Error, OSError):  # ended meanwhile
            continue
        if ours:
            found.append(process)
    return found


def first_of_each_component(home: Path) -> dict[str, int]:
    """Return the oldest process of each component that still has any, by the component's name."""
    oldest: dict[str, int] = {}
    for process in sorted(find(home), key=_start_time):
        try:
            oldest.setdefault(process.environ().get(OWN_NAME, ""), process.pid)
        except psutil.Error:
            continue
    return oldest


def with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Add the children of each process, and theirs: a Postgres backend overwrites its environment."""
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
    """Ask processes to end, wait, and kill those that did not.

    Parameters
    ----------
    processes : iterable of psutil.Process
        Ours; psutil never signals a later process with the same number.
    first : signal.Signals, default=SIGTERM
        The polite request.
    timeout_s : float, default=10.0
        Seconds until the kill.

    Returns
    -------
    list of psutil.Process
        Those that outlived the kill by five seconds; normally none.
    """
    remaining = list(processes)
    for number, patience_s in ((first, timeout_s), (signal.SIGKILL, 5.0)):
        for process in remaining:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        remaining = _outlast(remaining, patience_s)
    return remaining


def _outlast(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    # In slices, because an orphan whose new parent never collects it stays a zombie: as good as gone.
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


def _start_time(process: psutil.Process) -> float:
    try:
        return float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _is_in_session(process: psutil.Process, sessions: dict[int, Identity]) -> bool:
    try:
        leader = sessions.get(os.getsid(process.pid))
        return leader is not None and process.create_time() > leader.started_at - _SAME_START_S
    except (psutil.NoSuchProcess, OSError):
        return False
