"""Upgrading a ledger that is in use: what was published before a migration is what readers see after it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tidemill.doctor.ledger import check_migrations, check_rights
from tidemill.postgres.cluster import ADMIN
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.migrations import apply_migrations
from tidemill.warehouse.statements import sql_folder

from .conftest import PROJECT, Warehouse

OWNER = "tidemill_owner"
DAYS = ("2024-03-24", "2024-03-25")

JUDGEMENTS = "0015"  # until then a release was one row with one judgement
LEDGER = """
INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest, uri, n_rows,
    size_bytes) VALUES (repeat('0', 64), 'old', 'score', '-', '2024-03-24Z', '2024-03-25Z', '2024-03-24Z', '', '', 2, 0);
INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence)
    VALUES ('old', '-', 'accept', 'accept', '{}', '{}');
INSERT INTO tidemill.release (model, bundle_digest, bundle_uri, snapshot_digest, split_digest, partition, estimator,
    metric, metric_value, evidence, decision_id, learnt_until, known_until, spec_digest, code_version, lock_digest)
    VALUES ('old', repeat('0', 64), '', repeat('0', 64), '', '-', 'prior', 'roc_auc', 1, '{}', 1, '2024-03-01Z',
            '2024-03-01Z', '', '', '');
SELECT tidemill.declare_model('old', 'row_id', 'at')
"""


class Old:
    """A database whose ledger has the migrations before a given one, and two published days."""

    def __init__(self, warehouse: Warehouse, folder: Path, before: str) -> None:
        self.url = f"postgresql://{OWNER}:{warehouse.password(OWNER)}@127.0.0.1:{warehouse.port}/{folder.name[:40]}"
        self.migrate(folder, min(before, JUDGEMENTS))
        self.run(LEDGER)
        self.migrate(folder, before)
        for token, day in enumerate((*DAYS, DAYS[0])):  # the first day twice
            self.publish(day, token)

    def migrate(self, folder: Path, before: str) -> None:
        for path in sql_folder("migrations").glob("*.sql"):
            if path.name < before:
                shutil.copy(path, folder)
        apply_migrations(self.url, folder)

    def run(self, statement: str, *values: object) -> list[tuple]:
        connection = psycopg2.connect(self.url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def publish(self, day: str, token: int) -> None:
        ((number,),) = self.run(
            "SELECT tidemill.open_prediction_run('old', %s, 1, repeat('0', 64), %s, 0.5, false, NULL)", day, token
        )
        self.run(
            f"INSERT INTO tidemill.prediction_run_{number} (entity_key, event_time, score)"
            f" VALUES ('a', '{day}Z', 0.25), ('b', '{day}Z', 0.{token + 5})"
        )
        self.run("SELECT tidemill.seal_prediction_run(%s)", number)
        self.run(
            "INSERT INTO tidemill.published (model, partition, prediction_run_id) VALUES ('old', %s, %s)"
            " ON CONFLICT (model, partition) DO UPDATE SET prediction_run_id = excluded.prediction_run_id",
            day,
            number,
        )

    def shown(self) -> list[tuple]:
        return self.run("SELECT partition, row_id, at, score, prediction_run_id FROM predictions.old ORDER BY 1, 2")


NEWEST = max(path.name for path in sql_folder("migrations").glob("[0-9]*.sql"))


@pytest.fixture(params=["0005", NEWEST])
def old(warehouse: Warehouse, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Old]:
    """The first ledger that had one table for all rows, and that of the version before this one."""
    folder = tmp_path / "upgraded"
    folder.mkdir()
    admin = psycopg2.connect(
        host="127.0.0.1", port=warehouse.port, user=ADMIN, dbname="postgres", password=warehouse.password(ADMIN)
    )
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE upgraded OWNER {OWNER}")
        yield Old(warehouse, folder, before=request.param)
        cursor.execute("DROP DATABASE upgraded WITH (FORCE)")
    admin.close()


def test_published_rows_outlive_the_upgrade(old: Old) -> None:
    before = old.shown()
    assert NEWEST in apply_migrations(old.url)
    assert apply_migrations(old.url) == ()
    assert len(before) == 4
    assert [row[:5] for row in old.shown()] == before


def test_rows_of_replaced_runs_outlive_the_upgrade(old: Old) -> None:
    every = "SELECT prediction_run_id, entity_key, score FROM tidemill.prediction ORDER BY 1, 2"
    before = old.run(every)
    apply_migrations(old.url)
    assert len(before) == 6
    assert old.run(every) == before


def test_partitions_that_were_there_take_further_runs_after_the_upgrade(old: Old) -> None:
    apply_migrations(old.url)
    old.publish(DAYS[1], 3)
    assert [row[3] for row in old.shown() if row[0] == DAYS[1]] == [0.25, 0.8]


def test_rights_and_migrations_are_as_the_doctor_wants_them_after_the_upgrade(old: Old) -> None:
    apply_migrations(old.url)
    with transaction(old.url) as cursor:
        found = [check_migrations(cursor), *check_rights(cursor)]
    assert [item.message for item in found if item.severity.value != "ok"] == []


def test_make_upgrade_stops_backs_up_migrates_and_examines_in_this_order() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "upgrade"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    steps = ("tidemill down", "make --no-print-directory setup", "tidemill backup", "tidemill up", "tidemill doctor")
    places = [told.rindex(step) for step in steps]
    assert places == sorted(places)
