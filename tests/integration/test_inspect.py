"""Rows that differ too much from the past are withheld before a reader can see them, until somebody decides."""

import getpass
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import psycopg2
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.doctor.withheld import check_withheld
from tidemill.errors import NotApproved, NotPublished, StaleAttempt
from tidemill.monitoring.profile import build_profile, count_into
from tidemill.operations.backfill import Policy, backfill
from tidemill.records import Answer, Decision, PredictionRef
from tidemill.runtime.job import Job
from tidemill.runtime.run import run_step
from tidemill.steps.findings.reference import count_scores
from tidemill.steps.predict.resolution import Resolution, find_withheld, resolve_withheld
from tidemill.warehouse.alerts.state import Alerts
from tidemill.warehouse.ledger import Origin
from tidemill.warehouse.predictions.answer_counts import count_levels
from tidemill.warehouse.predictions.withholding import Withholding
from tidemill.workspace import LEDGER

from .data import LAST, SPEC, Mill

PAST = ("2024-03-24", "2024-03-25", "2024-03-26", "2024-03-27")
DAY, AFTER = "2024-03-28", "2024-03-29"
LATER = "shipped_at >= '2024-03-28 00:00-04'"
FAULTS = {
    "nulls": f"UPDATE {{t}} SET weight_kg = NULL WHERE {LATER} AND right(parcel_id, 1) <> '0'",
    "a third of nulls": f"UPDATE {{t}} SET rain_mm = NULL WHERE {LATER} AND right(parcel_id, 1) IN ('1', '4', '7')",
    "unseen levels": f"UPDATE {{t}} SET carrier = 'D' WHERE {LATER} AND carrier = 'A'",
    "another unit": f"UPDATE {{t}} SET distance_km = distance_km * 1000 + 1e6 WHERE {LATER}",
    "a tenth of the rows": f"DELETE FROM {{t}} WHERE {LATER} AND right(parcel_id, 1) <> '0'",
    "ten times the rows": "INSERT INTO {t} SELECT parcel_id || '-' || n, shipped_at, delivered_at, carrier, express, weight_kg,"
    f" distance_km, n_stops, queue_h, wind_ms, rain_mm, driver_h, n_parcels, late FROM {{t}}, generate_series(1, 9) n"
    f" WHERE {LATER}",
}
BROKEN = FAULTS["nulls"]
OPEN = "SELECT severity FROM tidemill.alert WHERE model = '{m}' AND rule = %s AND status = 'open'"
SHOWN = (
    "SELECT withheld, marked, published_at IS NULL, n_rows FROM tidemill.published_partition"
    " WHERE model = '{m}' AND partition = %s"
)


@pytest.fixture
def experienced(serving: Mill) -> Mill:
    """A model whose past is long enough to tell what is usual."""
    for day in PAST:
        assert serving.predict(day)["publish"]["published"]
    return serving


def break_and_predict(mill: Mill, fault: str = BROKEN) -> dict[str, dict[str, object]]:
    mill.sql(fault)
    return mill.predict(DAY)


def by_hand(mill: Mill, *, publish: bool = True, by: str = "kim", marked: bool = False) -> Decision:
    run = find_withheld(mill.workspace, mill.spec, DAY)
    said = Resolution(publish=publish, by=by, reason="Looked at the rows.", marked=marked)
    return resolve_withheld(mill.workspace, mill.spec, run, said)


def test_usual_rows_are_published(experienced: Mill) -> None:
    done = experienced.predict(DAY)
    assert (done["inspect"]["verdict"], done["publish"]["published"], done["publish"]["withheld"]) == (
        "accept", True, False,
    )  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_unusual_rows_are_withheld_before_a_reader_sees_them(experienced: Mill, fault: str) -> None:
    done = break_and_predict(experienced, FAULTS[fault])
    assert (done["inspect"]["verdict"], done["publish"]["published"], done["publish"]["withheld"]) == (
        "reject", False, True,
    )  # fmt: skip
    assert (experienced.view(DAY), experienced.statuses(DAY)) == ([], ["withheld"])
    assert experienced.sql(OPEN, f"withheld:{DAY}") == [("fail",)]
    assert experienced.sql(SHOWN, DAY) == [(True, False, True, None)]


def test_without_a_past_findings_are_reported_and_nothing_is_withheld(serving: Mill) -> None:
    for day in PAST[:3]:
        serving.predict(day)
    done = break_and_predict(serving)
    assert (done["inspect"]["verdict"], done["publish"]["published"]) == ("not_enough_evidence", True)
    assert any("weight_kg" in reason for reason in done["inspect"]["reasons"])


def test_the_earlier_rows_stay_visible(experienced: Mill) -> None:
    experienced.predict(DAY)
    before = experienced.view(DAY)
    break_and_predict(experienced)
    assert experienced.view(DAY) == before
    assert experienced.sql(SHOWN, DAY) == [(True, False, False, len(before))]


def test_a_person_publishes_withheld_rows(experienced: Mill) -> None:
    break_and_predict(experienced)
    decision = by_hand(experienced)
    assert len(experienced.view(DAY)) == 60
    assert experienced.sql(OPEN, f"withheld:{DAY}") == []
    assert experienced.sql(
        "SELECT d.kind, d.verdict, d.reasons, a.details ->> 'by' FROM tidemill.decision d JOIN tidemill.audit a"
        " ON (a.details ->> 'decision_id')::bigint = d.decision_id WHERE d.decision_id = %s",
        decision.decision_id,
    ) == [("publish", "accept", ["Published by kim: Looked at the rows."], "kim")]
    assert experienced.sql(SHOWN, DAY) == [(False, False, False, 60)]


def test_a_person_discards_withheld_rows(experienced: Mill) -> None:
    experienced.predict(DAY)
    before = experienced.view(DAY)
    break_and_predict(experienced)
    by_hand(experienced, publish=False)
    assert (experienced.view(DAY), experienced.statuses(DAY)) == (before, ["published", "discarded"])
    assert experienced.sql(OPEN, f"withheld:{DAY}") == []


def test_the_commands_publish_and_discard(experienced: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in experienced.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    experienced.sql(BROKEN)
    runner = CliRunner()
    first = runner.invoke(app, ["predict", experienced.model, "--partition", DAY])
    assert (first.exit_code, "withheld" in first.stdout, "weight_kg" in first.stdout) == (1, True, True)
    assert DAY in runner.invoke(app, ["history", experienced.model]).stderr  # not among the rows that a pipe takes
    why = ["--reason", "A test.", "--by", "kim"]
    assert runner.invoke(app, ["publish", experienced.model, DAY, *why]).exit_code == 0
    assert len(experienced.view(DAY)) == 60
    again = runner.invoke(app, ["discard", experienced.model, DAY, *why])
    assert isinstance(again.exception, NotPublished)


def test_a_new_attempt_makes_withheld_rows_stale(experienced: Mill) -> None:
    break_and_predict(experienced)
    experienced.resolve(DAY)  # claims the partition
    with pytest.raises(StaleAttempt):
        by_hand(experienced)
    assert experienced.statuses(DAY) == ["stale"]


def test_a_second_withheld_run_takes_the_place_of_the_first(experienced: Mill) -> None:
    break_and_predict(experienced)
    experienced.predict(DAY)
    assert experienced.statuses(DAY) == ["stale", "withheld"]
    assert len(Withholding(experienced.workspace.connection(LEDGER)).runs(experienced.model)) == 1


@pytest.mark.parametrize("approved", [True, None], ids=["late yes", "no answer"])
def test_an_answer_about_rows_that_newer_ones_have_replaced_leaves_the_newer_ones_alone(
    experienced: Mill, approved: bool | None
) -> None:
    first = break_and_predict(experienced)
    experienced.predict(DAY)
    answer = approved and Answer(approved=True, by="kim", at=datetime(2024, 3, 28, 9, tzinfo=UTC)).to_dict()
    again = experienced.step(
        "predict", "inspect", DAY, prediction=first["predict"], snapshot=first["extract"], answer=answer
    )
    assert (again["kind"], again["verdict"]) == ("inspect", "reject")
    assert "Newer rows have replaced these" in again["reasons"][-1]
    assert not experienced.step("predict", "publish", DAY, prediction=first["predict"])[
        "published"
    ]  # and has not failed
    assert (experienced.view(DAY), experienced.statuses(DAY)) == ([], ["stale", "withheld"])
    assert experienced.sql(OPEN, f"withheld:{DAY}") == [("fail",)]


def test_a_run_that_waits_in_airflow_ends_well_if_its_rows_were_published_and_replaced_meanwhile(
    experienced: Mill,
) -> None:
    first = break_and_predict(experienced)
    by_hand(experienced)
    experienced.write(SPEC + "predict: {withhold: null}\n")
    newest = experienced.predict(DAY)["publish"]
    again = experienced.step("predict", "inspect", DAY, prediction=first["predict"], snapshot=first["extract"])
    assert (again["kind"], again["verdict"]) == ("publish", "accept")
    assert not experienced.step("predict", "publish", DAY, prediction=first["predict"])["published"]
    assert [
        run.prediction_run_id for run in experienced.publisher.published(experienced.model) if run.partition == DAY
    ] == [newest["prediction_run_id"]]


def test_of_two_persons_who_decide_at_once_one_does_and_the_other_is_told(experienced: Mill) -> None:
    break_and_predict(experienced)
    run = find_withheld(experienced.workspace, experienced.spec, DAY)  # both have read it

    def decide(publish: bool) -> str:
        said = Resolution(publish=publish, by="kim" if publish else "lee", reason="Looked at the rows.")
        try:
            return resolve_withheld(experienced.workspace, experienced.spec, run, said).verdict.value
        except NotPublished as error:
            return str(error)

    with ThreadPoolExecutor(2) as persons:
        said = list(persons.map(decide, [True, False]))
    decided = experienced.sql("SELECT verdict FROM tidemill.decision WHERE model = '{m}' AND kind = 'publish'")
    assert [word in ("accept", "reject") for word in said].count(True) == len(decided) == 1
    assert sum("is not in the state" in word for word in said) == 1
    assert len(experienced.view(DAY)) == (60 if decided == [("accept",)] else 0)


def test_sound_rows_end_what_was_withheld(experienced: Mill) -> None:
    before = experienced.sql("SELECT parcel_id, weight_kg FROM {t} WHERE " + LATER)
    break_and_predict(experienced)
    for key, weight in before:
        experienced.sql("UPDATE {t} SET weight_kg = %s WHERE parcel_id = %s", weight, key)
    assert experienced.predict(DAY)["publish"]["published"]
    assert experienced.statuses(DAY) == ["stale", "published"]
    assert experienced.sql(OPEN, f"withheld:{DAY}") == []


def test_publishing_a_withheld_run_again_does_not_show_it(experienced: Mill) -> None:
    done = break_and_predict(experienced)
    assert not experienced.step("predict", "publish", DAY, prediction=done["predict"])["published"]
    assert not experienced.publisher.publish(PredictionRef.from_dict(done["predict"]))
    assert experienced.view(DAY) == []


def test_a_repeated_inspection_changes_nothing(experienced: Mill) -> None:
    done = break_and_predict(experienced)
    again = experienced.step("predict", "inspect", DAY, prediction=done["predict"], snapshot=done["extract"])
    assert again == done["inspect"]
    assert experienced.sql("SELECT count(*) FROM tidemill.decision WHERE model = '{m}' AND kind = 'inspect'") == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        "status = 'published'",  # without a decision
        "status = 'superseded'",
        "status = 'written', inspection_id = NULL",
        "status = 'discarded'",
        "inspection_id = NULL",
    ],
)
def test_the_ledger_refuses_to_show_withheld_rows_without_a_decision(experienced: Mill, change: str) -> None:
    break_and_predict(experienced)
    with pytest.raises(psycopg2.errors.CheckViolation):
        experienced.sql(f"UPDATE tidemill.prediction_run SET {change} WHERE model = '{{m}}' AND status = 'withheld'")


@pytest.mark.parametrize("status", ["writing", "withheld", "discarded", "written"])
def test_a_published_run_cannot_become_what_the_protocol_does_not_have(experienced: Mill, status: str) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        experienced.sql(
            "UPDATE tidemill.prediction_run SET status = %s WHERE model = '{m}' AND status = 'published'", status
        )


def test_who_asked_for_the_run_cannot_publish_it_where_four_eyes_are_declared(experienced: Mill) -> None:
    experienced.write(SPEC.replace("accept: {", "accept: {four_eyes: true, "))
    break_and_predict(experienced)
    run = replace(find_withheld(experienced.workspace, experienced.spec, DAY), requested_by="kim")
    said = Resolution(publish=True, by="kim", reason="Mine.")
    with pytest.raises(NotApproved, match="may not publish it too"):
        resolve_withheld(experienced.workspace, experienced.spec, run, said)
    resolve_withheld(experienced.workspace, experienced.spec, run, replace(said, by="lee"))
    assert len(experienced.view(DAY)) == 60


def test_who_started_the_run_in_a_shell_cannot_publish_it_there_where_four_eyes_are_declared(experienced: Mill) -> None:
    experienced.write(SPEC.replace("accept: {", "accept: {four_eyes: true, "))
    break_and_predict(experienced)
    with pytest.raises(NotApproved, match="may not publish it too"):
        by_hand(experienced, by=getpass.getuser())
    by_hand(experienced, by="lee")
    assert len(experienced.view(DAY)) == 60


def test_with_inspection_switched_off_everything_is_published(experienced: Mill) -> None:
    experienced.write(SPEC + "predict: {withhold: null}\n")
    assert break_and_predict(experienced)["publish"]["published"]


def test_a_rule_that_needs_persistence_does_not_withhold(experienced: Mill) -> None:
    experienced.write(SPEC + "monitor: {rules: {nulls: {persistence: 2 of 3}, break: {persistence: 2 of 3}}}\n")
    done = break_and_predict(experienced)
    assert (done["inspect"]["verdict"], done["publish"]["published"]) == ("accept", True)
    assert any("weight_kg" in reason for reason in done["inspect"]["reasons"])


def test_a_dry_run_withholds_nothing(experienced: Mill) -> None:
    experienced.sql(BROKEN)
    done = experienced.predict(DAY, dry_run=True)
    assert (done["inspect"]["verdict"], experienced.statuses(DAY)) == ("reject", ["written"])
    assert experienced.sql(OPEN, f"withheld:{DAY}") == []


def test_a_backfill_goes_on_without_withheld_partitions_and_lists_them(experienced: Mill) -> None:
    experienced.sql(BROKEN + " AND shipped_at < '2024-03-29 00:00-04'")
    done = backfill(experienced.spec, DAY, LAST, experienced.workspace, policy=Policy(kind="live_then"))
    assert (done.withheld, done.scored, done.failed) == ((DAY,), (AFTER, LAST), ())


@pytest.mark.parametrize("decided", [True, False], ids=["a person", "nobody"])
def test_values_that_a_person_has_published_are_usual_on_the_next_day(experienced: Mill, decided: bool) -> None:
    break_and_predict(experienced, FAULTS["another unit"])
    by_hand(experienced, by="kim" if decided else "", marked=not decided)
    experienced.monitor(DAY, shown=False)
    assert experienced.predict(AFTER)["publish"]["published"] is decided


def test_rows_that_disagree_with_the_visible_run_are_withheld(experienced: Mill) -> None:
    experienced.write(SPEC + "monitor: {volume_ratio: 3.0}\n")
    experienced.predict(DAY)
    experienced.sql(f"DELETE FROM {{t}} WHERE {LATER} AND right(parcel_id, 1) NOT IN ('0', '5')")
    done = experienced.predict(DAY)
    assert done["inspect"]["verdict"] == "reject"
    run = find_withheld(experienced.workspace, experienced.spec, DAY)
    assert "agreement:rows" in run.rules


def test_nobody_decides_and_the_rows_are_published_and_marked(experienced: Mill) -> None:
    experienced.write(SPEC + "predict: {withhold: {then: publish_marked}}\n")
    done = break_and_predict(experienced)
    silence = Answer(approved=True, by="", at=datetime(2024, 3, 28, 9, tzinfo=UTC))
    decision = experienced.step(
        "predict", "inspect", DAY, prediction=done["predict"], snapshot=done["extract"], answer=silence.to_dict()
    )
    assert (decision["kind"], decision["verdict"], decision["by"]) == ("publish", "accept", "")
    assert experienced.step("predict", "publish", DAY, prediction=done["predict"])["published"]
    assert experienced.sql(SHOWN, DAY) == [(False, True, False, 60)]


def test_monitoring_names_what_is_withheld_instead_of_missing(experienced: Mill) -> None:
    break_and_predict(experienced)
    with pytest.raises(NotPublished, match="withheld"):
        experienced.monitor(DAY)
    assert experienced.sql(OPEN, "missing") == []


def test_the_doctor_names_what_is_withheld(experienced: Mill) -> None:
    break_and_predict(experienced)
    runs = Withholding(experienced.workspace.connection(LEDGER)).runs(experienced.model)
    finding = check_withheld(experienced.model, runs)
    assert (str(finding.severity), DAY in finding.message, "weight_kg" in finding.message) == ("fail", True, True)
    assert str(check_withheld(experienced.model, ()).severity) == "ok"


def test_a_withheld_run_outlives_retention_and_a_discarded_one_does_not(experienced: Mill) -> None:
    break_and_predict(experienced)
    collect = (
        "SELECT tidemill.collect_prediction_run(prediction_run_id, status_since, 'A test.')"
        " FROM tidemill.prediction_run WHERE model = '{m}' AND partition = %s"
    )
    age = "UPDATE tidemill.prediction_run SET status_since = now() - interval '2 days' WHERE model = '{m}'"
    experienced.sql(age)
    assert experienced.sql(collect, DAY) == [("kept",)]
    by_hand(experienced, publish=False)
    experienced.sql(age)
    assert experienced.sql(collect, DAY) == [("collected",)]


def test_the_person_who_started_the_run_is_on_record(experienced: Mill) -> None:
    experienced.sql(BROKEN)
    prediction = experienced.predict_only(DAY)
    snapshot = experienced.extract("score", DAY)
    inputs = {"prediction": prediction.to_dict(), "snapshot": snapshot.to_dict()}
    run_step(
        "predict", "inspect", experienced.model, DAY, inputs, workspace=experienced.workspace,
        origin=Origin(requested_by="kim"),
    )  # fmt: skip
    assert find_withheld(experienced.workspace, experienced.spec, DAY).requested_by == "kim"
    assert [item.alert.rule for item in Alerts(experienced.workspace.connection(LEDGER)).open(experienced.model)] == [
        f"withheld:{DAY}"
    ]


def test_the_server_counts_scores_as_the_profile_does(serving: Mill) -> None:
    serving.predict(DAY)
    (run,) = [item for item in serving.publisher.published(serving.model) if item.partition == DAY]
    scores = serving.publisher.scores(run.prediction_run_id)["score"]
    middle = pa.chunked_array([scores.to_numpy()[10:50]])  # so that rows lie below, above, and on an edge
    (reference,) = build_profile(pa.table({"score": middle}), ["score"], [])
    job = Job(spec=serving.spec, partition=serving.spec.partition(DAY), workspace=serving.workspace, run_id=0)
    counted, expected = count_scores(job, run.prediction_run_id, reference), count_into(reference, scores)
    assert (counted.counts, counted.n, counted.minimum, counted.maximum) == (
        expected.counts, 60, expected.minimum, expected.maximum,
    )  # fmt: skip
    assert (counted.mean, counted.std) == pytest.approx((expected.mean, expected.std), rel=1e-12)


def test_the_server_counts_classes_as_the_profile_does(serving: Mill) -> None:
    serving.predict(DAY)
    (run,) = [item for item in serving.publisher.published(serving.model) if item.partition == DAY]
    counts = count_levels(serving.workspace.connection(LEDGER), run.prediction_run_id, "entity_key")
    assert counts == dict.fromkeys(counts, 1)
    assert len(counts) == 60


def test_without_the_release_s_reference_only_the_rows_are_counted(experienced: Mill) -> None:
    release = experienced.promoter.champion(experienced.model)
    assert release is not None
    file = experienced.workspace.storage / release.evidence["uri"] / "reference.json"
    text = file.read_text()
    file.unlink()
    try:
        done = break_and_predict(experienced)
    finally:
        file.write_text(text)
    assert done["publish"]["published"]
    assert "has no reference profile" in done["inspect"]["reasons"][-1]
