"""Candidates that are searched side by side, each in a process of its own: the same outcome, and nobody left behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tidemill.errors import OutOfMemory, SpecError
from tidemill.machine.polling import until
from tidemill.runtime.chains import drive, train_chain
from tidemill.workspace import Workspace

from .conftest import ROLES
from .data import SPEC, TRAINED, Mill

SPACE = "search: {folds: 2, space: {xgboost: {max_depth: {low: 1, high: 6}}}}"
SEARCHING = SPEC.replace("[logistic_regression]", f"[xgboost, logistic_regression], {SPACE}")
MANY = 1000  # trials: more than any test waits for


@pytest.fixture
def searching(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> Mill:
    """A model with two candidates, and an environment from which another process finds it."""
    mill.write(SEARCHING)
    for name in ROLES:
        monkeypatch.setenv(f"TIDEMILL_CONN_{name.upper()}", mill.workspace.connection(name))
    for name, folder in (
        ("MODELS", mill.workspace.models),
        ("SQL", mill.workspace.sql),
        ("STORAGE", mill.workspace.storage),
    ):
        monkeypatch.setenv(f"TIDEMILL_{name}", str(folder))
    return mill


def bundles(mill: Mill, at_once: int, trials: int = 3) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    drive(
        "train",
        train_chain(mill.spec, trials=trials),
        mill.model,
        TRAINED,
        Workspace.from_environment(),
        until="train",
        at_once=at_once,
        on_step=lambda step, record: found.append(record) if step == "train" and record else None,
    )
    return found


def spawned() -> list[psutil.Process]:
    """Processes that this one has started for steps; multiprocessing's resource tracker does not count."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def log_of(mill: Mill) -> Callable[[], bool]:
    """Return whether a search has kept its first trials."""
    searches = mill.workspace.storage / mill.model / "searches"
    return lambda: any(searches.glob(".writing-*/trial-0002.json"))


def test_side_by_side_gives_the_bundles_of_one_after_the_other(searching: Mill) -> None:
    one = {record["estimator"]: record["digest"] for record in bundles(searching, 2)}
    (other,) = bundles(searching, 1)  # stops after the first
    assert set(one) == {"xgboost", "logistic_regression"}
    assert one["xgboost"] == other["digest"]


def test_each_step_has_its_own_row_in_the_ledger(searching: Mill) -> None:
    bundles(searching, 2)
    found = searching.sql(
        "SELECT count(*), count(DISTINCT process), bool_and(status = 'succeeded') FROM tidemill.run"
        " WHERE model = '{m}' AND step = 'train'"
    )
    assert found == [(2, 2, True)]


def test_the_error_of_a_step_comes_out_as_it_is_and_ends_the_others(searching: Mill) -> None:
    searching.write(SEARCHING.replace("xgboost: {max_depth", "logistic_regression: {D"))
    with pytest.raises(SpecError, match="names 'D'"):
        bundles(searching, 2, trials=MANY)
    assert spawned() == []


def test_a_process_that_is_killed_is_taken_for_one_without_memory(searching: Mill) -> None:
    def kill() -> None:
        if until(log_of(searching), 120):
            spawned()[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(OutOfMemory, match="was killed"):
        bundles(searching, 2, trials=MANY)
    killer.join()
    assert spawned() == []


def test_steps_end_with_the_process_that_has_started_them(searching: Mill, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import sys\n"
        "from tidemill.runtime.chains import drive, train_chain\n"
        "from tidemill.workspace import Workspace\n"
        "if __name__ == '__main__':\n"
        "    workspace = Workspace.from_environment()\n"
        "    chain = train_chain(workspace.spec(sys.argv[1]), trials=1000)\n"
        "    drive('train', chain, sys.argv[1], sys.argv[2], workspace, at_once=2)\n",
        encoding="utf-8",
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, str(program), searching.model, TRAINED], env=environment)
    assert until(log_of(searching), 120)
    children = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGKILL)
    assert parent.wait() == -signal.SIGKILL
    assert psutil.wait_procs(children, timeout=30)[1] == []
    running = "SELECT count(*) FROM tidemill.run WHERE model = '{m}' AND step = 'train' AND status = 'running'"
    assert searching.sql(running) == [(0,)]
