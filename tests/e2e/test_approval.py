"""A person's approval in the real Airflow: the training waits without a worker, is approved by the API, and continues."""

import os
import subprocess
from typing import Any

import pytest
import yaml

from .questions import answer, wait_for_question

MODEL, TRAINED = "air_time_approved", "2013-07-01"
RUN, WHY = f"by_hand__{TRAINED}", "Looked at the slices; fine."
LIMIT_S = 1500  # a hang is a failure; on two quiet cores all of it takes a minute


def tidemill(demo: Any, *arguments: str) -> str:
    """Run a command with the stack's environment."""
    done = subprocess.run(
        [demo.project / ".venv/bin/tidemill", *arguments],
        cwd=demo.project,
        env=os.environ | demo.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())  # tables fold at the terminal's width


def champions(demo: Any) -> int:
    return int(demo.rows(f"SELECT count(*) FROM tidemill.champion WHERE model = '{MODEL}'")[0][0])


@pytest.fixture(scope="module")
def waiting(demo: Any) -> tuple[Any, dict[str, Any], int]:
    """The demo's stack with a training that waits for a person, its question, and the champions meanwhile."""
    written = yaml.safe_load((demo.project / "examples/models/flight_air_time.yaml").read_text(encoding="utf-8"))
    spec = written | {"model": MODEL, "accept": {**written["accept"], "approval": "manual"}}
    spec["train"] = {**written["train"], "estimators": ["ridge"]}
    (demo.project / "dags/models" / f"{MODEL}.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    airflow = demo.airflow()
    airflow.wait_for_dags([f"{MODEL}_train"])
    airflow.trigger(f"{MODEL}_train", RUN, TRAINED)
    asked = wait_for_question(airflow, f"{MODEL}_train", RUN, LIMIT_S)
    return demo, asked, champions(demo)


@pytest.fixture(scope="module")
def approved(waiting: tuple[Any, dict[str, Any], int]) -> Any:
    """The same after the answer, with one partition scored."""
    demo, asked, _ = waiting
    airflow = demo.airflow()
    answer(airflow, asked, "Approve", WHY)
    run = airflow.wait_for_run(f"{MODEL}_train", RUN, LIMIT_S)
    assert run.state == "success", airflow.failures(run)
    tidemill(demo, "predict", MODEL, "--partition", TRAINED)
    return demo


def test_the_question_shows_what_the_gate_has_found_and_two_answers(waiting: tuple[Any, dict[str, Any], int]) -> None:
    _, asked, _ = waiting
    assert asked["options"] == ["Approve", "Reject"]
    assert asked["subject"] == f"May the new model of {MODEL} serve?"
    assert asked["body"].startswith("The gate accepts ridge")


def test_nothing_serves_while_nobody_has_answered(waiting: tuple[Any, dict[str, Any], int]) -> None:
    assert waiting[2] == 0


def test_the_release_serves_in_the_name_of_who_approved(approved: Any) -> None:
    ((by, reason),) = approved.rows(
        f"SELECT d.approved_by, d.reason FROM tidemill.deployment d WHERE d.model = '{MODEL}'"
    )
    assert champions(approved) == 1
    assert by == "admin"
    assert f"Approved by {by} at " in reason
    assert WHY in reason


def test_history_and_trace_name_who_approved(approved: Any) -> None:
    ((entity,),) = approved.rows(f"SELECT min(flight_id) FROM predictions.{MODEL} WHERE partition = '{TRAINED}'")
    assert "admin" in tidemill(approved, "history", MODEL)
    assert "admin" in tidemill(approved, "trace", MODEL, entity, "--partition", TRAINED)
