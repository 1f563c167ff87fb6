"""Fault points: nothing without the variable, exactly what it says with it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tidemill import faults
from tidemill.faults import FAULT_POINTS, VARIABLE, InjectedFault, fault_point

POINT, OTHER = "write-in-copy", "write-opened"


@pytest.fixture(autouse=True)
def _nothing_was_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    faults._hits.clear()


def test_a_point_that_is_not_armed_does_nothing() -> None:
    fault_point(POINT)


def test_empty_variable_arms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    fault_point(POINT)


def test_other_point_than_the_armed_one_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{POINT}:raise")
    fault_point(OTHER)


def test_raise_says_what_is_true_at_that_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{POINT}:raise")
    with pytest.raises(InjectedFault, match=FAULT_POINTS[POINT]):
        fault_point(POINT)


def test_only_the_third_hit_is_the_third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{POINT}@3:raise")
    fault_point(POINT)
    fault_point(POINT)
    with pytest.raises(InjectedFault):
        fault_point(POINT)
    fault_point(POINT)


def test_sleep_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{POINT}:sleep=0.05")
    started = time.monotonic()
    fault_point(POINT)
    assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize(
    "order", ["nowhere:kill", f"{POINT}:explode", f"{POINT}@0:kill", POINT, f"{POINT}:sleep=", "kill"]
)
def test_order_that_means_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setenv(VARIABLE, order)
    with pytest.raises(ValueError, match="expected <name>"):
        fault_point(POINT)


@pytest.mark.parametrize(("action", "sign"), [("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)])
def test_process_gets_the_signal(action: str, sign: signal.Signals) -> None:
    program = f"from tidemill.faults import fault_point; fault_point({POINT!r})"
    child = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, VARIABLE: f"{POINT}:{action}"})
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    if action == "stop":
        assert os.WSTOPSIG(status) == sign
        child.kill()
        child.wait()
    else:
        child.returncode = -os.WTERMSIG(status)
        assert os.WTERMSIG(status) == sign
