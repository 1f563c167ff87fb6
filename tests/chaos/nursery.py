"""Starting the processes of ``victim.py``, and learning how they ended. Every wait has an end: a hang is a failure."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tidemill.faults import VARIABLE
from tidemill.machine.polling import until

PROJECT = Path(__file__).parents[2]
LIMIT_S = 60  # of any single process of these tests


@dataclass(frozen=True)
class Ending:
    """How a process ended."""

    signal: int | None
    """The signal that killed it."""
    ended: str
    """``done``, the name of our error, or the repr of any other."""
    message: str
    """The error's text."""
    result: Any
    """What the job gave."""
    seconds: float
    """How long it took."""


class Victim:
    """One child."""

    def __init__(self, nursery: "Nursery", pid: int, out: Path) -> None:
        self.nursery, self.pid, self.out = nursery, pid, out
        self.status: int | None = None

    def end(self, limit_s: float = LIMIT_S) -> Ending:
        """Wait for its end; if it does not come, kill it and fail."""
        if not until(lambda: self._has_status(stopped=False), limit_s):
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"process {self.pid} was still running after {limit_s} s")
        assert self.status is not None
        if os.WIFSIGNALED(self.status):
            return Ending(os.WTERMSIG(self.status), "killed", "", None, 0.0)
        return Ending(None, **json.loads(self.out.read_text()))

    def wait_until_stopped(self, limit_s: float = LIMIT_S) -> None:
        assert until(lambda: self._has_status(stopped=True), limit_s), f"process {self.pid} did not stop"

    def exit_status(self) -> int:
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _has_status(self, *, stopped: bool) -> bool:
        status = self.nursery.ask({"poll": self.pid})["status"]
        if status is None:
            return False
        if os.WIFSTOPPED(status):
            return stopped
        self.status = status
        assert not stopped, f"process {self.pid} ended before it stopped"
        return True


class Nursery:
    """The parent process, once for a session: its children start in milliseconds."""

    def __init__(self, folder: Path, wrapper: Sequence[str] = ()) -> None:
        self.folder, self.numbers, self.children = folder, count(), list[Victim]()
        self.parent = subprocess.Popen(
            [*wrapper, sys.executable, "-W", "ignore", "-m", "tests.chaos.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # threads do not survive a fork
        )

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(order) + "\n")
        self.parent.stdin.flush()
        answer: dict[str, Any] = json.loads(self.parent.stdout.readline())
        return answer

    def start(self, job: str, environment: dict[str, str], fault: str = "", **arguments: Any) -> Victim:
        out = self.folder / f"{next(self.numbers)}.json"
        variables = environment | ({VARIABLE: fault} if fault else {})
        answer = self.ask({"job": job, "arguments": arguments, "environment": variables, "out": str(out)})
        self.children.append(Victim(self, answer["pid"], out))
        return self.children[-1]

    def run(self, job: str, environment: dict[str, str], fault: str = "", **arguments: Any) -> Ending:
        return self.start(job, environment, fault, **arguments).end()

    @contextmanager
    def gate(self, n_processes: int) -> Iterator[str]:
        """Hold everybody who comes to the gate, until the block has ended and all are there."""
        path = self.folder / f"gate-{next(self.numbers)}"
        path.touch()
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield str(path)
            ready = Path(f"{path}.ready")
            assert until(lambda: ready.exists() and ready.stat().st_size == n_processes, LIMIT_S), "not all came"

    def close(self) -> None:
        for child in (
            self.children
        ):  # those of tests that have failed; nobody else can have their ids before they are waited for
            if child.status is None:
                os.kill(child.pid, signal.SIGKILL)
        self.parent.communicate(timeout=10)
