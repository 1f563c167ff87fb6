"""The retrain DAG as it is shipped, run by Airflow itself: whatever fails in it is seen on the run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PROJECT, ROLES, Warehouse
from .data import LAST, SPEC, Mill

Run = Callable[..., dict[str, Any]]
DUE = SPEC + "retrain: {cooldown: 1 day, max_age: 2 days}\n"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An Airflow with an empty metadata database: the variables of its processes."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    }
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment,
        check=True,
        capture_output=True,
        timeout=300,
    )
    return environment


@pytest.fixture
def retrain(airflow: dict[str, str], warehouse: Warehouse) -> Run:
    """Run the retrain DAG of a model."""

    def run(mill: Mill, **conf: Any) -> dict[str, Any]:
        places = {
            "TIDEMILL_MODELS": str(mill.workspace.models),
            "TIDEMILL_SQL": str(mill.workspace.sql),
            "TIDEMILL_STORAGE": str(mill.workspace.storage),
            **{
                f"AIRFLOW_CONN_{name.upper()}": warehouse.url(role).replace("postgresql://", "postgres://")
                for name, role in ROLES.items()
            },
        }
        program = str(Path(__file__).with_name("run_dag.py"))
        done = subprocess.run(
            [sys.executable, program, f"{mill.model}_retrain", json.dumps({"partition": LAST} | conf)],
            env=airflow | places, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def outcomes(mill: Mill) -> list[str]:
    rows = mill.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'retrain_outcome'")
    return [details["outcome"] for (details,) in rows]


def test_a_training_that_cannot_be_started_fails_the_run_and_its_outcome_is_recorded(
    serving: Mill, retrain: Run
) -> None:
    serving.write(spec=DUE)
    ended = retrain(serving)  # the train DAG is paused, as every new one
    assert ended["tasks"] == {"decide": "success", "trigger_training": "failed", "record_outcome": "failed"}
    assert ended["state"] == "failed"
    assert outcomes(serving) == ["Training was due, but has not come to a verdict."]


def test_a_decision_that_fails_fails_the_run(serving: Mill, retrain: Run) -> None:
    serving.write(spec=DUE)
    ended = retrain(serving, partition="2031-01-01")
    assert ended["tasks"] == {"decide": "failed", "trigger_training": "upstream_failed", "record_outcome": "failed"}
    assert ended["state"] == "failed"


def test_a_no_is_a_green_run_with_its_outcome(serving: Mill, retrain: Run) -> None:
    ended = retrain(serving)
    assert ended["tasks"] == {"decide": "success", "trigger_training": "skipped", "record_outcome": "success"}
    assert (ended["state"], outcomes(serving)) == ("success", ["No training was started."])


def test_a_dry_run_is_green_and_says_that_it_was_one(serving: Mill, retrain: Run) -> None:
    serving.write(spec=DUE)
    assert retrain(serving, dry_run=True)["state"] == "success"
    assert outcomes(serving) == ["Training is due; this was a dry run, so none was started."]
