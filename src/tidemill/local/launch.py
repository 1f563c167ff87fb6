"""Starting a supervisor and giving it orders, and waiting for what it starts.

A launch that is not finished undoes itself: when this process dies or fails in between, the supervisor sees the
end of its orders and stops everything.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from tidemill.errors import StackError
from tidemill.local import processes
from tidemill.local.home import Home, is_held, last_lines, read_json
from tidemill.local.settings import inherited, telling_variables
from tidemill.local.supervisor import DETACH, START, SupervisorRecord

__all__ = ["Launch", "launched", "read_record", "run_once", "until", "wait_for_end"]

_POLL_S = 0.1  # seconds between two looks, where no event tells us: another program's health, or its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A supervisor that is being told what to start."""

    home: Home
    """Whose stack it is."""
    orders: IO[str]
    """The supervisor's standard input."""

    def start(self, component: str) -> None:
        """Order one component; returns at once.

        Raises
        ------
        StackError
            If the supervisor has died.
        """
        self._order(START + component)

    def detach(self) -> None:
        """Let the stack live on after this process."""
        self._order(DETACH)

    def _order(self, line: str) -> None:
        try:
            self.orders.write(line + "\n")
            self.orders.flush()
        except BrokenPipeError:
            log = self.home.log("supervisor")
            raise StackError(
                f"The supervisor ended at its start:\n{last_lines(log)}\n", f"The whole log is '{log}'."
            ) from None


@contextmanager
def launched(home: Home) -> Iterator[Launch]:
    """Run a new supervisor, and stop it again if the block fails."""
    command = [sys.executable, "-m", "tidemill.local.daemon", str(home.folder)]
    with home.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            cwd=home.folder,
            env=inherited(os.environ) | telling_variables(os.environ),
        )
    process.wait()  # it forks and leaves; the supervisor is the child's child
    assert process.stdin is not None  # a pipe, as asked for
    try:
        yield Launch(home=home, orders=process.stdin)
    except BaseException:  # also Ctrl-C: half a stack helps nobody
        _close(process.stdin)
        wait_for_end(home)
        raise
    _close(process.stdin)


def read_record(home: Home) -> SupervisorRecord | None:
    """Read what the living supervisor runs, or give None if none lives."""
    values = read_json(home.record)
    record = None if values is None else SupervisorRecord.from_dict(values)
    return record if record is not None and processes.living(record.process) is not None else None


def wait_for_end(home: Home, timeout_s: float = 90.0) -> bool:
    """Wait until no supervisor lives; say whether that came true in time.

    Parameters
    ----------
    home : Home
        Whose supervisor.
    timeout_s : float, default=90.0
        Seconds; more than the supervisor gives its programs and Postgres together.
    """
    return until(lambda: not is_held(home.supervisor_lock), timeout_s)


def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Look again and again until a condition holds; say whether it came true in time.

    Parameters
    ----------
    condition : callable
        Cheap, and true once it is true.
    timeout_s : float
        Seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)  # polling: nothing tells us when another program has become ready
    return True


def run_once(home: Home, name: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """Run a command of Airflow or MLflow to its end, into a log of its own.

    Raises
    ------
    StackError
        If it fails; its last lines are in the message.
    """
    log = home.log(name)
    with log.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=home.folder,
            env=environment,
        )
    if done.returncode != 0:
        raise StackError(f"'{' '.join(arguments[:3])}' failed:\n{last_lines(log)}\n", f"The whole log is '{log}'.")


def _close(stream: IO[str]) -> None:
    try:
        stream.close()
    except BrokenPipeError:  # the supervisor is gone, and the caller says so
        return
