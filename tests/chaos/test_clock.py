"""A clock that is wrong or jumps changes nothing: order and age are the database's (F38)."""

import os
import time
from typing import Any

import pytest

from tidemill.retention import collect_garbage

from ..integration.data import PER_DAY, SCORED, SPEC
from .conftest import Proved, Subject
from .tables import check_history
from .victim import CLOCK

HOUR, DAY = 3600, 86_400
WRONG = (-HOUR, DAY)  # seconds ahead


@pytest.mark.timeout(180)
def test_partition_scored_while_the_clock_jumps_is_published_once_a_run_and_in_order(
    serving: Subject, proved: Proved
) -> None:
    for ahead in (0, DAY, -HOUR, 0):
        run = serving.run("predict", variables={CLOCK: str(ahead)}, model=serving.mill.model, partition=SCORED)
        assert run.ended == "done", run.message
    assert serving.mill.statuses() == [*["superseded"] * 3, "published"]
    assert check_history(serving.mill, SCORED) == 4
    assert len(serving.view()) == PER_DAY
    by_number, by_time = (
        serving.mill.sql(f"SELECT run_id FROM tidemill.run WHERE model = '{{m}}' ORDER BY {key}")
        for key in ("run_id", "started_at, run_id")
    )
    assert by_number == by_time
    ((negative,),) = serving.mill.sql(
        "SELECT count(*) FROM tidemill.run WHERE model = '{m}' AND (ended_at < started_at OR wall_s < 0 OR cpu_s < 0"
        " OR started_at > clock_timestamp())"
    )
    assert negative == 0
    proved("F38", jumps=2)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("ahead", WRONG)
def test_doctor_judges_by_the_warehouse_and_says_that_the_clock_is_wrong(
    serving: Subject, proved: Proved, ahead: int
) -> None:
    serving.mill.write(SPEC.replace(", last: 2024-03-31", "") + 'predict: {schedule: "0 5 * * *"}\n')  # each day is due
    right, wrong = (serving.run("doctor", variables={CLOCK: str(seconds)}).result for seconds in (0, ahead))
    assert _finding(right, "clock")["severity"] == "ok"
    said = _finding(wrong, "clock")
    assert said["severity"] == "warn"
    assert f"{abs(ahead):,} s {'ahead of' if ahead > 0 else 'behind'} the warehouse's" in said["message"]
    assert _finding(wrong, "freshness", serving.mill.model) == _finding(right, "freshness", serving.mill.model)
    proved("F38", wrong_clocks=1)


def _finding(findings: list[dict[str, Any]], check: str, subject: str = "environment") -> dict[str, Any]:
    (found,) = (item for item in findings if (item["check"], item["subject"]) == (check, subject))
    return found


@pytest.mark.timeout(180)
def test_folder_that_is_being_written_does_not_go_although_the_clock_says_that_it_is_old(
    serving: Subject, proved: Proved
) -> None:
    writing = serving.start("predict", "store-filled:stop", model=serving.mill.model, partition=SCORED)
    writing.wait_until_stopped()
    (folder,) = serving.half_written()
    long_ago = time.time() - 2 * DAY
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (long_ago, long_ago))
    removals = collect_garbage(serving.mill.workspace, [serving.mill.model])
    assert [(item.kind, item.outcome) for item in removals] == [("leftover", "busy")]
    writing.resume()
    assert writing.end().ended == "done"
    assert len(serving.view()) == PER_DAY
    proved("F38", jumps=1)
