"""Signals are sent to processes of their own; ``tests/chaos`` does it to whole steps."""

import errno
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tidemill.errors import OutOfMemory
from tidemill.runtime.interrupts import SIGNALS, Ending, end_in_words

LONG = 3600.0


def run(body: str) -> subprocess.CompletedProcess[str]:
    head = "import os, signal, sys, time\nfrom tidemill.runtime.interrupts import Ending\n"
    command = [sys.executable, "-c", head + body]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, preexec_fn=heed_signals)


def heed_signals() -> None:
    """Let signals through that this run's starter, such as ``nohup``, ignores."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_ends_a_block_where_it_is(number: signal.Signals) -> None:
    ended = run(
        f"with Ending('A block', 60):\n try: os.kill(os.getpid(), {int(number)}); time.sleep(60)\n finally: print('tidy')"
    )
    assert (ended.returncode, ended.stdout) == (128 + number, "tidy\n")


def test_signal_that_is_ignored_stays_so() -> None:
    ended = run(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nwith Ending('A block', 60): os.kill(os.getpid(), 1); print('on')"
    )
    assert (ended.returncode, ended.stdout) == (0, "on\n")


def test_fork_of_a_block_ends_by_the_signal_itself() -> None:
    ended = run(
        "with Ending('A block', 60):\n pid = os.fork()\n if not pid:\n  os.kill(os.getpid(), 15); time.sleep(60)\n"
        " print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert (ended.returncode, ended.stdout) == (0, "-15\n")


def test_a_block_at_its_limit_is_told_so() -> None:
    ended = run("with Ending('A block', 0.2): time.sleep(60)")
    assert (ended.returncode, "OutOfTime: A block has not ended within its limit of 0 s." in ended.stderr) == (1, True)


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Ending("A block", LONG):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_other_threads_are_left_alone() -> None:
    seen: list[Callable[..., object] | int | None] = []

    def body() -> None:
        with Ending("A block", LONG):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(errno.ENOMEM, "no memory"), RuntimeError("std::bad_alloc"),
     RuntimeError("COPY from stdin failed: error in .read() call: MemoryError ")],
)  # fmt: skip
def test_lack_of_memory_is_reported_with_a_message(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match=r"A block needs more memory than it may have: peak [\d.]+ GiB of limit"):
        Ending("A block", LONG).in_words(error)


@pytest.mark.parametrize("error", [None, ValueError("x"), OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_other_errors_mean_themselves(error: BaseException | None) -> None:
    Ending("A block", LONG).in_words(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [(None, None), (SystemExit(143), "Ended by SIGTERM."), (KeyboardInterrupt(), "Ended by SIGINT."),
     (SystemExit(2), "SystemExit: 2"), (ValueError("x"), "ValueError: x")],
)  # fmt: skip
def test_every_end_has_its_words(error: BaseException | None, words: str | None) -> None:
    assert end_in_words(error) == words
