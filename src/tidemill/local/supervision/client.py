"""Starting a supervisor, giving it orders and reading its record.

An unfinished start undoes itself: when the starting process dies or fails, the supervisor sees the end of its orders
and stops everything.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from tidemill.errors import StackError
from tidemill.local.home import Home, is_held
from tidemill.local.settings import inherited, reporting_variables
from tidemill.local.supervision import processes
from tidemill.local.supervision.supervisor import DETACH, START, SupervisorRecord
from tidemill.machine.files import last_lines, read_json
from tidemill.machine.polling import until

__all__ = ["Launch", "launched", "read_record", "wait_for_end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A supervisor that is receiving its orders."""

    home: Home
    """The home of its stack."""
    orders: IO[str]
    """The supervisor's standard input."""

    def start(self, component: str) -> None:
        """Order the start of a component; return at once.

        Raises
        ------
        StackError
            If the supervisor has died.
        """
        self._order(START + component)

    def detach(self) -> None:
        """Let the stack outlive this process."""
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
            env=inherited(os.environ) | reporting_variables(os.environ),
        )
    process.wait()  # it forks and exits; the supervisor is its child
    assert process.stdin is not None  # a pipe, as requested
    try:
        yield Launch(home=home, orders=process.stdin)
    except BaseException:  # Ctrl-C too: half a stack is of no use
        _close(process.stdin)
        wait_for_end(home)
        raise
    _close(process.stdin)


def read_record(home: Home) -> SupervisorRecord | None:
    """Read the record of the living supervisor; return None if none lives."""
    values = read_json(home.record)
    record = None if values is None else SupervisorRecord.from_dict(values)
    return record if record is not None and processes.living(record.process) is not None else None


def wait_for_end(home: Home) -> bool:
    """Wait until no supervisor lives, and return whether that happened in time."""
    most_s = 90.0  # more than the supervisor gives its programs and Postgres together
    return until(lambda: not is_held(home.supervisor_lock), most_s)


def _close(stream: IO[str]) -> None:
    with suppress(BrokenPipeError):  # the supervisor has ended, and the caller reports it
        stream.close()
