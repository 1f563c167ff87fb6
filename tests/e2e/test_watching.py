"""Watching through the real scheduler: a fault of the source becomes an alert, a decision, and a training that it causes."""

import os
import subprocess
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tidemill.local.config import load_config, server_of
from tidemill.local.home import Home

from .questions import answer, wait_for_question

MODEL, DAY = "flight_delays", "2013-07-10"
LOST = ("plane_age", "seats")
"""Columns that come from the planes' register, and are gone where flights carry no tail number."""

CHANGED = {
    "retrain:": 'retrain: {schedule: "0 9 * * *", cooldown: 1 day, max_age: 5 days}',
    "accept:": "accept: {metric: roc_auc, minimum: 0.62, margin: 0.005, slices: [origin, carrier], four_eyes: true}",
}
"""Lines of the spec, by their first word."""

WHY = "The register is down for a week; the scores are wanted all the same."
STATE = (
    "SELECT withheld, published_at IS NULL FROM tidemill.published_partition"
    f" WHERE model = '{MODEL}' AND partition = '{DAY}'"
)
VISIBLE = f"SELECT * FROM predictions.{MODEL} WHERE partition = '{DAY}' ORDER BY flight_id"
STATUSES = (
    f"SELECT status FROM tidemill.prediction_run WHERE model = '{MODEL}' AND partition = '{DAY}' ORDER BY token DESC"
)
LIMIT_S = 1500  # a hang is a failure; on two quiet cores it takes about two minutes


def lose_tail_numbers(demo: Any, remainder: int) -> None:
    """Let flights of the day come without tail numbers, all but those whose number leaves at most this remainder by 20."""
    home = Home(folder=demo.home)
    url = server_of(home, load_config(home)).url("tidemill_owner")
    with closing(psycopg2.connect(url)) as owner, owner, owner.cursor() as cursor:
        cursor.execute(
            "UPDATE raw.flights SET tailnum = NULL WHERE flight %% 20 > %s"
            " AND (scheduled_departure AT TIME ZONE 'America/New_York')::date = %s",
            (remainder, DAY),
        )
        assert cursor.rowcount > 800


def decide(demo: Any, run_id: str, option: str) -> dict[str, Any]:
    """Predict the day as admin; once its rows are withheld, let kim answer. Return the question."""
    admin, dag_id = demo.airflow(), f"{MODEL}_predict"
    admin.trigger(dag_id, run_id, DAY)
    asked = wait_for_question(admin, dag_id, run_id, LIMIT_S)
    demo.withheld = demo.rows(STATE)
    answer(demo.airflow("kim"), asked, option, WHY)
    run = admin.wait_for_run(dag_id, run_id, LIMIT_S)
    assert run.state == "success", admin.failures(run)
    return asked


@pytest.fixture(scope="module")
def watched(demo: Any) -> Any:
    """The demo's stack after a day of flights mostly without tail numbers: scored, monitored, with a retraining decision."""
    lose_tail_numbers(demo, 1)
    spec = demo.project / "dags" / "models" / f"{MODEL}.yaml"
    lines = [CHANGED.get(line.partition(" ")[0], line) for line in spec.read_text().splitlines()]
    spec.write_text("\n".join(lines) + "\n")
    airflow, demo.asked = demo.airflow(), decide(demo, f"fault__{DAY}", "Publish")
    for verb in ("monitor", "retrain"):
        airflow.trigger(f"{MODEL}_{verb}", f"fault__{DAY}", DAY)
        run = airflow.wait_for_run(f"{MODEL}_{verb}", f"fault__{DAY}", LIMIT_S)
        assert run.state == "success", airflow.failures(run)
    return demo


def test_the_rows_are_withheld_until_a_second_person_publishes_them(watched: Any) -> None:
    assert watched.withheld == [(True, True)]
    assert watched.asked["subject"] == f"May readers see the new rows of {MODEL}?"
    assert watched.asked["options"] == ["Publish", "Discard", "Keep withheld"]
    assert all(name in watched.asked["body"].replace("\\", "") for name in LOST)
    assert watched.rows(STATE) == [(False, False)]
    ((reasons,),) = watched.rows(
        f"SELECT reasons FROM tidemill.decision WHERE model = '{MODEL}' AND partition = '{DAY}' AND kind = 'publish'"
    )
    assert reasons == [f"Published by kim: {WHY}"]


def test_the_fault_is_an_alert_on_its_first_day_that_names_the_columns(watched: Any) -> None:
    rows = watched.rows(
        f"SELECT rule, severity, status, first_partition, message FROM tidemill.alert WHERE model = '{MODEL}'"
        " AND rule LIKE 'nulls:%' ORDER BY rule"
    )
    assert [row[:4] for row in rows] == [(f"nulls:{name}", "fail", "open", DAY) for name in LOST]
    assert all(f"Feature '{name}' lacks values" in row[4] for name, row in zip(LOST, rows, strict=True))


def test_the_command_line_lists_it(watched: Any) -> None:
    done = subprocess.run(
        [str(watched.project / ".venv" / "bin" / "tidemill"), "alerts", MODEL],
        cwd=watched.project,
        env=os.environ | watched.environment() | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert all(f"nulls:{name}" in done.stdout for name in LOST)


def test_the_decision_is_recorded_with_its_reasons_and_evidence(watched: Any) -> None:
    ((verdict, reasons, evidence),) = watched.rows(
        f"SELECT verdict, reasons, evidence FROM tidemill.decision WHERE model = '{MODEL}' AND kind = 'retrain'"
        f" AND partition = '{DAY}'"
    )
    assert verdict == "accept"
    assert any("days old; the limit is 5 days" in reason for reason in reasons)
    assert evidence["drift_weighted"][-1]["partition"] == DAY


def test_the_training_that_it_caused_has_run_with_the_reason(watched: Any) -> None:
    ((decision_id, reasons),) = watched.rows(
        f"SELECT decision_id, reasons FROM tidemill.decision WHERE model = '{MODEL}' AND kind = 'retrain'"
        f" AND partition = '{DAY}'"
    )
    (run,) = [run for run in watched.airflow().runs(f"{MODEL}_train") if run.run_id.startswith(f"retrain__{DAY}__")]
    assert (run.run_id, run.state) == (f"retrain__{DAY}__{decision_id}", "success")
    steps = watched.rows(
        f"SELECT DISTINCT step FROM tidemill.run WHERE dag_run_id = '{run.run_id}' AND status = 'succeeded'"
    )
    assert {("extract",), ("train",), ("evaluate",), ("validate_model",), ("register",)} <= set(steps)
    ((gate,),) = watched.rows(
        f"SELECT verdict FROM tidemill.decision WHERE model = '{MODEL}' AND kind = 'accept' AND decision_id > {decision_id}"
    )
    ((outcome,),) = watched.rows(
        "SELECT details ->> 'outcome' FROM tidemill.audit WHERE event = 'retrain_outcome'"
        f" AND details ->> 'decision_id' = '{decision_id}'"
    )
    assert outcome.startswith(f"The challenger was trained; the gate said {gate.replace('_', ' ')}: ")
    assert reasons[0] in watched.airflow().log(f"{MODEL}_retrain", f"fault__{DAY}", "decide")


def test_the_day_s_page_is_kept_with_the_run_and_in_mlflow(watched: Any) -> None:
    ((record,),) = watched.rows(
        f"SELECT result FROM tidemill.run WHERE model = '{MODEL}' AND partition = '{DAY}' AND step = 'report'"
    )
    assert (watched.home / "storage" / record["uri"] / "index.html").exists()
    assert (record["mlflow_run_id"] is not None, record["mirror_problem"]) == (True, "")


def test_rows_that_a_person_discards_leave_the_earlier_ones(watched: Any) -> None:
    before = watched.rows(VISIBLE)
    lose_tail_numbers(watched, 0)
    decide(watched, f"again__{DAY}", "Discard")
    assert watched.withheld == [(True, False)]
    assert before
    assert watched.rows(VISIBLE) == before
    assert watched.rows(STATUSES)[:2] == [("discarded",), ("published",)]
    assert watched.rows(STATE) == [(False, False)]
