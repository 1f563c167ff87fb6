"""What a row may answer, by task: what Postgres refuses, what readers see, what the checksum covers."""

import itertools
import json
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pyarrow as pa
import pytest

from tidemill.errors import IncompletePublish
from tidemill.postgres.cluster import ADMIN
from tidemill.records import PredictionRef
from tidemill.warehouse.migrations import apply_migrations
from tidemill.warehouse.predictions.rows import ScoredRows
from tidemill.warehouse.predictions.trace import trace
from tidemill.warehouse.statements import sql_folder

from .data import SCORED, Mill

AT = datetime(2024, 3, 25, 12, tzinfo=UTC)
REASONS = json.dumps([{"feature": "weight_kg", "value": 1.5, "contribution": -0.25}])


def rows(**answers: list[Any]) -> pa.Table:
    n_rows = len(answers["score"])
    columns: dict[str, Any] = {
        "entity_key": [f"k{number}" for number in range(n_rows)],
        "event_time": pa.array([AT] * n_rows, pa.timestamp("us", "UTC")),
    }
    kinds = {"predicted": pa.string(), "probabilities": pa.json_(), "reasons": pa.json_()}
    for name, values in answers.items():
        kind = kinds.get(name, pa.float64())
        columns[name] = (
            pa.ExtensionArray.from_storage(kind, pa.array(values, pa.string()))
            if isinstance(kind, pa.JsonType)
            else pa.array(values, kind)
        )
    return pa.table(columns)


def write(mill: Mill, task: str, table: pa.Table) -> PredictionRef:
    release, snapshot, run_id = mill.resolve(), mill.extract("score", SCORED), mill.start_run()
    mill.publisher.declare(mill.model, "parcel_id", "shipped_at", task)
    snapshot = replace(snapshot, digest=f"{table.num_rows:064x}", n_rows=table.num_rows)
    mill.ledger.record_snapshot(snapshot, run_id)
    return mill.publisher.write(
        release,
        snapshot,
        ScoredRows(published=table.to_batches()),
        token=release.token,
        threshold=None,
        run_id=run_id,
    )


def one_class(score: float = 0.7, predicted: str | None = "late", probabilities: str | None = None) -> pa.Table:
    return rows(score=[score], predicted=[predicted], probabilities=[probabilities or '{"late": 0.7, "on_time": 0.3}'])


# --- what Postgres refuses


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probability_beyond_0_and_1_is_refused(serving: Mill, task: str, score: float) -> None:
    table = rows(score=[score]) if task == "binary" else one_class(score)
    with pytest.raises(IncompletePublish, match=f"answers_{task}"):
        write(serving, task, table)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_regression_that_is_not_a_number_is_refused(serving: Mill, score: float) -> None:
    with pytest.raises(IncompletePublish, match="answers_regression"):
        write(serving, "regression", rows(score=[score]))


@pytest.mark.parametrize(
    ("low", "high"), [(2.0, 1.0), (1.0, None), (None, 1.0), (math.nan, 1.0), (1.0, math.nan), (1.0, math.inf)]
)
def test_interval_that_is_none_is_refused(serving: Mill, low: float | None, high: float | None) -> None:
    with pytest.raises(IncompletePublish, match="answers_regression"):
        write(serving, "regression", rows(score=[1.0], low=[low], high=[high]))


def test_value_may_lie_outside_of_its_interval(serving: Mill) -> None:
    assert write(serving, "regression", rows(score=[-250.0], low=[1.0], high=[1.0])).n_rows == 1


@pytest.mark.parametrize("table", [rows(score=[0.5]), one_class(predicted=None), one_class(probabilities='{"x": 1}')])
def test_class_without_its_probability_is_refused(serving: Mill, table: pa.Table) -> None:
    with pytest.raises(IncompletePublish, match="answers_multiclass"):
        write(serving, "multiclass", table)


def test_task_that_is_none_is_refused(serving: Mill) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        serving.publisher.declare(serving.model, "parcel_id", "shipped_at", "ranking")


# --- what readers see


@pytest.mark.parametrize(
    ("task", "table", "columns", "expected"),
    [
        ("binary", rows(score=[0.25], reasons=[REASONS]), "score, reasons", (0.25, json.loads(REASONS))),
        ("multiclass", one_class(), "predicted_label, score, probabilities, reasons",
         ("late", 0.7, {"late": 0.7, "on_time": 0.3}, None)),
        ("regression", rows(score=[151.5], low=[140.0], high=[160.25], reasons=[REASONS]),
         "prediction, low, high, reasons", (151.5, 140.0, 160.25, json.loads(REASONS))),
    ],
)  # fmt: skip
def test_view_has_the_columns_of_the_task(
    serving: Mill, task: str, table: pa.Table, columns: str, expected: tuple[Any, ...]
) -> None:
    serving.publisher.publish(write(serving, task, table))
    assert serving.view(columns=columns) == [expected]


def test_rows_of_another_task_are_not_shown_as_answers(serving: Mill) -> None:
    serving.publisher.publish(write(serving, "regression", rows(score=[0.5])))
    serving.publisher.declare(serving.model, "parcel_id", "shipped_at", "binary")
    assert serving.view() == []


def test_scores_give_the_answers_that_were_asked_for(serving: Mill) -> None:
    written = write(serving, "multiclass", one_class())
    scores = serving.publisher.scores(written.prediction_run_id, ("predicted", "probabilities", "low"))
    (row,) = scores.to_pylist()
    assert json.loads(row.pop("probabilities")) == {"late": 0.7, "on_time": 0.3}
    assert row == {"entity_key": "k0", "score": 0.7, "predicted": "late", "low": None}


@pytest.mark.parametrize(
    ("task", "table", "answer"),
    [
        ("binary", rows(score=[0.25]), {"score": 0.25, "predicted_label": None, "reasons": None}),
        ("multiclass", one_class(), {"predicted_label": "late", "score": 0.7, "reasons": None,
                                     "probabilities": {"late": 0.7, "on_time": 0.3}}),
        ("regression", rows(score=[151.5], low=[140.0], high=[160.25]),
         {"prediction": 151.5, "low": 140.0, "high": 160.25, "reasons": None}),
    ],
)  # fmt: skip
def test_trace_shows_the_answer_of_the_task(
    warehouse: Any, serving: Mill, task: str, table: pa.Table, answer: dict[str, Any]
) -> None:
    serving.publisher.publish(write(serving, task, table))
    found = trace(warehouse.url("tidemill_reader"), serving.model, "k0", SCORED)
    names = {"score", "prediction", "predicted_label", "probabilities", "low", "high", "reasons"}
    assert {name: value for name, value in found.items() if name in names} == answer


# --- what the checksum covers


CHANGES: dict[str, list[Any]] = {
    "score": [1.0, 2.0], "low": [0.5, 0.25], "high": [3.0, 4.0], "reasons": [REASONS, None],
    "predicted": ["a", "b"], "probabilities": ['{"a": 1}', '{"a": 0.5}'],
}  # fmt: skip


@pytest.mark.parametrize("column", list(CHANGES))
def test_every_answer_counts_in_the_checksum(serving: Mill, column: str) -> None:
    base = {name: [values[0]] for name, values in CHANGES.items()}
    tables = (rows(**{**base, column: [value]}) for value in CHANGES[column])
    one, other = (write(serving, "regression", table).checksum for table in tables)
    assert one != other


def test_checksum_tells_low_from_high_and_null_from_nothing(serving: Mill) -> None:
    answers = [(None, None), ("", None), (None, ""), ("", "")]
    found = serving.sql(
        "SELECT "
        + ", ".join(
            f"tidemill.answer_hash('k', 1, {'NULL' if predicted is None else repr(predicted)}, NULL, "
            f"{'NULL' if low is None else '0'}, {'NULL' if low is not None else '0'}, NULL)"
            for predicted, low in answers
        )
    )[0]
    assert len(set(found)) == len(answers)


def test_order_of_rows_does_not_count(serving: Mill) -> None:
    table = rows(score=[1.0, 2.0, 3.0], low=[0.0, None, 1.0], high=[4.0, None, 4.0])
    checksums = {
        write(serving, "regression", table.take(list(order))).checksum for order in itertools.permutations(range(3))
    }
    assert len(checksums) == 1


# --- a database from before there were tasks


PUBLISHED = """
INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest, uri, n_rows,
    size_bytes) VALUES (repeat('0', 64), 'old', 'score', 'p', '2024-03-01Z', '2024-03-02Z', '2024-03-01Z', '', '', 2, 0);
INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence)
    VALUES ('old', 'p', 'accept', 'accept', '{}', '{}');
INSERT INTO tidemill.release (model, bundle_digest, bundle_uri, snapshot_digest, split_digest, partition, estimator, metric,
    metric_value, evidence, decision_id, learnt_until, known_until, spec_digest, code_version, lock_digest)
    VALUES ('old', repeat('0', 64), '', repeat('0', 64), '', 'p', 'prior', 'roc_auc', 1, '{}', 1, now(), now(), '', '', '');
SELECT tidemill.declare_model('old', 'id', 'at');
SELECT tidemill.open_prediction_run('old', 'p', 1, repeat('0', 64), 1, 0.5, false, NULL);
INSERT INTO tidemill.prediction_run_1 (entity_key, event_time, score) VALUES ('a', now(), 0.2), ('b', now(), 0.8);
SELECT tidemill.seal_prediction_run(1);
INSERT INTO tidemill.published (model, partition, prediction_run_id) VALUES ('old', 'p', 1);
CREATE VIEW public.of_an_analyst AS SELECT id, predicted_label FROM predictions.old;
"""


@pytest.fixture
def old_ledger(warehouse: Any) -> Iterator[str]:
    """The owner's connection to a database of its own, empty."""
    admin = psycopg2.connect(
        host="127.0.0.1",
        port=warehouse.port,
        user=ADMIN,
        dbname="postgres",
        password=warehouse.password(ADMIN),
    )
    admin.autocommit = True
    with closing(admin), admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE before_tasks OWNER tidemill_owner")
        word = quote(warehouse.password("tidemill_owner"))
        yield f"postgresql://tidemill_owner:{word}@127.0.0.1:{warehouse.port}/before_tasks"
        cursor.execute("DROP DATABASE before_tasks")


def test_database_from_before_tasks_is_brought_up_to_date(old_ledger: str, tmp_path: Path) -> None:
    for path in sql_folder("migrations").glob("*.sql"):
        if path.name < "0004":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    apply_migrations(old_ledger, tmp_path)
    with closing(psycopg2.connect(old_ledger)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(PUBLISHED)
    apply_migrations(old_ledger)
    with closing(psycopg2.connect(old_ledger)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, score, predicted_label, reasons FROM predictions.old ORDER BY id")
        assert cursor.fetchall() == [("a", 0.2, False, None), ("b", 0.8, True, None)]
        cursor.execute("SELECT * FROM public.of_an_analyst ORDER BY id")
        assert cursor.fetchall() == [("a", False), ("b", True)]
        cursor.execute(
            "SELECT r.task, r.checksum = to_hex(bit_xor(tidemill.answer_hash(p.entity_key, p.score, p.predicted,"
            " p.probabilities, p.low, p.high, p.reasons))) FROM tidemill.prediction_run r"
            " JOIN tidemill.prediction p USING (prediction_run_id) GROUP BY r.task, r.checksum"
        )
        assert cursor.fetchall() == [("binary", True)]
