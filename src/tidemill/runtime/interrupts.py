"""How a step ends early: by a signal, at its time limit, or for lack of memory.

A signal and the limit raise ``SystemExit`` where the step is, so that transactions roll back, half-written files are
removed, and the ledger is updated; processes that the step has started are ended too. Airflow needs this: its own handler
only calls a hook, lets the task continue, and kills it after five seconds.
"""

import errno
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import psutil

from tidemill.errors import OutOfMemory, OutOfTime
from tidemill.runtime.limits import GRACE
from tidemill.runtime.memory import memory_words

__all__ = ["Ending", "end_in_words"]

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CHILD_S = 3.0  # for a child of the step to end by itself
_WORDS_OF_MEMORY = ("std::bad_alloc", "call: MemoryError")  # XGBoost's, and psycopg2's during COPY
_BY_SIGNAL = 128  # plus the signal's number: the exit status of a process that a signal has ended


class Ending:
    """End a block by a signal, and at its time limit.

    It works in the main thread of a process, where Python handles signals; elsewhere it does nothing.

    Parameters
    ----------
    what : str
        The block, for messages: a step, its model and partition.
    """

    def __init__(self, what: str, limit_s: float) -> None:
        self._what, self._limit_s, self._owner = what, limit_s, os.getpid()
        self._status, self._overdue = 0, False
        self._wake, self._ended = threading.Event(), threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._children = _children()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._listen(number)
            with suppress(RuntimeError):  # no memory for one more thread
                threading.Thread(target=self._watch, name="limit", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._status or not isinstance(error, Exception | None):
            _end(_new_since(self._children))
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._ended.set()
        self._wake.set()
        if isinstance(error, SystemExit):  # the limit may have been reached before or after the recorded part
            self.in_words(error)

    def in_words(self, error: BaseException | None) -> None:
        """Raise the real cause of an error: the signal, ``OutOfTime`` or ``OutOfMemory``; return if it has no other cause."""
        if self._overdue and self._status and error is not None:
            raise OutOfTime(
                f"{self._what} has not ended within its limit of {self._limit_s:,.0f} s.",
                "Airflow retries it. If it needs longer, raise the limit: TIDEMILL_<STEP>_TIMEOUT_S.",
            ) from error
        # psycopg2 raises another error for a signal during COPY.
        if self._status and isinstance(error, Exception):
            sys.exit(self._status)
        if error is not None and _lacks_memory(error):
            raise OutOfMemory(
                f"{self._what} needs more memory than it may have: {memory_words()}.",
                "Add memory, or reduce the work: fewer rows, a shorter window, fewer threads.",
            ) from error

    def _listen(self, number: signal.Signals) -> None:
        before = signal.getsignal(number)
        if before is not None and before is not signal.SIG_IGN:
            self._before[number] = before
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a fork of this process, which runs no step
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self._status:  # once: the cleanup must not be interrupted
            self._status = _BY_SIGNAL + number
            self._wake.set()
            sys.exit(self._status)

    def _watch(self) -> None:
        if not self._wake.wait(self._limit_s):
            self._overdue = True
            os.kill(self._owner, signal.SIGTERM)
        if not self._ended.wait(GRACE.total_seconds()):  # a library or a server does not return
            _kill_all()


def end_in_words(error: BaseException | None) -> str | None:
    """Return for the ledger how a step has ended; None if it succeeded.

    Examples
    --------
    >>> end_in_words(SystemExit(143))
    'Ended by SIGTERM.'
    >>> end_in_words(KeyError("x"))
    "KeyError: 'x'"
    """
    if error is None:
        return None
    if isinstance(error, KeyboardInterrupt):
        return "Ended by SIGINT."
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > _BY_SIGNAL:
        return f"Ended by {signal.Signals(error.code - _BY_SIGNAL).name}."
    return f"{type(error).__name__}: {error}"


def _lacks_memory(error: BaseException) -> bool:
    """Return whether an error means that memory has run out, whichever library it comes from."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(word in str(error) for word in _WORDS_OF_MEMORY)


def _children() -> set[int]:
    """Return the ids of the direct children; from one file per thread where there is one, since psutil takes longer."""
    lists = list(Path("/proc/self/task").glob("*/children"))
    if not lists:
        return {child.pid for child in psutil.Process().children()}
    found: set[int] = set()
    for path in lists:
        with suppress(OSError):  # a thread that has ended
            found.update(map(int, path.read_text().split()))
    return found


def _new_since(before: set[int]) -> list[psutil.Process]:
    """Return the children that are new, with all of theirs."""
    found: list[psutil.Process] = []
    for pid in _children() - before:
        with suppress(psutil.NoSuchProcess):
            child = psutil.Process(pid)
            found += [*child.children(recursive=True), child]
    return found


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, CHILD_S)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _kill_all() -> None:
    for process in [*psutil.Process().children(recursive=True), psutil.Process()]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
