"""Rows that break an expectation of severity quarantine are set aside, and the others are published."""

import json
from collections.abc import Iterable

import numpy as np
import psycopg2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import ContractBroken, IncompletePublish, NotPublished, SchemaChanged
from tidemill.modeling.scorer import Scorer
from tidemill.operations.explain import explain_row
from tidemill.records import SnapshotRef
from tidemill.storage.layout import FEATURES
from tidemill.storage.store import Store
from tidemill.storage.tables import read_table
from tidemill.warehouse.overview import Overview
from tidemill.warehouse.predictions.trace import trace
from tidemill.workspace import SOURCE

from .data import PER_DAY, SCORED, SPEC, TRAINED, Mill

CONTRACT = """\
predict: {quarantine: {share: 0.1}}
contract:
  - expect_column_values_to_be_in_set: {column: carrier, value_set: [A, B, C], severity: quarantine}
  - expect_column_values_to_be_between: {column: weight_kg, max_value: 50, severity: quarantine}
"""
BAD = ("20240325-003", "20240325-017")
ALL = {f"20240325-{number:03}" for number in range(PER_DAY)}
HEAVY = "UPDATE {t} SET weight_kg = 99 WHERE parcel_id = ANY(%s)"
FIX = "UPDATE {t} SET weight_kg = 1, carrier = 'A' WHERE parcel_id = ANY(%s)"
RECORDS = (
    "SELECT entity_key, column_name, value FROM tidemill.quarantine WHERE model = '{m}' AND partition = %s"
    " ORDER BY entity_key, column_name"
)
COUNTS = (
    "SELECT r.n_extracted, r.n_rows, r.n_set_aside, s.n_rows, s.n_set_aside FROM tidemill.published p"
    " JOIN tidemill.prediction_run r USING (prediction_run_id)"
    " JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)"
    " WHERE p.model = '{m}' AND p.partition = %s"
)
VISIBLE_RECORDS = (
    "SELECT DISTINCT entity_key FROM tidemill.published p JOIN tidemill.quarantine q USING (prediction_run_id)"
    " WHERE p.model = '{m}' AND p.partition = %s"
)
ENTRIES = {
    "carrier": "\n  - expect_column_values_to_be_in_set: {column: carrier, value_set: [A, B, C], severity: quarantine}",
    "weight_kg": "\n  - expect_column_values_to_be_between: {column: weight_kg, max_value: 50, severity: quarantine}",
    "key": "\n  - expect_column_values_to_be_unique: {column: parcel_id, severity: quarantine}",
}
SHOWN = "SELECT n_rows, n_set_aside FROM tidemill.published_partition WHERE model = '{m}' AND partition = %s"


@pytest.fixture
def strict(serving: Mill) -> Mill:
    """A serving model whose contract sets rows aside."""
    serving.write(SPEC + CONTRACT)
    return serving


@pytest.fixture
def lacking(strict: Mill) -> Mill:
    """The same, with a published partition of which two rows are set aside, one of them for two reasons."""
    strict.sql(HEAVY, list(BAD))
    strict.sql("UPDATE {t} SET carrier = 'D' WHERE parcel_id = %s", BAD[0])
    strict.predict(SCORED)
    return strict


def named(numbers: Iterable[int]) -> list[str]:
    return [f"20240325-{number:03}" for number in numbers]


def keys(mill: Mill, day: str = SCORED) -> set[str]:
    return {row[0] for row in mill.sql("SELECT parcel_id FROM predictions.{m} WHERE partition = %s", day)}


def score_as_nan(monkeypatch: pytest.MonkeyPatch, *, where_weight_exceeds: int) -> None:
    """Let the model return no number for heavy parcels."""
    score = Scorer.score

    def broken(self: Scorer, batch: pa.RecordBatch) -> np.ndarray:
        scores = score(self, batch)
        weights = np.asarray(batch.column("weight_kg"))
        return np.where(weights > where_weight_exceeds, np.nan, scores)

    monkeypatch.setattr(Scorer, "score", broken)


# --- what is set aside


def test_broken_rows_are_set_aside_with_every_reason_and_the_others_are_published(lacking: Mill) -> None:
    assert lacking.sql(RECORDS, SCORED) == [
        (BAD[0], "carrier", "D"), (BAD[0], "weight_kg", "99"), (BAD[1], "weight_kg", "99"),
    ]  # fmt: skip
    assert keys(lacking) == ALL - set(BAD)
    assert lacking.sql(COUNTS, SCORED) == [(60, 58, 2, 58, 2)]


def test_rows_with_a_double_key_or_without_one_are_set_aside_before_the_key_is_checked(serving: Mill) -> None:
    """Rules about the key hold for the rows that are left."""
    entries = [
        "expect_column_values_to_be_unique: {column: parcel_id, severity: quarantine}",
        "expect_column_values_to_not_be_null: {column: parcel_id, severity: quarantine}",
    ]
    serving.write(
        SPEC + "predict: {quarantine: {share: 0.2}}\ncontract:\n" + "".join(f"  - {entry}\n" for entry in entries)
    )
    serving.sql("INSERT INTO {t} SELECT * FROM {t} WHERE parcel_id = %s", BAD[0])
    serving.sql("UPDATE {t} SET parcel_id = NULL WHERE parcel_id = %s", BAD[1])
    serving.predict(SCORED)
    assert serving.sql(COUNTS, SCORED) == [(61, 58, 3, 58, 3)]
    assert keys(serving) == ALL - set(BAD)
    assert serving.sql("SELECT entity_key FROM tidemill.quarantine WHERE model = '{m}' ORDER BY 1") == [
        (BAD[0],), (BAD[0],), (None,),
    ]  # fmt: skip


def test_without_broken_rows_the_snapshot_is_the_same_as_without_the_contract(serving: Mill) -> None:
    before = serving.extract("score", SCORED)
    serving.write(SPEC + CONTRACT)
    assert serving.extract("score", SCORED) == before


def test_more_rows_than_allowed_fail_the_run_and_name_what_they_break(strict: Mill) -> None:
    strict.sql(HEAVY, [f"20240325-{number:03}" for number in range(7)])
    with pytest.raises(ContractBroken, match=r"(?s)7 of 60 rows.*allows 6.*weight_kg: .*: 7 rows break it"):
        strict.predict(SCORED)
    assert strict.statuses(SCORED) == []


def test_the_number_of_rows_may_be_limited_too(strict: Mill) -> None:
    strict.write(SPEC + CONTRACT.replace("{share: 0.1}", "{share: 0.1, rows: 1}"))
    strict.sql(HEAVY, list(BAD))
    with pytest.raises(ContractBroken, match="allows 1"):
        strict.predict(SCORED)


def test_a_column_that_the_contract_needs_and_the_query_lacks_is_named(strict: Mill) -> None:
    strict.write(SPEC + CONTRACT.replace("column: weight_kg", "column: mass_kg"))
    with pytest.raises(SchemaChanged, match="mass_kg"):
        strict.predict(SCORED)


def test_the_results_of_the_contract_count_the_rows_set_aside(lacking: Mill) -> None:
    assert lacking.sql(
        "SELECT column_name, severity, success, n_unexpected, failure_cases FROM tidemill.check_result"
        " JOIN tidemill.run USING (run_id) WHERE model = '{m}' AND severity = 'quarantine' ORDER BY 1"
    ) == [("carrier", "quarantine", False, 1, ["D"]), ("weight_kg", "quarantine", False, 2, ["99"])]


def test_a_training_leaves_out_the_rows_that_scoring_leaves_out(strict: Mill) -> None:
    strict.sql(HEAVY, ["20240305-003", "20240310-017"])
    done = strict.train(shown=False)
    snapshot = SnapshotRef.from_dict(done["extract"])
    rows = read_table(Store.of(strict.workspace).path(snapshot.uri) / FEATURES, ["parcel_id"])
    assert not {"20240305-003", "20240310-017"} & set(rows["parcel_id"].to_pylist())
    assert (snapshot.n_set_aside, done["prepare"]["n_set_aside"]) == (2, 2)
    card = Store.of(strict.workspace).path(done["evaluate"]["bundle"]["uri"]) / "MODEL_CARD.md"
    assert "2 rows set aside by the contract" in card.read_text()


NUMBERS = st.sets(st.integers(0, PER_DAY - 1), max_size=15)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(["carrier", "weight_kg", "key"])), NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_rows_in_are_rows_published_and_rows_set_aside_whatever_the_contract_and_the_rows(
    strict: Mill, chosen: set[str], odd: set[int], heavy: set[int], unscored: set[int], twice: set[int]
) -> None:
    entries = [entry for name, entry in ENTRIES.items() if name in chosen]
    strict.write(SPEC + "predict: {quarantine: {share: 0.99}, withhold: null}\ncontract:" + ("".join(entries) or " []"))
    twice = twice if "key" in chosen else set()
    strict.sql("DELETE FROM {t} WHERE ctid NOT IN (SELECT min(ctid) FROM {t} GROUP BY parcel_id)")
    strict.sql("UPDATE {t} SET weight_kg = 1, carrier = 'A' WHERE parcel_id LIKE '20240325-%%'")
    for numbers, change in ((unscored, "weight_kg = 40"), (heavy, "weight_kg = 99"), (odd, "carrier = 'D'")):
        strict.sql(f"UPDATE {{t}} SET {change} WHERE parcel_id = ANY(%s)", named(numbers))
    strict.sql("INSERT INTO {t} SELECT * FROM {t} WHERE parcel_id = ANY(%s)", named(twice))
    broken = (odd if "carrier" in chosen else set()) | (heavy if "weight_kg" in chosen else set()) | twice
    undefined = (heavy | unscored) - broken
    with pytest.MonkeyPatch.context() as patch:
        score_as_nan(patch, where_weight_exceeds=30)
        strict.predict(SCORED)
    n_in, n_broken = PER_DAY + len(twice), len(broken) + len(twice)
    n_aside = n_broken + len(undefined)
    assert strict.sql(COUNTS, SCORED) == [(n_in, n_in - n_aside, n_aside, n_in - n_broken, n_broken)]
    aside = {key for (key,) in strict.sql(VISIBLE_RECORDS, SCORED)}
    assert (aside, keys(strict)) == (set(named(broken | undefined)), ALL - set(named(broken | undefined)))


# --- scores that are not numbers


def test_rows_whose_score_is_no_number_are_set_aside_with_the_others(
    strict: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict.sql(HEAVY, [BAD[0]])
    strict.sql("UPDATE {t} SET weight_kg = 40 WHERE parcel_id = %s", BAD[1])
    score_as_nan(monkeypatch, where_weight_exceeds=30)
    strict.predict(SCORED)
    assert strict.sql(RECORDS, SCORED) == [(BAD[0], "weight_kg", "99"), (BAD[1], "score", None)]
    assert strict.sql(COUNTS, SCORED) == [(60, 58, 2, 59, 1)]
    assert keys(strict) == ALL - set(BAD)


def test_both_kinds_count_towards_the_limit(strict: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    strict.write(SPEC + CONTRACT.replace("{share: 0.1}", "{share: 0.1, rows: 1}"))
    strict.sql(HEAVY, [BAD[0]])
    strict.sql("UPDATE {t} SET weight_kg = 40 WHERE parcel_id = %s", BAD[1])
    score_as_nan(monkeypatch, where_weight_exceeds=30)
    with pytest.raises(IncompletePublish, match=rf"not a number for 1 or more of 59 rows, such as \['{BAD[1]}'\]"):
        strict.predict(SCORED)


# --- what happens afterwards


def test_a_repetition_sets_the_same_rows_aside(lacking: Mill) -> None:
    before = lacking.sql(RECORDS, SCORED)
    lacking.predict(SCORED)
    runs = lacking.sql(
        "SELECT count(DISTINCT prediction_run_id), count(*) FROM tidemill.quarantine WHERE model = '{m}'"
    )
    assert runs == [(2, 2 * len(before))]
    assert lacking.sql(COUNTS, SCORED) == [(60, 58, 2, 58, 2)]


def test_shards_set_the_same_rows_aside(lacking: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking.sql("UPDATE {t} SET weight_kg = 40 WHERE parcel_id = '20240325-030'")
    score_as_nan(monkeypatch, where_weight_exceeds=30)
    lacking.predict(SCORED)
    whole = lacking.view(SCORED)
    lacking.write(SPEC + CONTRACT.replace("predict: {", "predict: {shard_rows: 13, "))
    release, snapshot = lacking.resolve(SCORED), lacking.extract("score", SCORED)
    edges = [(0, 13), (13, 26), (26, 58)]
    scores = [
        lacking.step(
            "predict", "score", SCORED, release=release.to_dict(), snapshot=snapshot.to_dict(),
            shard={"start": start, "stop": stop},
        )
        for start, stop in edges
    ]  # fmt: skip
    written = lacking.step(
        "predict", "predict", SCORED, release=release.to_dict(), snapshot=snapshot.to_dict(), scores=scores
    )
    assert (written["n_rows"], written["n_set_aside"]) == (57, 3)
    lacking.step("predict", "publish", SCORED, prediction=written)
    assert [row[:3] for row in lacking.view(SCORED)] == [row[:3] for row in whole]


def test_explain_and_trace_say_why_a_row_is_missing(lacking: Mill) -> None:
    url = lacking.workspace.connection(SOURCE)
    with pytest.raises(NotPublished, match=r"set aside: carrier: .*found 'D'; weight_kg: .*found '99'"):
        trace(url, lacking.model, BAD[0], SCORED)
    with pytest.raises(NotPublished, match="set aside"):
        explain_row(lacking.workspace, lacking.spec, BAD[0], SCORED)
    assert explain_row(lacking.workspace, lacking.spec, "20240325-004", SCORED).release_id


def test_a_corrected_source_is_scored_again_by_one_command(lacking: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in lacking.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    runner, command = CliRunner(), ["predict", lacking.model, "--partition", SCORED, "--quarantined"]
    assert "2 of partition 2024-03-25" in runner.invoke(app, ["history", lacking.model]).stderr
    first = runner.invoke(app, command)
    assert (first.exit_code, "2 of their rows are set aside" in first.stdout) == (0, True)
    lacking.sql(FIX, list(BAD))
    second = runner.invoke(app, command)
    assert "1 scored" in second.stdout
    assert "set aside" not in second.stdout
    assert keys(lacking) == ALL
    assert "0 scored" in runner.invoke(app, command).stdout  # nothing is set aside any more


def test_readers_of_the_ledger_see_how_many_are_set_aside(lacking: Mill) -> None:
    assert lacking.sql(SHOWN, SCORED) == [(58, 2)]
    details = Overview(lacking.workspace.connection(SOURCE)).model(lacking.model)
    assert details is not None
    assert [(item.n_rows, item.n_set_aside) for item in details.partitions] == [(58, 2)]


def test_many_rows_set_aside_withhold_the_run(strict: Mill) -> None:
    for day in ("2024-03-26", "2024-03-27", "2024-03-28", "2024-03-29"):
        strict.predict(day)
    strict.sql(HEAVY, [f"20240330-{number:03}" for number in range(3)])
    few = strict.predict("2024-03-30")  # 5 %: at the half of what is allowed, not beyond
    strict.sql(HEAVY, [f"20240330-{number:03}" for number in range(4)])
    many = strict.predict("2024-03-30")
    assert (few["inspect"]["verdict"], many["inspect"]["verdict"]) == ("accept", "reject")
    assert any("6.67 % of 60 rows are set aside" in reason for reason in many["inspect"]["reasons"])


def test_a_usual_share_withholds_nothing(strict: Mill) -> None:
    days = ("2024-03-25", "2024-03-26", "2024-03-27", "2024-03-28")
    strict.sql(HEAVY, [f"{day.replace('-', '')}-{number:03}" for day in days for number in range(4)])
    assert [strict.predict(day)["publish"]["published"] for day in days] == [True] * 4  # the past is too short to judge
    strict.sql(HEAVY, [f"20240329-{number:03}" for number in range(4)])
    assert strict.predict("2024-03-29")["inspect"]["verdict"] == "accept"


# --- the ledger's own guards


def as_writer(mill: Mill, statement: str, *values: object) -> None:
    connection = psycopg2.connect(mill.workspace.connection("tidemill"))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
    finally:
        connection.close()


def test_the_ledger_refuses_a_run_whose_rows_do_not_add_up(lacking: Mill) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation, match="rows_in_are_rows_out"):
        lacking.sql("UPDATE tidemill.prediction_run SET n_set_aside = 1 WHERE model = '{m}'")


def test_a_sealed_run_takes_no_more_rows_in_quarantine(lacking: Mill) -> None:
    ((run,),) = lacking.sql("SELECT prediction_run_id FROM tidemill.prediction_run WHERE model = '{m}'")
    with pytest.raises(psycopg2.errors.CheckViolation, match="is sealed"):
        as_writer(lacking, "SELECT tidemill.set_aside(%s, '{1}', '{k}', '{e}', '{c}', '{v}')", run)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        as_writer(lacking, "DELETE FROM tidemill.quarantine WHERE prediction_run_id = %s", run)


def test_a_row_that_is_neither_published_nor_set_aside_stops_the_run(
    lacking: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.steps.predict.predict._recorded", lambda job, snapshot: iter(()))
    with pytest.raises(IncompletePublish, match="has 60 rows to score, but 58 were written, and 0 were set aside"):
        lacking.predict(SCORED)


def test_records_go_with_the_rows_of_their_run(lacking: Mill) -> None:
    lacking.sql(FIX, list(BAD))
    lacking.predict(SCORED)
    age = (
        "UPDATE tidemill.prediction_run SET status_since = now() - interval '100 days' WHERE model = '{m}' RETURNING 1"
    )
    lacking.sql("ALTER TABLE tidemill.prediction_run DISABLE TRIGGER note_status")
    lacking.sql(age)
    lacking.sql("ALTER TABLE tidemill.prediction_run ENABLE TRIGGER note_status")
    collected = lacking.sql(
        "SELECT tidemill.collect_prediction_run(prediction_run_id, status_since, 'old') FROM tidemill.prediction_run"
        " WHERE model = '{m}' AND status = 'superseded'"
    )
    assert collected == [("collected",)]
    assert lacking.sql("SELECT count(*) FROM tidemill.quarantine WHERE model = '{m}'") == [(0,)]
    assert lacking.sql("SELECT n_set_aside FROM tidemill.prediction_run WHERE model = '{m}' ORDER BY 1") == [(0,), (2,)]


def test_reproduction_finds_the_same_rows(strict: Mill) -> None:
    strict.sql(HEAVY, ["20240305-003", BAD[0]])
    trained = strict.train(shown=False)
    strict.predict(SCORED)
    ((run,),) = strict.sql("SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}'")
    done = strict.step("reproduce", "reproduce", TRAINED, release=trained["register"]["release_id"], prediction_run=run)
    found = {item["step"]: item["verdict"] for item in done["steps"]}
    assert (found["extract"], found["extract_rows"], found["predict"]) == ("bit_equal",) * 3, json.dumps(done)


def test_monitoring_does_not_miss_the_rows_set_aside(lacking: Mill) -> None:
    for day in ("2024-03-26", "2024-03-27"):
        lacking.predict(day)
    done = lacking.monitor("2024-03-27")
    assert not [alert for alert in done["performance"]["alerts"] if alert["rule"].startswith(("skew", "label"))]
