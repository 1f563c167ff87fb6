"""What a run waits for, and until when."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidemill.spec import ModelSpec, Then
from tidemill.spec_file import read_spec

from .test_spec_file import SMALLEST, problems, write

READY = "ready: {query: tiny/ready.sql, after: [loaded]}"


def spec(folder: Path, predict: str) -> ModelSpec:
    return read_spec(write(folder, f"{SMALLEST}timezone: America/New_York\npredict: {{{predict}}}\n"))


def test_train_predict_and_monitor_can_wait(tmp_path: Path) -> None:
    text = SMALLEST + "".join(f"{part}: {{{READY}}}\n" for part in ("train", "predict", "monitor"))
    found = read_spec(write(tmp_path, text))
    for part in (found.train, found.predict, found.monitor):
        assert part.ready is not None
        assert (part.ready.query, part.ready.after) == ("tiny/ready.sql", ("loaded",))


def test_nothing_to_wait_for_is_refused(tmp_path: Path) -> None:
    assert "name a query or at least one asset" in problems(tmp_path, SMALLEST + "predict: {ready: {}}\n")


@pytest.mark.parametrize("given", ["24:00", "7:00", "07:00:00", "7", "2 hours"])
def test_a_deadline_is_a_time_of_day(tmp_path: Path, given: str) -> None:
    assert "write it with two digits each" in problems(tmp_path, SMALLEST + f"predict: {{by: {given}}}\n")


@pytest.mark.parametrize("lacking", ["by: '07:00'", READY])
def test_what_happens_then_needs_something_to_wait_for_and_a_deadline(tmp_path: Path, lacking: str) -> None:
    assert "it needs ready and by" in problems(tmp_path, SMALLEST + f"predict: {{then: skip, {lacking}}}\n")


def test_a_run_waits_by_default(tmp_path: Path) -> None:
    assert spec(tmp_path, f"{READY}, by: '07:00'").predict.then is Then.WAIT


def test_without_a_time_there_is_no_deadline(tmp_path: Path) -> None:
    assert spec(tmp_path, READY).deadline(datetime(2024, 3, 8, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("tick", "by", "deadline"),
    [
        ("2024-03-08T10:30", "07:00", "2024-03-08T12:00"),  # 5:30 in New York
        ("2024-03-08T12:00", "07:00", "2024-03-08T12:00"),
        ("2024-03-08T12:01", "07:00", "2024-03-09T12:00"),
        ("2024-03-09T12:01", "07:00", "2024-03-10T11:00"),  # the clocks have gone forward
        ("2024-11-02T11:01", "07:00", "2024-11-03T12:00"),
        ("2024-03-10T06:59", "02:30", "2024-03-10T07:30"),  # half past two does not exist, and is half past three
        ("2024-03-08T04:59", "00:00", "2024-03-08T05:00"),  # the night before
    ],
)
def test_a_deadline_is_the_first_such_time_after_the_tick(tmp_path: Path, tick: str, by: str, deadline: str) -> None:
    found = spec(tmp_path, f"by: '{by}'").deadline(datetime.fromisoformat(tick).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(deadline).replace(tzinfo=UTC)
