"""Run a command within a number of seconds, and end every process that it leaves behind.

    python contain.py SECONDS COMMAND...

A test run that crashes leaves servers, which no process group holds and which keep the output open: whoever reads it
would wait forever. This process adopts all of them (Linux only) and ends them. The exit status is that of the command,
or 124 when its time is over.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SET_CHILD_SUBREAPER = 36  # of prctl(2)
PATIENCE_S = 60.0  # for the command to clean up after itself


def main() -> int:
    """Run the command, and return its exit status."""
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "This process cannot adopt the processes that the command leaves behind.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    process = subprocess.Popen(command, preexec_fn=unblock)
    try:
        return wait(process, seconds)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{' '.join(command)}: not ended after {seconds:g} s.\n")
        return 124
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end(process)


def wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Return a process's exit status, and collect meanwhile those adopted processes that end.

    Tests ask whether a process that they killed still exists, and one that nobody collects does.
    """
    end_at = time.monotonic() + seconds
    while process.returncode is None:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
        elif pid == 0:
            left = end_at - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, seconds)
            signal.sigtimedwait([signal.SIGCHLD], left)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def unblock() -> None:
    """Let the command know of its own children."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
    told: set[int] = set()
    while left := descendants(os.getpid()):
        for pid, name in left.items():
            if pid not in told:
                sys.stderr.write(f"Left behind, and ended: {name} ({pid})\n")
                told.add(pid)
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(pid, signal.SIGKILL)
        signal.sigtimedwait([signal.SIGCHLD], 0.1)
    with suppress(ChildProcessError):  # none is left
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def descendants(root: int) -> dict[int, str]:
    """Return the name of each living process that descends from a process, by its id."""
    names, parents = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = entry.read_text().partition(" (")
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        name, _, fields = rest.rpartition(") ")
        state, parent = fields.split()[:2]
        if state != "Z":
            names[int(pid)], parents[int(pid)] = name, int(parent)
    found: dict[int, str] = {}
    generation = {root}
    while generation := {pid for pid, parent in parents.items() if parent in generation and pid not in found}:
        found |= {pid: names[pid] for pid in generation}
    return found


if __name__ == "__main__":
    sys.exit(main())
