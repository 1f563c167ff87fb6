"""A half-loaded table through the real scheduler: it waits, is late, is scored once when whole, and again if it changes."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest
import yaml

from tidemill.local import stack
from tidemill.local.config import load_config, server_of
from tidemill.local.home import Home
from tidemill.machine.polling import until

MODEL, TRAINED, DAY, NEXT = "air_time_loaded", "2013-07-01", "2013-07-02", "2013-07-03"
ZONE, TICK = ZoneInfo("America/New_York"), time(5, 30)
OF_DAY = f"(scheduled_departure AT TIME ZONE '{ZONE}')::date = '{DAY}'"
READY = """
SELECT count(*) > 800 AS ready, count(*) || ' flights are loaded' AS reason FROM raw.flights
WHERE scheduled_departure >= CAST(:start AS timestamptz) AND scheduled_departure < CAST(:end AS timestamptz)
"""
LATE = f"SELECT status, message FROM tidemill.alert WHERE model = '{MODEL}' AND rule = 'late'"
RUNS = (
    f"SELECT status, n_rows FROM tidemill.prediction_run WHERE model = '{MODEL}' AND partition = '{DAY}' ORDER BY token"
)
VISIBLE = f"SELECT count(*), count(DISTINCT flight_id) FROM predictions.{MODEL} WHERE partition = '{DAY}'"
REVISION = (
    "SELECT n_added, n_removed, n_changed FROM tidemill.revision JOIN tidemill.prediction_run USING (prediction_run_id)"
    f" WHERE model = '{MODEL}'"
)
FLIGHTS = f"SELECT count(*) FROM raw.flights WHERE {OF_DAY}"
LOAD = "INSERT INTO raw.flights SELECT * FROM raw.not_loaded_yet WHERE mod(flight, 100) {} 0"
"""Load the other half except for a few flights (<>), and these (=), which arrive a day late."""

LIMIT_S = 1500  # a hang is a failure; on two quiet cores all of it takes a minute and a half


def owner(demo: Any, *statements: str) -> None:
    """Run statements as the owner of the source."""
    home = Home(folder=demo.home)
    url = server_of(home, load_config(home)).url("tidemill_owner")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def declare(demo: Any, deadline: datetime) -> None:
    """Write the spec: ready when the flights are loaded, late from a time of day on, looking back three days."""
    spec = yaml.safe_load((demo.project / "examples/models/flight_air_time.yaml").read_text(encoding="utf-8"))
    spec["model"], spec["train"]["estimators"] = MODEL, ["ridge"]
    spec["predict"] |= {"ready": {"query": f"{MODEL}/ready.sql"}, "by": f"{deadline:%H:%M}", "lookback": "3 days"}
    query = demo.project / "sql" / MODEL / "ready.sql"
    query.parent.mkdir(exist_ok=True)
    query.write_text(READY, encoding="utf-8")
    (demo.project / "dags/models" / f"{MODEL}.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")


def tidemill(demo: Any, *arguments: str, status: int = 0) -> str:
    """Run a command with the stack's environment."""
    done = subprocess.run(
        [demo.project / ".venv/bin/tidemill", *arguments],
        cwd=demo.project,
        env=os.environ | demo.environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


@contextmanager
def frozen_scheduler(demo: Any) -> Iterator[None]:
    """Stop the scheduler's processes for a moment: they answer nobody and start nothing."""
    (pid,) = (item.pid for item in stack.status(demo.home) if item.component == "scheduler")
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # the supervisor replaces a scheduler that is silent for long
            os.killpg(pid, signal.SIGCONT)


def states(airflow: Any, run: str) -> set[tuple[str, str]]:
    """Return each task of a prediction with its state."""
    found = airflow.request("GET", f"dags/{MODEL}_predict/dagRuns/{run}/taskInstances")["task_instances"]
    return {(item["task_id"], item["state"]) for item in found}


@pytest.fixture(scope="module")
def scored(demo: Any) -> dict[str, Any]:
    """What was seen while half of a day waited, at its deadline, and after the other half had been loaded."""
    owner(
        demo,
        f"CREATE TABLE raw.not_loaded_yet AS SELECT * FROM raw.flights WHERE {OF_DAY} AND mod(flight, 2) = 0",
        f"DELETE FROM raw.flights WHERE {OF_DAY} AND mod(flight, 2) = 0",
    )
    declare(demo, datetime.now(ZONE))
    airflow, seen = demo.airflow(), dict[str, Any]()
    airflow.wait_for_dags([f"{MODEL}_predict"])
    deadline = (datetime.now(ZONE) + timedelta(seconds=70)).replace(second=0, microsecond=0)
    declare(demo, deadline)
    airflow.trigger(f"{MODEL}_predict", "half", DAY)
    seen["deferred"] = until(lambda: ("await_ready", "deferred") in states(airflow, "half"), LIMIT_S)
    tidemill(demo, "train", MODEL, "--partition", TRAINED)
    assert until(lambda: bool(demo.rows(LATE)), LIMIT_S)
    seen |= {"late": demo.rows(LATE), "waiting": demo.rows(RUNS)}
    owner(demo, LOAD.format("<>"))
    run = airflow.wait_for_run(f"{MODEL}_predict", "half", LIMIT_S)
    assert run.state == "success", airflow.failures(run)
    ((n_loaded,),) = demo.rows(FLIGHTS)
    return seen | {"demo": demo, "scored": demo.rows(RUNS), "n_loaded": n_loaded, "by": deadline.time()}


def test_half_a_table_waits_without_a_worker_and_is_not_scored(scored: dict[str, Any]) -> None:
    assert scored["deferred"]
    assert scored["waiting"] == []


def test_the_alert_opens_at_the_deadline_and_ends_when_the_table_is_whole(scored: dict[str, Any]) -> None:
    ((status, message),) = scored["late"]
    assert status == "open"
    assert "flights are loaded" in message
    assert [item for item, _ in scored["demo"].rows(LATE)] == ["resolved"]


def test_the_whole_table_is_scored_exactly_once(scored: dict[str, Any]) -> None:
    assert scored["scored"] == [("published", scored["n_loaded"])]


def test_the_doctor_sees_the_deadline_pass_while_the_scheduler_is_dead(scored: dict[str, Any]) -> None:
    demo, day = scored["demo"], datetime.fromisoformat(NEXT)
    deadline = datetime.combine(day, scored["by"], ZONE)
    deadline += timedelta(days=deadline < datetime.combine(day, TICK, ZONE))
    with frozen_scheduler(demo):
        found = json.loads(tidemill(demo, "doctor", "--json", "--as-of", deadline.isoformat(), status=1))
    (late,) = (item for item in found if (item["check"], item["subject"]) == ("freshness", MODEL))
    assert late["severity"] == "fail"
    assert late["message"].startswith(f"Late since {deadline:%Y-%m-%d %H:%M %Z}: no partition for {NEXT};")


def test_late_rows_appear_once(scored: dict[str, Any]) -> None:
    demo, n_loaded = scored["demo"], scored["n_loaded"]
    owner(demo, LOAD.format("="), "DROP TABLE raw.not_loaded_yet")
    ((n_flights,),) = demo.rows(FLIGHTS)
    assert n_flights > n_loaded
    airflow = demo.airflow()
    airflow.trigger(f"{MODEL}_predict", "next", NEXT)
    run = airflow.wait_for_run(f"{MODEL}_predict", "next", LIMIT_S)
    assert run.state == "success", airflow.failures(run)
    (again,) = (run for run in airflow.runs(f"{MODEL}_predict") if run.run_id.startswith("look_back__"))
    assert airflow.wait_for_run(f"{MODEL}_predict", again.run_id, LIMIT_S).state == "success"
    assert demo.rows(RUNS) == [("superseded", n_loaded), ("published", n_flights)]
    assert demo.rows(VISIBLE) == [(n_flights, n_flights)]
    assert demo.rows(REVISION) == [(n_flights - n_loaded, 0, 0)]
