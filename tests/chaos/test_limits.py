"""A step that never ends, or takes more memory than there is: it is ended, and everybody can read why (F36, F37)."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tidemill.doctor import examine
from tidemill.machine.polling import until
from tidemill.retention import collect_garbage

from ..integration.data import PER_DAY, SCORED, TRAINED
from .conftest import Proved, Subject, some
from .nursery import LIMIT_S
from .victim import ADDRESS_SPACE

MORE_BYTES = 256 * 2**20  # what a training may still take
FIVE_S = {"TIDEMILL_EXTRACT_TIMEOUT_S": "5", "TIDEMILL_PREDICT_TIMEOUT_S": "5"}


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


# ---------------------------------------------------------------- time


@pytest.mark.timeout(180)
@pytest.mark.parametrize("deaf", [False, True], ids=["hears", "deaf"])
def test_step_without_end_is_ended_with_its_children_at_its_limit(
    serving: Subject, tmp_path: Path, proved: Proved, deaf: bool
) -> None:
    pids = tmp_path / "pids"
    ending = serving.run(
        "run_away", variables=FIVE_S, model=serving.mill.model, partition=SCORED, pids=str(pids), deaf=deaf
    )
    if deaf:  # it cannot clean up; retention does, and the next step closes its row
        assert ending.signal == signal.SIGKILL
    else:
        assert ending.ended == "OutOfTime"
        assert "has not ended within its limit of 5 s" in ending.message
        assert ending.seconds < LIMIT_S / 2
        assert serving.runs("extract") == [("failed", f"OutOfTime: {ending.message}")]
        assert serving.half_written() == []
    children = [int(pid) for pid in pids.read_text().split()]
    assert len(children) == 2
    assert until(lambda: all(has_ended(pid) for pid in children), 5)
    assert serving.predict().ended == "done"
    proved("F37 P18", runaways=1, children=2)


@pytest.mark.timeout(180)
def test_step_that_hangs_in_copy_is_rolled_back_at_its_limit(serving: Subject, proved: Proved) -> None:
    ending = serving.run(
        "predict", "write-in-copy:sleep=600", variables=FIVE_S, model=serving.mill.model, partition=SCORED
    )
    assert (ending.ended, serving.view()) == ("OutOfTime", [])
    assert serving.predict().ended == "done"
    assert len(serving.view()) == PER_DAY
    proved("F37 P18", runaways=1)


# ---------------------------------------------------------------- memory


@pytest.mark.timeout(180)
def test_training_that_runs_out_of_memory_says_how_much_it_had(new_serving: Any, proved: Proved) -> None:
    serving: Subject = new_serving()
    champion = serving.mill.promoter.champion(serving.mill.model)
    journal = str(serving.nursery.folder / f"{serving.mill.model}.journal")
    arguments = {"model": serving.mill.model, "partition": TRAINED, "journal": journal}
    assert serving.run("train", "fit-started:kill", **arguments).signal == signal.SIGKILL  # so far without a limit
    ending = serving.run("train", "fit-started:memory", variables={ADDRESS_SPACE: str(MORE_BYTES)}, **arguments)
    assert ending.ended == "OutOfMemory", ending.message
    found = re.search(r"peak ([\d.]+) GiB of limit ([\d.]+) GiB of address space", ending.message)
    assert found is not None, ending.message
    assert 0.9 * float(found[2]) < float(found[1]) <= float(found[2])
    assert serving.runs("train")[1:] == [("failed", f"OutOfMemory: {ending.message}")]
    assert serving.mill.promoter.champion(serving.mill.model) == champion
    assert serving.train().ended == "done"
    proved("F36", lacks_of_memory=1)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("who", some(("the retry", "the doctor", "retention"), "the doctor"))
def test_training_killed_for_its_memory_is_closed_by_whoever_comes_next(
    new_serving: Any, proved: Proved, who: str
) -> None:
    serving: Subject = new_serving()
    mill = serving.mill
    examine(mill.workspace, repair=True)  # what other tests have left
    mill.sql("UPDATE tidemill.run SET status = 'failed' WHERE status = 'running'")
    champion = mill.promoter.champion(mill.model)
    journal = str(serving.nursery.folder / f"{mill.model}.journal")
    arguments = {"model": mill.model, "partition": TRAINED, "journal": journal}
    killed = serving.start("train", "fit-started:sleep=600", **arguments)
    at_work = "SELECT peak_rss_bytes, memory_limit_bytes FROM tidemill.run WHERE model = '{m}' AND step = 'train'"
    assert until(lambda: any(peak for peak, _ in mill.sql(at_work)), LIMIT_S)
    ((peak, limit),) = mill.sql(at_work)
    assert 0 < peak < limit
    mill.sql("UPDATE tidemill.run SET memory_limit_bytes = peak_rss_bytes WHERE model = '{m}' AND step = 'train'")
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.end().signal == signal.SIGKILL
    if who == "the retry":
        assert serving.train().ended == "done"
    elif who == "the doctor":
        (finding,) = (item for item in examine(mill.workspace) if item.check == "dead_runs")
        assert finding.severity.value == "warn"
        assert "Killed, probably for its memory" in finding.message
        examine(mill.workspace, repair=True)
    else:
        collect_garbage(mill.workspace)
    size = f"{peak / 2**30:.2f} GiB"
    assert serving.runs("train")[0] == ("failed", f"Killed, probably for its memory: peak {size} of limit {size}.")
    assert mill.promoter.champion(mill.model) == champion or who == "the retry"
    closed = mill.sql("SELECT details ->> 'why' FROM tidemill.audit WHERE model = '{m}' AND event = 'close_run'")
    assert [why[:6] for (why,) in closed] == ["Killed"]
    proved("F36", kills=1)


@pytest.mark.timeout(180)
def test_a_running_step_is_not_closed(serving: Subject, proved: Proved) -> None:
    alive = serving.start("predict", "write-after-commit:sleep=3", model=serving.mill.model, partition=SCORED)
    assert until(lambda: "written" in serving.mill.statuses(), LIMIT_S)
    other = "SELECT count(*) FROM tidemill.run WHERE model = '{m}' AND status = 'running' AND peak_rss_bytes > 0"
    assert until(lambda: serving.mill.sql(other) == [(1,)], 10)
    examine(serving.mill.workspace, repair=True)
    assert serving.runs("predict") == [("running", None)]
    assert alive.end().ended == "done"
    assert serving.runs("predict") == [("succeeded", None)]
    proved("F36", steps_left_alone=1)
