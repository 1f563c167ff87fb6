"""The task that waits for a partition's data: what it asks, what it waits for, and how it goes on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from tidemill.runtime import run
from tidemill_airflow.operators import AwaitReadyOperator
from tidemill_airflow.params import RunParams, trigger_form
from tidemill_airflow.triggers import ready as readiness

from .contexts import context

SPEC = """\
model: tiny
task: binary
entity_key: id
event_time: at
source: {features: tiny/features.sql, labels: tiny/labels.sql}
label: {column: y}
predict: {ready: {query: tiny/ready.sql, after: [loaded]}, by: "07:00"}
monitor: {ready: {query: tiny/ready.sql}}
"""
KEY, SQL = "2024-03-25", "SELECT true"
NOW = datetime.now(UTC)


class Scene:
    """A task with what Airflow and the ledger answer, and what they are asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, text in {"models/tiny.yaml": SPEC, "sql/tiny/ready.sql": SQL}.items():
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text(text)
        for name in ("models", "sql", "storage"):
            monkeypatch.setenv(f"TIDEMILL_{name.upper()}", str(folder / name))
        monkeypatch.setattr(run, "run_step", self.run_step)
        monkeypatch.setattr(readiness, "_has_event", lambda name, partition: (name, partition.key) in self.events)
        self.events, self.asked = {("loaded", KEY)}, list[dict[str, Any]]()
        self.outcome, self.late, self.tick = "start", False, NOW

    def run_step(self, chain: str, step: str, model: str, partition: str, inputs: Any, **options: Any) -> Any:
        self.asked.append({"chain": chain, "step": step, "partition": partition, **inputs})
        return {"outcome": self.outcome, "reason": "half of it", "late": self.late}

    def task(self, verb: str = "predict") -> tuple[AwaitReadyOperator, Any]:
        with DAG(f"tiny_{verb}", schedule=None, params=trigger_form(*RunParams.model_fields)):
            task = AwaitReadyOperator(task_id="await_ready", model="tiny")
        found = context(key=KEY)
        found["dag_run"] = SimpleNamespace(**vars(found["dag_run"]), run_after=self.tick)
        return task, found

    def deferred(self, *, woken: bool = False, told: bool = False, verb: str = "predict") -> TaskDeferred:
        task, given = self.task(verb)
        with pytest.raises(TaskDeferred) as caught:
            task.execute_complete(given, True, told) if woken else task.execute(given)
        assert caught.value.method_name == "execute_complete"
        return caught.value


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def test_a_ready_partition_starts_and_its_step_is_asked_once_as_of_the_run_s_tick(scene: Scene) -> None:
    task, given = scene.task()
    assert task.execute(given)["outcome"] == "start"
    (asked,) = scene.asked
    assert asked == {
        "chain": "predict", "step": "await_ready", "partition": KEY, "tick": NOW, "missing": (),
    }  # fmt: skip


def test_what_is_not_ready_waits_for_the_query_and_the_deadline(scene: Scene) -> None:
    scene.outcome = "wait"
    trigger: Any = scene.deferred().trigger
    assert (trigger.query["sql"], trigger.query["file"]) == (SQL, "tiny/ready.sql")
    start = datetime(2024, 3, 25, tzinfo=UTC)
    assert trigger.query["parameters"] == {"start": start, "end": start + timedelta(days=1), "cutoff": start}
    assert timedelta(0) <= trigger.until - NOW <= timedelta(days=1)
    assert (trigger.until.hour, trigger.until.minute) == (7, 0)


def test_a_chosen_cutoff_counts_for_the_query_too(scene: Scene) -> None:
    scene.outcome = "wait"
    task, given = scene.task()
    given["params"]["cutoff"] = "2024-03-24T12:00:00+00:00"
    with pytest.raises(TaskDeferred) as caught:
        task.execute(given)
    trigger: Any = caught.value.trigger
    assert trigger.query["parameters"]["cutoff"] == datetime(2024, 3, 24, 12, tzinfo=UTC)


def test_after_the_deadline_it_waits_for_the_query_only(scene: Scene) -> None:
    scene.outcome, scene.late, scene.tick = "wait", True, NOW - timedelta(days=2)
    deferred = scene.deferred(woken=True)
    trigger: Any = deferred.trigger
    assert (trigger.until, trigger.query is None, deferred.kwargs) == (None, False, {"told": True})


def test_monitoring_has_no_deadline(scene: Scene) -> None:
    scene.outcome = "wait"
    trigger: Any = scene.deferred(verb="monitor").trigger
    assert trigger.until is None


def test_a_missing_asset_is_looked_for_every_five_minutes(scene: Scene) -> None:
    scene.outcome, scene.events = "wait", {("loaded", "2024-03-24")}
    trigger: Any = scene.deferred().trigger
    assert trigger.query is None
    assert trigger.until - datetime.now(UTC) <= timedelta(minutes=5)
    assert scene.asked[0]["missing"] == ("loaded",)


@pytest.mark.parametrize(("days", "told", "asks"), [(0, False, 0), (2, False, 1), (2, True, 0)])
def test_a_look_that_finds_nothing_new_leaves_no_row(scene: Scene, days: int, told: bool, asks: int) -> None:
    """The deadline is new once."""
    scene.outcome, scene.events, scene.tick = "wait", set(), NOW - timedelta(days=days)
    scene.deferred(woken=True, told=told)
    assert len(scene.asked) == asks


def test_a_late_partition_may_be_skipped(scene: Scene) -> None:
    scene.outcome = "skip"
    task, given = scene.task()
    with pytest.raises(AirflowSkipException, match="half of it"):
        task.execute_complete(given, True, False)


def test_a_spec_that_no_longer_waits_lets_the_run_go_on(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "models/tiny.yaml").write_text(SPEC.replace("ready: {query: tiny/ready.sql, after: [loaded]}, ", ""))
    task, given = scene.task()
    assert task.execute_complete(given, True, False)["outcome"] == "start"
