"""Run independent steps of a chain in parallel, each in its own process.

A step's process is ended when another step fails, or when the parent process ends. The next attempt uses what it has
stored by then, such as the trials of a search. A process pool cannot keep these promises (ADR 30).
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from tidemill.errors import OutOfMemory, TidemillError
from tidemill.runtime.run import run_step

__all__ = ["Call", "run_side_by_side"]

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments of `run_step`, by position and by name."""

_SPAWN = multiprocessing.get_context("spawn")  # a fork would inherit threads, and connections to Postgres
_END_S = 20.0  # after SIGTERM, for a process to roll back and to write to the ledger

Running = dict[Connection, tuple[int, BaseProcess]]


def run_side_by_side(
    calls: Sequence[Call], at_once: int, on_end: Callable[[int, dict[str, Any]], None] = lambda number, record: None
) -> list[dict[str, Any]]:
    """Run each step in its own process, and return the records in the order of the calls.

    Parameters
    ----------
    calls : sequence of Call
        Arguments of `run_step`; they are sent to another process.
    at_once : int
        Processes at a time, from 1.
    on_end : callable
        Called with the number of each call, from 0, and its record when it has ended.

    Raises
    ------
    TidemillError
        The error of the first step that fails; the others are ended then.
    OutOfMemory
        If a process is killed, as the system does when memory runs out.
    SystemExit
        If a process ends without an answer; it has logged why.
    """
    records: dict[int, dict[str, Any]] = {}
    waiting, running = list(enumerate(calls)), Running()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number, call = waiting.pop(0)
                running |= [_start(number, call)]
            for end in wait(list(running)):
                assert isinstance(end, Connection)
                number, process = running.pop(end)
                records[number] = _answer(end, process)
                on_end(number, records[number])
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join(_END_S)
            process.kill()
    return [records[number] for number in range(len(calls))]


def _start(number: int, call: Call) -> tuple[Connection, tuple[int, BaseProcess]]:
    ours, theirs = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_run, args=(theirs, call), name=f"step-{number}")
    process.start()
    theirs.close()
    return ours, (number, process)


def _answer(end: Connection, process: BaseProcess) -> dict[str, Any]:
    with end:
        try:
            answer = end.recv()
        except EOFError:
            answer = None
    process.join()
    if process.exitcode == -signal.SIGKILL:
        raise OutOfMemory(
            "The process of a step was killed, as the system does when memory runs out.",
            "Run the command again: it continues where it stopped. With one core it needs less: taskset -c 0 tidemill …",
        )
    if answer is None:
        sys.exit(process.exitcode)
    if isinstance(answer, TidemillError):
        raise answer
    found: dict[str, Any] = answer
    return found


def _run(end: Connection, call: Call) -> None:
    """Run one step, and send its record or its error; the target of its process."""
    threading.Thread(target=_end_with_the_parent, name="parent", daemon=True).start()
    positional, named = call
    with end:
        try:
            end.send(run_step(*positional, **named))
        except TidemillError as error:
            end.send(error)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
