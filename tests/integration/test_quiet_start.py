"""A quiet start: nothing of a draft runs by itself and nothing of it is red, until its first promotion."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tidemill.cli import app, main
from tidemill.doctor import Health, examine
from tidemill.errors import FatalError, NoChampion, NotPublished, TidemillError
from tidemill.operations.completeness import incomplete
from tidemill.operations.dismiss import dismiss_failures
from tidemill.records import ModelState, Severity
from tidemill.runtime.run import run_step
from tidemill.warehouse.ledger import Origin
from tidemill.warehouse.overview import Overview

from .conftest import DagRun
from .data import LAST, SCORED, SPEC, TRAINED, Mill

VERBS = ("train", "retrain")  # a chain of steps, as the other DAGs are, and the one that triggers another DAG
SCHEDULED = "scheduled__2024-03-25T09:30:00+00:00__2024-03-25__abc"


def state_of(mill: Mill) -> ModelState:
    return Overview(mill.workspace.connection("warehouse")).model(mill.model).state


def fail(mill: Mill, dag_run_id: str | None, partition: str = SCORED) -> None:
    """Let a step fail in a run with this id; None for the command line."""
    with pytest.raises(NoChampion):
        run_step(
            "predict",
            "resolve_release",
            mill.model,
            partition,
            {"release": 999_999},
            workspace=mill.workspace,
            origin=Origin(dag_run_id=dag_run_id),
        )


@pytest.mark.parametrize("verb", VERBS)
def test_a_scheduled_run_of_a_draft_ends_at_once_and_is_not_red(mill: Mill, dag_run: DagRun, verb: str) -> None:
    ended = dag_run(verb, mill, scheduled=LAST)
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"skipped"})
    assert f"{mill.model} is a draft: no release has been promoted yet" in ended["log"]
    assert mill.sql("SELECT count(*) FROM tidemill.run WHERE model = '{m}'") == [(0,)]
    findings = examine(mill.workspace, as_of=datetime(2024, 4, 1, tzinfo=UTC))
    assert {item.severity for item in findings if item.subject == mill.model} == {Health.OK}


def test_the_first_scheduled_run_after_the_promotion_publishes(serving: Mill, dag_run: DagRun) -> None:
    ended = dag_run("predict", serving, scheduled=SCORED)
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"})
    assert len(serving.view()) == 60


def test_a_run_by_hand_of_a_draft_works(mill: Mill, dag_run: DagRun) -> None:
    ended = dag_run("predict", mill, partition=SCORED)
    assert ended["tasks"]["resolve_release"] == "failed"  # it says what is missing


def test_a_refused_training_says_how_its_release_can_serve(mill: Mill) -> None:
    mill.write(spec=SPEC.replace("minimum: 0.6", "minimum: 0.99"))
    trained = CliRunner().invoke(app, ["train", mill.model, "--partition", TRAINED], env=mill.environment)
    assert trained.exit_code == 0
    assert "Not accepted" in trained.output
    ((release,),) = mill.sql("SELECT max(release_id)::text FROM tidemill.release WHERE model = '{m}'")
    assert f"tidemill promote {mill.model} {release} --force" in trained.output
    with pytest.raises(NoChampion, match=f"tidemill releases {mill.model}"):
        mill.predict(SCORED)
    promoted = ["promote", mill.model, release, "--force", "--reason", "Better than nothing."]
    assert CliRunner().invoke(app, promoted, env=mill.environment).exit_code == 0
    mill.predict(SCORED)
    assert len(mill.view()) == 60


def test_a_model_that_is_declared_to_be_no_draft_runs_by_its_schedule(mill: Mill, dag_run: DagRun) -> None:
    mill.write(spec=SPEC + "draft: false\n")
    ended = dag_run("predict", mill, scheduled=SCORED)
    assert (ended["state"], ended["tasks"]["resolve_release"]) == ("failed", "failed")
    assert state_of(mill).severity is Severity.FAIL


def test_monitoring_a_draft_by_hand_opens_no_alert(mill: Mill) -> None:
    with pytest.raises(NotPublished):
        mill.monitor()
    assert mill.sql("SELECT rule FROM tidemill.alert WHERE model = '{m}'") == []
    assert state_of(mill).severity is Severity.WARN


def test_monitoring_a_model_that_serves_opens_one(serving: Mill) -> None:
    with pytest.raises(NotPublished):
        serving.monitor()
    assert len(serving.sql("SELECT rule FROM tidemill.alert WHERE model = '{m}'")) == 1


# --- failures of runs that people have started


LOOKED_BACK = "look_back__2024-03-25__ab__1"  # a partition whose earlier rows readers still see


@pytest.mark.parametrize("run_id", [None, "manual__1", "backfill__1", "demo__2024", "anything", LOOKED_BACK])
def test_a_failure_of_a_run_outside_the_schedule_asks_for_a_look(serving: Mill, run_id: str | None) -> None:
    serving.predict()
    fail(serving, run_id, LAST)
    assert [item.by_schedule for item in state_of(serving).failures] == [False]
    assert state_of(serving).severity is Severity.WARN


@pytest.mark.parametrize("run_id", [SCHEDULED, "asset_triggered__1", "retrain__2024-03-25__7"])
def test_a_failure_of_a_scheduled_run_asks_for_action(serving: Mill, run_id: str) -> None:
    fail(serving, run_id)
    assert state_of(serving).severity is Severity.FAIL


def test_a_person_s_failed_attempt_does_not_hide_the_schedule_s(serving: Mill) -> None:
    fail(serving, SCHEDULED)
    fail(serving, "manual__1")
    assert [item.by_schedule for item in state_of(serving).failures] == [True]
    serving.predict()
    fail(serving, "manual__2")
    assert [item.by_schedule for item in state_of(serving).failures] == [False]


def test_a_dismissed_failure_is_gone_and_a_later_one_is_shown(serving: Mill) -> None:
    serving.predict(LAST)
    fail(serving, "manual__1")
    (gone,) = dismiss_failures(serving.workspace, serving.model, SCORED, dismissed_by="ann", reason="A trial.")
    assert (gone.chain, gone.step, gone.partition) == ("predict", "resolve_release", SCORED)
    assert (state_of(serving).failures, state_of(serving).severity) == ((), None)
    ((details,),) = serving.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'dismiss'")
    assert (details["by"], details["reason"], details["partition"]) == ("ann", "A trial.", SCORED)
    fail(serving, "manual__2")
    assert len(state_of(serving).failures) == 1


def test_a_dismissal_is_for_one_partition(serving: Mill) -> None:
    fail(serving, None)
    fail(serving, None, LAST)
    dismiss_failures(serving.workspace, serving.model, LAST, dismissed_by="ann", reason="A trial.")
    assert [item.partition for item in state_of(serving).failures] == [SCORED]


@pytest.mark.parametrize(
    ("partition", "reason", "said"), [(LAST, "None.", "lists the open ones"), (SCORED, " ", "needs a reason")]
)
def test_nothing_is_dismissed_without_a_failure_and_a_reason(
    serving: Mill, partition: str, reason: str, said: str
) -> None:
    fail(serving, None)
    with pytest.raises(FatalError, match=said):
        dismiss_failures(serving.workspace, serving.model, partition, dismissed_by="ann", reason=reason)
    assert len(state_of(serving).failures) == 1


def test_the_command_dismisses_by_name(serving: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(serving, None)
    for name, value in serving.environment.items():
        monkeypatch.setenv(name, value)
    arguments = ["dismiss", serving.model, "--partition", SCORED, "--reason", "A trial.", "--by", "ann"]
    done = CliRunner().invoke(app, arguments)
    assert done.output == f"Dismissed: resolve_release of the chain 'predict', partition {SCORED}.\n"


# --- partitions that are not over


def endless(mill: Mill, **partitions: object) -> Mill:
    said = ", ".join(f"{name}: {value}" for name, value in partitions.items())
    mill.write(spec=SPEC.replace("cutoff: 5 hours, first: 2024-03-01, last: 2024-03-31", said))
    return mill


@pytest.mark.parametrize(
    ("cutoff", "days", "said"),
    [
        ("5 hours", -1, None),
        ("5 hours", 0, "ends at"),
        ("-6 hours", 1, "ends at"),
        ("3 days", -1, "has its cutoff at"),
        ("2 days", -3, None),
    ],
)
def test_a_partition_that_is_not_over_is_reported_as_incomplete(
    mill: Mill, cutoff: str, days: int, said: str | None
) -> None:
    spec = endless(mill, cutoff=cutoff).spec
    key = (datetime.now(ZoneInfo(spec.timezone)) + timedelta(days=days)).strftime("%Y-%m-%d")
    found = incomplete(mill.workspace, spec, key)
    assert (found is None) == (said is None)
    if found is not None:
        assert found.startswith(f"Partition {key} {said}")
        assert found.endswith("which lies ahead: its rows may be incomplete.")


def test_predict_says_that_rows_may_be_incomplete(
    mill: Mill, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = endless(mill, cutoff="5 hours").spec
    for name, value in mill.environment.items():
        monkeypatch.setenv(name, value)
    key = datetime.now(ZoneInfo(spec.timezone)).strftime("%Y-%m-%d")
    monkeypatch.setattr("sys.argv", ["tidemill", "predict", mill.model, "--partition", key])
    with pytest.raises((SystemExit, TidemillError)):
        main()
    assert f"Partition {key} ends at" in capsys.readouterr().err


def test_a_new_folder_of_models_is_in_order_for_the_doctor(mill: Mill) -> None:
    assert Path(mill.workspace.models, f"{mill.model}.yaml").is_file()
    findings = examine(mill.workspace, as_of=datetime(2024, 4, 1, tzinfo=UTC))
    assert [item.message for item in findings if (item.check, item.subject) == ("freshness", mill.model)] == [
        "A draft: its schedules start with the first promotion."
    ]
