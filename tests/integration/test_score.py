"""The ML Test Score of a small model with evidence for all it can have, and what is lost when one row says otherwise."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import psycopg2
import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.operations.rollback import promote_by_hand
from tidemill.records import ModelTest, ModelTests, Outcome, Scorecard, ScoreLine
from tidemill.runtime.run import run_step
from tidemill.score import read_scorecard
from tidemill.versions import code_version
from tidemill.warehouse.connections import Cursor, transaction
from tidemill.warehouse.ledger import Cost, NewRun, Origin
from tidemill.warehouse.overview import Overview

from .data import LAST, SPEC, TRAINED, Mill

NUMBERS = {"way": "p.distance_km + p.n_stops", "rush": "p.queue_h + p.wind_ms", "effort": "p.rain_mm + p.driver_h"}
COLUMNS = ("carrier", *NUMBERS)
FEATURES = f"""\
SELECT p.parcel_id, p.shipped_at, {", ".join(f"{formula} AS {name}" for name, formula in NUMBERS.items())},
       CASE WHEN p.weight_kg + coalesce(p.n_parcels, 0) > 0.6 THEN 'A'
            WHEN p.weight_kg + coalesce(p.n_parcels, 0) > -0.6 THEN 'B' ELSE 'C' END AS carrier
FROM shop.{{model}} p
WHERE p.shipped_at >= CAST(:start AS timestamptz) AND p.shipped_at < CAST(:end AS timestamptz)
"""
"""Two causes in each feature, so that each is clearly beneficial."""
CONTRACT = "\n".join(f"  - expect_column_values_to_not_be_null: {{column: {name}, severity: warn}}" for name in COLUMNS)
ATTESTED = ("feature_cost", "privacy", "staleness", "inclusion")
ATTEST = "\n".join(
    f"  {name}: {{by: jo@example.com, signed: 2000-01-01, until: 2000-12-31, says: looked at by hand}}"
    for name in ATTESTED
)
FULL = (
    SPEC.replace("[logistic_regression]", "[logistic_regression], search: {trials: 2, folds: 2}").replace(
        "slices: [carrier]", "slices: [carrier], approval: manual"
    )
    + f"features: {{numeric: [{', '.join(NUMBERS)}], categorical: [carrier], policy: {{denied_columns: [late]}}}}\n"
    f"contract:\n{CONTRACT}\nattest:\n{ATTEST}\n"
)
HALVES = {*ATTESTED, "canary"}
"""Lines for which the platform can show half a point at most."""
EVIDENCE = "UPDATE tidemill.judgement SET evidence = {} WHERE model = '{{m}}'"


def in_evidence(path: str, value: str) -> str:
    """Return the statement that changes a value in every judgement of the model."""
    return EVIDENCE.format(f"jsonb_set(evidence, '{path}', {value})")


def newest(part: str, name: str) -> str:
    """Return the condition of the newest figures of one name."""
    own = f"model = '{{m}}' AND part = '{part}' AND name = '{name}'"
    return f"{own} AND run_id = (SELECT max(run_id) FROM tidemill.metric WHERE {own})"


FALSIFICATIONS = {
    "feature_schema": "DELETE FROM tidemill.check_result WHERE column_name = 'carrier' AND snapshot_digest IN "
    "(SELECT snapshot_digest FROM tidemill.release WHERE model = '{m}')",
    "feature_benefit": in_evidence("{importance,0,low}", "'-0.1'"),
    "feature_policy": "UPDATE tidemill.run SET status = 'failed' WHERE model = '{m}' AND chain = 'train' AND step = 'extract'",
    "feature_lead_time": "UPDATE tidemill.document SET recorded_at = recorded_at - interval '31 days' "
    "WHERE kind = 'queries' AND digest IN (SELECT query_digest FROM tidemill.snapshot WHERE model = '{m}')",
    "feature_code": "UPDATE tidemill.run SET status = 'failed' WHERE model = '{m}' AND step = 'prepare'",
    "spec_review": "UPDATE tidemill.judgement SET code_version = code_version || '+dirty' WHERE model = '{m}'",
    "offline_online": "UPDATE tidemill.metric SET value = 0.1, low = 0.1, high = 0.1 WHERE "
    + newest("performance", "roc_auc_recent"),
    "tuning": in_evidence("{bundle,search}", "'null'"),
    "simpler_model": in_evidence("{baselines,0,low}", "'-0.1'"),
    "slices": in_evidence("{slice_search,weak}", "'[{}]'"),
    "reproducibility": "UPDATE tidemill.reproduction SET steps = jsonb_set(steps, '{4,verdict}', '\"different\"') "
    "WHERE model = '{m}'",
    "spec_tests": in_evidence("{behaviour,0,passed}", "'false'"),
    "integration_test": "UPDATE tidemill.reproduction SET steps = steps - 5 WHERE model = '{m}'",
    "validation": "WITH forced AS (INSERT INTO tidemill.deployment (model, release_id, kind, live_from, approved_by, reason) "
    "SELECT model, release_id, 'force', now(), 'jo', '' FROM tidemill.champion WHERE model = '{m}' RETURNING *) "
    "UPDATE tidemill.champion c SET deployment_id = forced.deployment_id FROM forced WHERE c.model = forced.model",
    "debugging": in_evidence("{explained,passed}", "'false'"),
    "canary": in_evidence("{rehearsal,n_different}", "'1'"),
    "rollback": "UPDATE tidemill.run SET result = jsonb_set(result, '{tests,-1,outcome}', '\"skipped\"') "
    "WHERE model = '{m}' AND step = 'run_tests'",
    "dependencies": "UPDATE tidemill.examination SET parts = array_remove(parts, 'freshness') WHERE model = '{m}'",
    "invariants": "DELETE FROM tidemill.metric WHERE model = '{m}' AND part = 'freshness' AND name = 'n_rows'",
    "skew": f"UPDATE tidemill.metric SET value = 0.02 WHERE {newest('skew', 'skew_rows')}",
    "model_age": f"UPDATE tidemill.metric SET value = 61 WHERE {newest('freshness', 'age_days')} AND slice = 'of=model'",
    "stability": "UPDATE tidemill.prediction_run SET checksum = NULL WHERE model = '{m}'",
    "compute": f"DELETE FROM tidemill.metric WHERE {newest('compute', 'wall_s_ratio')}",
    "quality": "UPDATE tidemill.examination SET parts = array_remove(parts, 'performance') WHERE model = '{m}'",
}
"""A change of one kind of row that takes points from one line."""


@pytest.fixture(scope="module")
def full(new_mill: Callable[[], Mill]) -> Iterator[Mill]:
    """A model with all the evidence that the platform can record; tests change it in transactions that are undone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEMILL_CODE_VERSION", "1.0.0-0123456789ab")
        code_version.cache_clear()
        mill = new_mill()
        signed_today(mill)
        trained = mill.train()
        first = trained["register"]["release_id"]
        promote_by_hand(mill.spec, mill.workspace, first, force=False, approved_by="reviewer", reason="Looks right.")
        for day in range(24, 31):
            mill.predict(f"2024-03-{day}")
        mill.monitor(LAST)
        weekly = Origin(dag_id=f"{mill.model}_reproduce", dag_run_id="scheduled__2024-03-24")
        run_step(
            "reproduce", "reproduce", mill.model, TRAINED, {"release": first}, workspace=mill.workspace, origin=weekly
        )
        second = mill.register(trained, bundle_digest="f" * 64)
        mill.promote(second, first)
        mill.promoter.rollback(mill.model, None, approved_by="jo", reason="A drill.")
        record_tests(mill)
        yield mill
    code_version.cache_clear()


def record_tests(mill: Mill) -> None:
    """Record tests that the schedule has run; test_model_tests.py runs some."""
    names = ("behaviour", "rollback_returns_the_rows_of_the_earlier_champion")
    tests = tuple(ModelTest(name=name, outcome=Outcome.PASSED) for name in names)
    run_id = mill.ledger.start_run(
        NewRun(
            model=mill.model,
            chain="test",
            step="run_tests",
            partition=TRAINED,
            origin=Origin(dag_id=f"{mill.model}_test", dag_run_id="scheduled__2024-03-24"),
            code_version=code_version(),
            spec_digest=mill.spec.digest,
            lock_digest="0" * 64,
        )
    )
    done = ModelTests(model=mill.model, partition=TRAINED, tests=tests)
    cost = Cost(wall_s=1, cpu_s=1, peak_rss_bytes=1)
    mill.ledger.end_run(run_id, cost, error=None, result=done.to_dict(), n_rows=None)


def signed_today(mill: Mill) -> None:
    """Write the spec with attestations that the ledger's clock accepts."""
    ((first, last),) = mill.sql(
        "SELECT to_char(now() - interval '2 days', 'YYYY-MM-DD'), to_char(now() + interval '9 days', 'YYYY-MM-DD')"
    )
    mill.write(FULL.replace("2000-01-01", first).replace("2000-12-31", last), features=FEATURES)


@contextmanager
def undone(mill: Mill) -> Iterator[Cursor]:
    """Open a transaction of the owner in which append-only tables may be changed; nothing of it stays."""
    connection = psycopg2.connect(mill.owner_url)
    try:
        with connection.cursor() as cursor:
            for table in ("judgement", "deployment", "reproduction", "document", "decision", "registration"):
                cursor.execute(f"ALTER TABLE tidemill.{table} DISABLE TRIGGER USER")
            yield cursor
    finally:
        connection.rollback()
        connection.close()


def points(card: Scorecard) -> dict[str, float]:
    return {line.line.value: line.points for line in card.lines}


def run(cursor: Cursor, mill: Mill, statement: str) -> None:
    cursor.execute(statement.replace("{m}", mill.model))
    assert cursor.rowcount > 0


def test_a_model_with_all_evidence_has_all_points_that_the_platform_can_show(full: Mill) -> None:
    with transaction(full.workspace.connection("warehouse")) as cursor:
        card = read_scorecard(cursor, full.spec)
    found = {line.line.value: (line.points, line.reason) for line in card.lines}
    assert {name: value for name, (value, _) in found.items()} == {
        line.value: 0.5 if line in HALVES else 1 for line in ScoreLine
    }, json.dumps(found, indent=1)
    assert card.points == {"data": 6, "model": 6, "infrastructure": 6.5, "monitoring": 7}
    assert card.score == 6
    assert all(line.evidence for line in card.lines if line.line not in ATTESTED)
    assert Scorecard.from_dict(card.to_dict()) == card


@pytest.mark.parametrize("name", [line.value for line in ScoreLine])
def test_evidence_that_says_otherwise_costs_exactly_its_line(full: Mill, name: str) -> None:
    spec = full.spec
    with undone(full) as cursor:
        before = points(read_scorecard(cursor, spec))
        if name in ATTESTED:
            spec = spec.model_copy(update={"attest": {key: item for key, item in spec.attest.items() if key != name}})
        else:
            run(cursor, full, FALSIFICATIONS[name])
        after = points(read_scorecard(cursor, spec))
    assert {key for key in before if after[key] != before[key]} == {name}
    assert after[name] < before[name]


def test_every_line_is_falsified() -> None:
    assert {*FALSIFICATIONS, *ATTESTED} == set(ScoreLine)


@pytest.mark.parametrize(("gaps", "expected"), [("[]", 0.5), ('[{"slice": "sex=f"}]', 1)])
def test_gaps_between_groups_count_once_an_evaluation_has_them(full: Mill, gaps: str, expected: float) -> None:
    with undone(full) as cursor:
        run(cursor, full, in_evidence("{gaps}", f"'{gaps}'"))
        assert points(read_scorecard(cursor, full.spec))["inclusion"] == expected  # half a point is the attestation's


@pytest.mark.parametrize(
    ("features", "n_idle", "expected"),
    [(COLUMNS, 0, 1), (COLUMNS, 3, 0.5), (COLUMNS[1:], 0, 0.5)],
    ids=["all gain", "one has not gained for long", "one is in no group"],
)
def test_cost_of_features_counts_once_groups_hold_all_of_them(
    full: Mill, features: tuple[str, ...], n_idle: int, expected: float
) -> None:
    groups = json.dumps([{"features": features, "n_idle": n_idle}])
    without = full.spec.model_copy(update={"attest": {}})
    with undone(full) as cursor:
        assert points(read_scorecard(cursor, without))["feature_cost"] == 0
        run(cursor, full, in_evidence("{feature_groups}", f"'{groups}'"))
        assert points(read_scorecard(cursor, without))["feature_cost"] == expected


def test_a_champion_that_has_won_in_the_shadow_is_canaried(full: Mill) -> None:
    with undone(full) as cursor:
        run(
            cursor,
            full,
            "INSERT INTO tidemill.shadow (model, release_id, against, role, decision_id, starts_at, ends_at, margin, state, "
            "ended_at) SELECT r.model, r.release_id, (SELECT max(release_id) FROM tidemill.registration WHERE model = '{m}'), "
            "'challenger', r.decision_id, now(), now() + interval '1 day', 0, 'won', now() "
            "FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = '{m}'",
        )
        assert points(read_scorecard(cursor, full.spec))["canary"] == 1


OF_TESTS = "UPDATE tidemill.run SET {} WHERE model = '{{m}}' AND step = 'run_tests'"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("dag_run_id = 'manual__1'", {"spec_tests": 0.5, "rollback": 0.5}),
        ("ended_at = ended_at - interval '91 days'", {"spec_tests": 0.5, "rollback": 1}),
        ("ended_at = ended_at - interval '366 days'", {"spec_tests": 0.5, "rollback": 0.5}),
        ("result = jsonb_set(result, '{tests,0,outcome}', '\"failed\"')", {"spec_tests": 0, "rollback": 1}),
        ("result = jsonb_set(result, '{tests,-1,outcome}', '\"failed\"')", {"spec_tests": 0, "rollback": 0}),
        ("status = 'failed'", {"spec_tests": 0.5, "rollback": 0.5}),
    ],
    ids=["by hand", "a quarter old", "a year old", "a test failed", "the drill failed", "not completed"],
)
def test_tests_of_the_model_count_by_who_ran_them_when_and_how_they_ended(
    full: Mill, change: str, expected: dict[str, float]
) -> None:
    with undone(full) as cursor:
        run(cursor, full, OF_TESTS.replace("{}", change, 1).replace("{{m}}", "{m}"))
        after = points(read_scorecard(cursor, full.spec))
    assert {name: after[name] for name in expected} == expected


def test_monitoring_records_the_score_and_the_console_reads_it(full: Mill) -> None:
    ((result,),) = full.sql(
        "SELECT result FROM tidemill.run WHERE model = '{m}' AND step = 'report' ORDER BY run_id DESC LIMIT 1"
    )
    found = Overview(full.workspace.connection("warehouse")).model(full.model)
    assert found is not None
    assert found.score is not None
    assert (
        found.score.points == result["ml_test_score"] == {"data": 6, "model": 6, "infrastructure": 3, "monitoring": 7}
    )
    assert (found.score.partition, found.score.score) == (
        LAST,
        3,
    )  # nothing had been rebuilt, tested and rolled back by then


def test_the_card_has_the_score_of_the_day_of_its_registration(full: Mill) -> None:
    (card,) = (full.workspace.storage / full.model).glob("bundles/*/MODEL_CARD.md")
    assert "| ML Test Score | 0 of 7 when the release was registered" in card.read_text(encoding="utf-8")


def test_the_command_shows_every_line_with_its_evidence(full: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_MODELS", str(full.workspace.models))
    monkeypatch.setenv("TIDEMILL_STORAGE", str(full.workspace.storage))
    monkeypatch.setenv("TIDEMILL_CONN_WAREHOUSE", full.workspace.connection("warehouse"))
    lines = list(csv.DictReader(StringIO(CliRunner().invoke(app, ["score", full.model]).stdout), delimiter="\t"))
    assert [row["line"] for row in lines] == [line.value for line in ScoreLine]
    shown = {row["line"]: row for row in lines}
    assert re.fullmatch(r"reproduction \d+ of \d{4}-\d\d-\d\d", shown["reproducibility"]["evidence"])
    assert (shown["canary"]["points"], shown["privacy"]["evidence"]) == ("0.5", "-")
    card = json.loads(CliRunner().invoke(app, ["score", full.model, "--json"]).stdout)
    assert (card["score"], len(card["lines"])) == (6, 28)


def test_a_newer_figure_of_another_name_does_not_hide_the_rows_that_were_compared(full: Mill) -> None:
    with undone(full) as cursor:
        before = points(read_scorecard(cursor, full.spec))
        run(
            cursor,
            full,
            "INSERT INTO tidemill.metric (model, partition, part, release_id, as_of, run_id, name, value) "
            "SELECT model, '2024-03-31', part, release_id, as_of, run_id, 'log_loss_change', 0 FROM tidemill.metric "
            "WHERE model = '{m}' AND part = 'skew' LIMIT 1",
        )
        assert points(read_scorecard(cursor, full.spec)) == before


@pytest.mark.parametrize(("age", "expected"), [(7, 0.5), (30, 1)])
def test_releases_compared_at_an_age_count_for_staleness(full: Mill, age: int, expected: float) -> None:
    spec = full.spec.model_copy(update={"attest": {}})
    with undone(full) as cursor:
        before = points(read_scorecard(cursor, spec))
        run(
            cursor,
            full,
            "INSERT INTO tidemill.metric (model, partition, part, name, slice, value, as_of, run_id) "
            f"SELECT model, partition, 'staleness', 'staleness_loss', 'age={age}', 0.01, now(), max(run_id) "
            "FROM tidemill.metric WHERE model = '{m}' GROUP BY model, partition ORDER BY partition LIMIT 5",
        )
        after = points(read_scorecard(cursor, spec))
        run(cursor, full, "DELETE FROM tidemill.metric WHERE model = '{m}' AND part = 'staleness'")
        assert points(read_scorecard(cursor, spec)) == before
    assert (before["staleness"], after["staleness"]) == (0, expected)
