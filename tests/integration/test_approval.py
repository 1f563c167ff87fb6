"""A person's approval of what the gate accepts: requested, recorded, and enforced."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG

from tidemill.errors import LostRace, NotApproved
from tidemill.operations.rollback import promote_by_hand
from tidemill.records import BundleRef, Decision, SnapshotRef, Verdict
from tidemill.runtime.run import run_step
from tidemill.warehouse.ledger import Origin
from tidemill.warehouse.overview import Overview
from tidemill.warehouse.releases.origins import Origins
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.releases.registry import NewRelease
from tidemill_airflow.operators import ApproveOperator
from tidemill_airflow.params import RunParams, trigger_form

from .conftest import ROLES, Warehouse
from .data import SPEC, TRAINED, Mill

Records = dict[str, dict[str, Any]]
MANUAL = SPEC.replace("accept: {", "accept: {approval: manual, ")
FOUR_EYES = SPEC.replace("accept: {", "accept: {approval: manual, four_eyes: true, ")
AT = datetime(2024, 3, 24, 12, tzinfo=UTC)
YES = {"approved": True, "by": "grace", "at": AT.isoformat(), "comment": "looks right"}
NO = {**YES, "approved": False, "comment": "too many flips"}
SILENCE = {"approved": False, "by": "", "at": AT.isoformat(), "comment": ""}
BY_ANN = Origin(dag_id="train", dag_run_id="manual", task_id="approve", requested_by="ann")


@pytest.fixture
def asked(mill: Mill, trained_mill: tuple[Mill, Records]) -> Callable[..., Records]:
    """Judge another model's bundle, take an answer, and register; without a training."""
    _, trained = trained_mill

    def settle(answer: dict[str, Any] | None, spec: str = MANUAL, origin: Origin = BY_ANN) -> Records:
        mill.write(spec=spec)
        snapshot = replace(SnapshotRef.from_dict(trained["extract"]), model=mill.model)
        mill.ledger.record_snapshot(snapshot, mill.start_run(TRAINED, "extract"))

        def step(name: str, **inputs: Any) -> dict[str, Any]:
            return run_step("train", name, mill.model, TRAINED, inputs, workspace=mill.workspace, origin=origin)

        found = {"evaluate": trained["evaluate"] | {"champion_release": None, "champion_difference": None}}
        found["validate_model"] = step("validate_model", evaluation=found["evaluate"])
        judged = {"evaluation": found["evaluate"], "decision": found["validate_model"]}
        approval = None
        if answer is not None:
            mill.ledger.first_question(mill.model, origin, "0" * 64)  # as the task does before a person answers
            approval = found["approve"] = step("approve", **judged, answer=answer)
        found["register"] = step(
            "register",
            snapshot=snapshot.to_dict(),
            profile=trained["analyse"],
            split=trained["prepare"],
            **judged,
            approval=approval,
        )
        return found

    return settle


def promote(mill: Mill, release_id: int, by: str, *, force: bool = False) -> None:
    promote_by_hand(mill.spec, mill.workspace, release_id, force=force, approved_by=by, reason="For a test.")


def serves(mill: Mill) -> bool:
    return mill.promoter.champion(mill.model) is not None


def test_without_an_answer_the_release_waits_and_nothing_serves(mill: Mill, asked: Callable[..., Records]) -> None:
    registered = asked(None)["register"]
    assert (registered["waiting"], registered["promoted"]) == (True, False)
    assert registered["release_id"] is not None
    assert not serves(mill)


def test_a_waiting_release_serves_once_a_person_approves(mill: Mill, asked: Callable[..., Records]) -> None:
    promote(mill, asked(None)["register"]["release_id"], "grace")
    (deployment,) = mill.promoter.deployments(mill.model)
    assert (deployment.kind, deployment.approved_by) == ("promote", "grace")


def test_a_yes_promotes_in_the_person_s_name(mill: Mill, asked: Callable[..., Records]) -> None:
    registered = asked(YES)["register"]
    (deployment,) = mill.promoter.deployments(mill.model)
    assert (registered["promoted"], registered["waiting"]) == (True, False)
    assert deployment.approved_by == "grace"
    assert "Approved by grace at 2024-03-24 12:00 UTC: looks right" in deployment.reason


def test_the_card_names_the_approver(mill: Mill, asked: Callable[..., Records]) -> None:
    asked(YES)
    bundle = mill.sql("SELECT bundle_uri FROM tidemill.release WHERE model = '{m}'")[0][0]
    assert "approved by grace" in (mill.workspace.storage / bundle / "MODEL_CARD.md").read_text()


def test_an_answer_is_a_separate_decision_with_person_and_time(mill: Mill, asked: Callable[..., Records]) -> None:
    gate = asked(NO)["validate_model"]
    verdict, evidence = mill.sql(
        "SELECT verdict, evidence FROM tidemill.decision WHERE model = '{m}' AND kind = 'approve'"
    )[0]
    assert verdict == "reject"
    assert (evidence["by"], evidence["decision_id"]) == ("grace", gate["decision_id"])
    assert datetime.fromisoformat(evidence["at"]) == AT


def test_the_audit_knows_who_answered(mill: Mill, asked: Callable[..., Records]) -> None:
    asked(YES)
    (details,) = mill.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'decide:approve'")
    assert (details[0]["verdict"], details[0]["by"]) == ("accept", "grace")


@pytest.mark.parametrize("answer", [NO, SILENCE])
def test_a_no_and_silence_promote_nothing(mill: Mill, asked: Callable[..., Records], answer: dict[str, Any]) -> None:
    assert asked(answer)["register"]["promoted"] is False
    assert not serves(mill)


def test_silence_says_how_long_was_waited(asked: Callable[..., Records]) -> None:
    assert "Nobody answered within 2 days" in asked(SILENCE)["approve"]["reasons"][0]


def test_after_silence_a_person_may_still_promote(mill: Mill, asked: Callable[..., Records]) -> None:
    promote(mill, asked(SILENCE)["register"]["release_id"], "grace")
    assert serves(mill)


def test_what_a_person_rejected_is_promoted_only_by_force(mill: Mill, asked: Callable[..., Records]) -> None:
    release_id = asked(NO)["register"]["release_id"]
    with pytest.raises(NotApproved, match="grace has rejected"):
        promote(mill, release_id, "heidi")
    promote(mill, release_id, "heidi", force=True)
    assert mill.promoter.deployments(mill.model)[0].kind == "force"


def test_four_eyes_do_not_let_the_trainer_approve(mill: Mill, asked: Callable[..., Records]) -> None:
    found = asked({**YES, "by": "ann"}, FOUR_EYES)
    assert "another person has to" in found["approve"]["reasons"][0]
    assert not serves(mill)


def test_four_eyes_do_not_let_the_trainer_promote_even_by_force(mill: Mill, asked: Callable[..., Records]) -> None:
    release_id = asked({**YES, "by": "ann"}, FOUR_EYES)["register"]["release_id"]
    with pytest.raises(NotApproved, match="ann asked for the training"):
        promote(mill, release_id, "ann", force=True)
    promote(mill, release_id, "grace")
    assert serves(mill)


def test_four_eyes_take_another_person_s_yes(mill: Mill, asked: Callable[..., Records]) -> None:
    asked(YES, FOUR_EYES)
    assert serves(mill)


def test_a_release_knows_who_asked_for_its_training(mill: Mill, asked: Callable[..., Records]) -> None:
    asked(None)
    assert mill.sql("SELECT requested_by FROM tidemill.release WHERE model = '{m}'") == [("ann",)]


# --- judged again: the newest judgement counts


def judge_again(mill: Mill, trained: Records, release_id: int, verdict: Verdict) -> int:
    """Repeat the training on corrected labels: another snapshot and other figures, the same bundle, another verdict."""
    evaluation = trained["evaluate"] | {"uri": f"{mill.model}/evaluations/{'e' * 64}"}
    snapshot = replace(SnapshotRef.from_dict(trained["extract"]), model=mill.model, digest="c" * 64)
    run_id = mill.start_run(TRAINED, "register")
    mill.ledger.record_snapshot(snapshot, run_id)
    decision = Decision(kind="accept", verdict=verdict, reasons=("Judged on corrected labels.",))
    decision_id = mill.ledger.record_decision(mill.model, TRAINED, decision, {}, run_id)
    at = mill.spec.partition(TRAINED)
    found = mill.promoter.register(
        NewRelease(
            model=mill.model,
            partition=TRAINED,
            snapshot_digest=snapshot.digest,
            split_digest="5" * 64,
            bundle=BundleRef.from_dict(evaluation["bundle"]),
            metric="roc_auc",
            metric_value=0.51,
            evidence=evaluation,
            decision=replace(decision, decision_id=decision_id),
            learnt_until=at.interval.start,
            known_until=at.cutoff,
            spec_digest=mill.spec.digest,
            code_version="test",
            lock_digest="0" * 64,
            run_id=run_id,
        )
    )
    assert found == release_id  # the same bundle keeps its id
    return decision_id


def test_a_release_that_was_refused_on_a_second_look_needs_force(
    mill: Mill, asked: Callable[..., Records], trained_mill: tuple[Mill, Records]
) -> None:
    release_id = asked(None)["register"]["release_id"]
    judge_again(mill, trained_mill[1], release_id, Verdict.REJECT)
    with pytest.raises(NotApproved, match=r"verdict on release .* is reject"):
        promote(mill, release_id, "grace")
    assert not serves(mill)
    promote(mill, release_id, "grace", force=True)
    (deployment,) = mill.promoter.deployments(mill.model)
    assert deployment.kind == "force"


def test_a_release_that_was_accepted_on_a_second_look_needs_no_force(
    mill: Mill, asked: Callable[..., Records], trained_mill: tuple[Mill, Records]
) -> None:
    release_id = asked(None)["register"]["release_id"]
    judge_again(mill, trained_mill[1], release_id, Verdict.REJECT)
    judge_again(mill, trained_mill[1], release_id, Verdict.ACCEPT)
    promote(mill, release_id, "grace")
    assert [item.kind for item in mill.promoter.deployments(mill.model)] == ["promote"]


def test_everybody_reads_the_newest_judgement_and_every_one_stays(
    mill: Mill, asked: Callable[..., Records], trained_mill: tuple[Mill, Records]
) -> None:
    release_id = asked(None)["register"]["release_id"]
    decision_id = judge_again(mill, trained_mill[1], release_id, Verdict.REJECT)
    url = mill.workspace.connection("tidemill")
    release, origin = mill.promoter.release(mill.model, release_id), Origins(url).release(mill.model, release_id)
    details = Overview(url).model(mill.model)
    evidence = Overview(url).release(mill.model, release_id)
    assert (release.verdict, release.decision_id, release.metric_value) == ("reject", decision_id, 0.51)
    assert (release.snapshot_digest, origin.snapshot_digest, origin.split_digest) == ("c" * 64, "c" * 64, "5" * 64)
    assert (origin.evidence["uri"], release.evidence["uri"]) == (f"{mill.model}/evaluations/{'e' * 64}",) * 2
    assert [item.verdict for item in details.releases] == ["reject"]
    assert (evidence.decision.verdict, evidence.snapshot.digest) == (Verdict.REJECT, "c" * 64)
    assert mill.ledger.trainings(mill.model) == ((TRAINED, "reject"),)
    assert mill.sql(
        "SELECT verdict FROM tidemill.judgement j JOIN tidemill.decision d USING (decision_id) WHERE j.model = '{m}'"
        " ORDER BY decision_id"
    ) == [("accept",), ("reject",)]


def test_an_approval_of_an_older_judgement_promotes_nothing(
    mill: Mill, asked: Callable[..., Records], trained_mill: tuple[Mill, Records]
) -> None:
    release_id = asked(None)["register"]["release_id"]
    relied_on = mill.promoter.release(mill.model, release_id).decision_id
    newer = judge_again(mill, trained_mill[1], release_id, Verdict.REJECT)
    with pytest.raises(LostRace, match=f"judged again: decision {newer} says reject"):
        mill.promoter.promote(
            mill.model,
            Promotion(
                release_id=release_id,
                expected=None,
                live_from=mill.spec.partition(TRAINED).cutoff,
                approved_by="grace",
                reason="Late.",
                decision_id=relied_on,
            ),
        )
    assert not serves(mill)


def test_a_person_s_no_holds_until_a_newer_answer(mill: Mill, asked: Callable[..., Records]) -> None:
    release_id = asked(NO)["register"]["release_id"]
    assert mill.promoter.release(mill.model, release_id).refused_by == "grace"
    asked(SILENCE)
    assert mill.promoter.release(mill.model, release_id).refused_by == "grace"
    asked(YES)
    assert mill.promoter.release(mill.model, release_id).refused_by is None


# --- in Airflow


@pytest.fixture
def task(mill: Mill, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Make the task of a train DAG, and the context of a manual run that ann has triggered."""
    for name, folder in (
        ("MODELS", mill.workspace.models),
        ("SQL", mill.workspace.sql),
        ("STORAGE", mill.workspace.storage),
    ):
        monkeypatch.setenv(f"TIDEMILL_{name}", str(folder))
    for name, role in ROLES.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", warehouse.url(role).replace("postgresql://", "postgres://"))

    def make(found: Records, **conf: Any) -> tuple[ApproveOperator, Any]:
        form = trigger_form(*RunParams.model_fields)
        with DAG(f"{mill.model}_train", schedule=None, params=form) as dag:
            approve = ApproveOperator(
                task_id="approve", model=mill.model, evaluation=found["evaluate"], decision=found["validate_model"]
            )
        run = SimpleNamespace(
            run_id="manual__1",
            run_type="manual",
            partition_key=None,
            data_interval_start=None,
            data_interval_end=None,
            triggering_user_name="ann",
        )
        names = {"dag_id": dag.dag_id, "run_id": "manual__1", "task_id": "approve", "map_index": -1, "try_number": 1}
        params = {name: param.resolve() for name, param in form.items()} | {"partition": TRAINED, "comment": ""} | conf
        return approve, {"dag": dag, "dag_run": run, "params": params, "ti": SimpleNamespace(**names)}

    return make


def answered(option: str, name: str | None) -> dict[str, Any]:
    """What Airflow hands a task that resumes."""
    user = None if name is None else {"id": "7", "name": name}
    return {
        "chosen_options": [option],
        "params_input": {"comment": "checked"},
        "responded_at": AT,
        "responded_by_user": user,
        "timedout": name is None,
    }


def test_the_task_records_the_answer_that_airflow_hands_it(
    asked: Callable[..., Records], task: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: None)  # the task defers
    approve, context = task(asked(None))
    approve.execute(context)
    record = approve.execute_complete(context, answered("Approve", "grace"))
    assert (record["kind"], record["verdict"], record["by"]) == ("approve", "accept", "grace")
    assert record["reasons"] == ["Approved by grace at 2024-03-24 12:00 UTC: checked"]


def test_the_task_takes_airflow_s_timeout_for_a_no(asked: Callable[..., Records], task: Callable[..., Any]) -> None:
    approve, context = task(asked(None))
    record = approve.execute_complete(context, answered("Reject", None))
    assert (record["verdict"], record["by"]) == ("reject", "")


def test_a_cleared_task_whose_figures_have_changed_asks_nobody(
    mill: Mill, asked: Callable[..., Records], task: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: shown.append(self.body))
    found = asked(None)
    approve, context = task(found)
    approve.execute(context)
    approve.execute(context)  # cleared, and judged as before: the form is the same
    judged = found["validate_model"] | {"reasons": ["Judged on corrected labels."]}
    again, context = task(found | {"validate_model": judged})
    with pytest.raises(NotApproved, match="figures of an earlier attempt") as refused:
        again.execute(context)
    assert f"new run of {mill.model}_train" in refused.value.next_step
    context["ti"].run_id = "manual__2"
    again.execute(context)
    assert len(shown) == 3
    assert "corrected labels" in shown[-1]


@pytest.mark.parametrize(
    ("verdict", "conf", "reason"),
    [("reject", {}, "The gate has not accepted"), ("accept", {"dry_run": True}, "This is a dry run")],
)
def test_the_task_asks_nobody_where_there_is_nothing_to_approve(
    asked: Callable[..., Records], task: Callable[..., Any], verdict: str, conf: dict[str, Any], reason: str
) -> None:
    found = asked(None)
    found["validate_model"] = found["validate_model"] | {"verdict": verdict}
    approve, context = task(found, **conf)
    record = approve.execute(context)
    assert record["verdict"] == "reject"
    assert reason in record["reasons"][0]
