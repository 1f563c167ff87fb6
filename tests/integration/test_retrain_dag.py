"""The retrain DAG as it is shipped, run by Airflow itself: whatever fails in it is seen on the run."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from .conftest import DagRun
from .data import LAST, SPEC, Mill

DUE = SPEC + "retrain: {cooldown: 1 day, max_age: 2 days}\n"


@pytest.fixture
def retrain(dag_run: DagRun) -> Callable[..., dict[str, Any]]:
    """Run the retrain DAG of a model."""
    return partial(dag_run, "retrain", partition=LAST)


def outcomes(mill: Mill) -> list[str]:
    rows = mill.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'retrain_outcome'")
    return [details["outcome"] for (details,) in rows]


def test_a_training_that_cannot_be_started_fails_the_run_and_its_outcome_is_recorded(
    serving: Mill, retrain: Callable[..., dict[str, Any]]
) -> None:
    serving.write(spec=DUE)
    ended = retrain(serving)  # the train DAG is paused, as every new one
    assert ended["tasks"] == {"decide": "success", "trigger_training": "failed", "record_outcome": "failed"}
    assert ended["state"] == "failed"
    assert outcomes(serving) == ["Training was due, but has not come to a verdict."]


def test_a_train_dag_paused_in_the_middle_ends_the_wait_with_a_message(
    serving: Mill, retrain: Callable[..., dict[str, Any]]
) -> None:
    serving.write(spec=DUE)
    train = f"{serving.model}_train"
    ended = retrain(serving, pause_on_run=train)  # nobody schedules its tasks here, so the run stays unfinished
    assert ended["tasks"] == {"decide": "success", "trigger_training": "failed", "record_outcome": "failed"}
    assert f"{train} was paused while its run retrain__" in ended["log"]
    assert "Unpause it, and clear this task: it then waits for that run." in ended["log"]


def test_a_decision_that_fails_fails_the_run(serving: Mill, retrain: Callable[..., dict[str, Any]]) -> None:
    serving.write(spec=DUE)
    ended = retrain(serving, partition="2031-01-01")
    assert ended["tasks"] == {"decide": "failed", "trigger_training": "upstream_failed", "record_outcome": "failed"}
    assert ended["state"] == "failed"


def test_a_no_is_a_green_run_with_its_outcome(serving: Mill, retrain: Callable[..., dict[str, Any]]) -> None:
    ended = retrain(serving)
    assert ended["tasks"] == {"decide": "success", "trigger_training": "skipped", "record_outcome": "success"}
    assert (ended["state"], outcomes(serving)) == ("success", ["No training was started."])


def test_a_dry_run_is_green_and_says_that_it_was_one(serving: Mill, retrain: Callable[..., dict[str, Any]]) -> None:
    serving.write(spec=DUE)
    assert retrain(serving, dry_run=True)["state"] == "success"
    assert outcomes(serving) == ["Training is due; this was a dry run, so none was started."]
