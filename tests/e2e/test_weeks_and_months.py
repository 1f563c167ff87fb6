"""Partitions of a week and of a month through the real scheduler: trained by hand, scored by Airflow's own backfill."""

import os
import subprocess
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

ZONE = ZoneInfo("America/New_York")
MODEL = "flight_air_time"
WINDOWS = {  # the gate wants five partitions in the test set; five months are too few for a verdict of its own
    "week": {"window": "140 days", "validation": "21 days", "test": "42 days"},
    "month": {"window": "335 days", "validation": "31 days", "test": "155 days"},
}
EVERY = {
    "week": ("0 5 * * 1", "2013-W27", ["2013-W27", "2013-W28"], "2013-07-01", "2013-07-14", 'IYYY-"W"IW'),
    "month": ("0 5 1 * *", "2013-12", ["2013-12"], "2013-12-01", "2013-12-31", "YYYY-MM"),
}
LIMIT_S = 1500  # a hang is a failure; on two quiet cores all of it takes under two minutes


def promote_by_hand(demo: Any, model: str) -> None:
    ((release,),) = demo.rows(f"SELECT max(release_id) FROM tidemill.release WHERE model = '{model}'")
    command = [str(demo.project / ".venv" / "bin" / "tidemill"), "promote", model, str(release)]
    subprocess.run(
        [*command, "--force", "--reason", "five months", "--by", "a test"],
        cwd=demo.project,
        env=os.environ | demo.environment(),
        capture_output=True,
        timeout=120,
        check=True,
    )


@pytest.fixture(scope="module")
def backfilled(demo: Any) -> Any:
    """The demo's stack with a model of weeks and one of months: the air time's, cut differently."""
    written = yaml.safe_load((demo.project / "examples/models" / f"{MODEL}.yaml").read_text(encoding="utf-8"))
    for every, (schedule, *_) in EVERY.items():
        spec = written | {"model": f"air_time_{every}", "predict": {"schedule": schedule}}
        spec["partitions"] = {**written["partitions"], "every": every}
        spec["train"] = written["train"] | WINDOWS[every] | {"estimators": ["ridge"]}
        (demo.project / "dags/models" / f"air_time_{every}.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    airflow = demo.airflow()
    airflow.wait_for_dags([f"air_time_{every}_{verb}" for every in EVERY for verb in ("train", "predict")])
    for every, (_, trained, *_) in EVERY.items():
        airflow.trigger(f"air_time_{every}_train", f"by_hand__{trained}", None, {"partition": trained})
    for every, (_, trained, *_) in EVERY.items():
        run = airflow.wait_for_run(f"air_time_{every}_train", f"by_hand__{trained}", LIMIT_S)
        assert run.state == "success", airflow.failures(run)
    promote_by_hand(demo, "air_time_month")
    for every, (_, _, keys, first, last, _) in EVERY.items():
        begin, end = (datetime.fromisoformat(day).replace(tzinfo=ZONE) for day in (first, last))
        assert airflow.backfill(f"air_time_{every}_predict", begin, end, max_active_runs=2) == keys
    for every, (_, _, keys, *_) in EVERY.items():
        ended = airflow.wait(f"air_time_{every}_predict", keys, lambda runs: None, LIMIT_S)
        assert {run.state for run in ended} == {"success"}, [airflow.failures(run) for run in ended]
    return demo


@pytest.mark.parametrize("every", EVERY)
def test_every_flight_of_the_partition_is_answered_once(backfilled: Any, every: str) -> None:
    *_, first, last, pattern = EVERY[every]
    found = backfilled.rows(
        f"SELECT partition, count(*), count(DISTINCT flight_id) FROM predictions.air_time_{every} GROUP BY 1 ORDER BY 1"
    )
    local = "scheduled_departure AT TIME ZONE 'America/New_York'"
    scheduled = backfilled.rows(
        f"SELECT to_char({local}, '{pattern}'), count(*), count(*) FROM raw.flights"
        f" WHERE ({local})::date BETWEEN '{first}' AND '{last}' GROUP BY 1 ORDER BY 1"
    )
    assert found == scheduled
