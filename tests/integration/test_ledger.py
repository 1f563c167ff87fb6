"""The ledger: releases and the champion, who may write what, and an audit that shows every change."""

import multiprocessing
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from tidemill.errors import LostRace, NoChampion, ReleaseFromTheFuture, SettingsError
from tidemill.intervals import key_order
from tidemill.warehouse.migrations import apply_migrations
from tidemill.warehouse.releases.registry import Releases
from tidemill.warehouse.releases.resolution import resolve_release
from tidemill.warehouse.statements import sql_folder

from .data import LAST, NEXT, SCORED, TRAINED, Mill

Trained = tuple[Mill, dict[str, dict[str, Any]]]
FORK = multiprocessing.get_context("fork")
READER, WRITER, PROMOTER, OWNER = "tidemill_reader", "tidemill_writer", "tidemill_promoter", "tidemill_owner"


# --- releases


def test_same_bundle_for_the_same_partition_is_one_release(mill: Mill, trained_mill: Trained) -> None:
    assert mill.register(trained_mill[1]) == mill.register(trained_mill[1])


def test_same_bundle_for_another_partition_is_another_release(mill: Mill, trained_mill: Trained) -> None:
    assert mill.register(trained_mill[1]) != mill.register(trained_mill[1], SCORED)


def test_promotion_makes_a_champion(serving: Mill) -> None:
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    assert champion.partition == TRAINED


def test_promotion_is_a_row_of_history(serving: Mill) -> None:
    (deployment,) = serving.promoter.deployments(serving.model)
    assert (deployment.kind, deployment.approved_by, deployment.previous_release_id) == ("promote", "gate", None)


def test_promoting_the_champion_again_changes_nothing(serving: Mill) -> None:
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    serving.promote(champion.release_id, None)
    assert len(serving.promoter.deployments(serving.model)) == 1


def test_promotion_against_another_champion_than_was_compared_is_refused(serving: Mill, trained_mill: Trained) -> None:
    challenger = serving.register(trained_mill[1], SCORED)
    with pytest.raises(LostRace, match="was compared with release None, but the champion is now"):
        serving.promote(challenger, None, SCORED)


def test_lost_race_leaves_no_row_of_history(serving: Mill, trained_mill: Trained) -> None:
    challenger = serving.register(trained_mill[1], SCORED)
    with pytest.raises(LostRace):
        serving.promote(challenger, None, SCORED)
    assert len(serving.promoter.deployments(serving.model)) == 1


def test_release_of_another_model_cannot_be_promoted(serving: Mill, trained_mill: Trained) -> None:
    others = trained_mill[0].promoter.champion(trained_mill[0].model)
    ours = serving.promoter.champion(serving.model)
    with pytest.raises((NoChampion, psycopg2.IntegrityError)):
        serving.promote(others.release_id, ours.release_id, SCORED)


def _promote(mill: Mill, release_id: int, expected: int | None, barrier: Any, outcomes: Any) -> None:
    barrier.wait()
    try:
        mill.promote(release_id, expected, SCORED)
        outcomes.put("promoted")
    except LostRace:
        outcomes.put("LostRace")
    except BaseException as error:
        outcomes.put(repr(error))
        raise


def race(mill: Mill, releases: list[int], expected: int | None) -> list[str]:
    barrier, outcomes = FORK.Barrier(len(releases)), FORK.Queue()
    racers = [FORK.Process(target=_promote, args=(mill, item, expected, barrier, outcomes)) for item in releases]
    for racer in racers:
        racer.start()
    found = sorted(outcomes.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    return found


def test_of_two_first_promotions_at_once_one_wins(mill: Mill, trained_mill: Trained) -> None:
    releases = [mill.register(trained_mill[1], key) for key in (TRAINED, SCORED)]
    assert race(mill, releases, None) == ["LostRace", "promoted"]


def test_of_two_promotions_over_one_champion_one_wins(serving: Mill, trained_mill: Trained) -> None:
    champion = serving.promoter.champion(serving.model)
    releases = [serving.register(trained_mill[1], key) for key in (SCORED, NEXT)]
    assert race(serving, releases, champion.release_id) == ["LostRace", "promoted"]


# --- which release scores a partition


def test_partition_is_scored_by_the_release_that_was_live(serving: Mill, trained_mill: Trained) -> None:
    first = serving.promoter.champion(serving.model).release_id
    second = serving.register(trained_mill[1], NEXT)
    serving.promote(second, first, NEXT)
    assert [serving.resolve(day).release_id for day in (TRAINED, SCORED, NEXT, LAST)] == [first, first, second, second]


def test_release_is_live_from_the_very_cutoff_of_its_training(serving: Mill) -> None:
    cutoff = serving.spec.partition(TRAINED).cutoff
    assert serving.promoter.live_at(serving.model, cutoff) is not None
    assert serving.promoter.live_at(serving.model, cutoff - timedelta(microseconds=1)) is None


def test_champion_is_the_release_that_is_live_for_the_newest_partition(serving: Mill, trained_mill: Trained) -> None:
    """Even when a training as of an older partition is promoted last."""
    first = serving.promoter.champion(serving.model).release_id
    older = serving.register(trained_mill[1], "2024-03-20")
    serving.promote(older, first, "2024-03-20")
    assert serving.promoter.champion(serving.model).release_id == serving.resolve(LAST).release_id


def test_release_from_the_future_is_refused_with_both_times(serving: Mill) -> None:
    release_id = serving.promoter.champion(serving.model).release_id
    with pytest.raises(ReleaseFromTheFuture, match=r"data up to 2024-03-24 09:00 UTC, after the cutoff .*2024-03-20"):
        serving.resolve("2024-03-20", release=release_id)


def test_release_from_the_future_may_simulate(serving: Mill) -> None:
    release_id = serving.promoter.champion(serving.model).release_id
    assert serving.resolve("2024-03-20", release=release_id, simulate=True).simulated


def test_simulation_of_a_later_partition_is_none(serving: Mill) -> None:
    assert not serving.resolve(SCORED, simulate=True).simulated


def test_model_without_any_release_says_how_to_train_one(mill: Mill) -> None:
    with pytest.raises(NoChampion, match=f"no release has been promoted yet. Train one: 'tidemill train {mill.model}"):
        mill.resolve()


def test_partition_before_the_first_release_says_from_when_there_is_one(serving: Mill) -> None:
    with pytest.raises(NoChampion, match=r"No release .* was live for partition '2024-03-20': the champion, release"):
        serving.resolve("2024-03-20")


def test_unknown_release_is_named(serving: Mill) -> None:
    with pytest.raises(NoChampion, match="has no release 123456"):
        serving.resolve(release=123456)


def test_release_of_another_model_is_unknown(serving: Mill, trained_mill: Trained) -> None:
    others = trained_mill[0].promoter.champion(trained_mill[0].model)
    with pytest.raises(NoChampion, match="has no release"):
        serving.resolve(release=others.release_id)


def test_readers_may_resolve_too(warehouse: Any, serving: Mill) -> None:
    releases = Releases(warehouse.url(READER))
    assert resolve_release(releases, serving.model, serving.spec.partition(SCORED)).partition == SCORED


# --- who may do what


def refused(warehouse: Any, role: str, statement: str) -> None:
    with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ReadOnlySqlTransaction)):
        warehouse.rows(statement, role)


TABLES = ["model", "run", "snapshot", "check_result", "decision", "registration", "judgement", "deployment", "champion",
          "claim", "prediction_run", "published", "prediction", "metric", "alert", "audit"]  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", [READER, WRITER, PROMOTER])
def test_no_role_but_the_owner_may_delete_or_truncate(warehouse: Any, role: str, table: str) -> None:
    refused(warehouse, role, f"DELETE FROM tidemill.{table}")
    refused(warehouse, role, f"TRUNCATE tidemill.{table}")


@pytest.mark.parametrize("table", TABLES)
def test_reader_may_not_insert(warehouse: Any, table: str) -> None:
    refused(warehouse, READER, f"INSERT INTO tidemill.{table} DEFAULT VALUES")


@pytest.mark.parametrize("table", TABLES)
def test_reader_may_select(warehouse: Any, table: str) -> None:
    assert warehouse.rows(f"SELECT count(*) FROM tidemill.{table}", READER)


@pytest.mark.parametrize(
    "table",
    ["registration", "judgement", "deployment", "champion", "audit", "prediction", "decision", "model", "published",
     "prediction_run", "run", "alert", "claim"],
)  # fmt: skip
def test_writer_may_not_update(warehouse: Any, table: str) -> None:
    refused(warehouse, WRITER, f"UPDATE tidemill.{table} SET model = model")


@pytest.mark.parametrize(
    "table",
    ["registration", "judgement", "deployment", "champion", "audit", "prediction", "prediction_run", "published",
     "decision"],
)  # fmt: skip
def test_writer_may_not_insert(warehouse: Any, table: str) -> None:
    refused(warehouse, WRITER, f"INSERT INTO tidemill.{table} DEFAULT VALUES")


@pytest.mark.parametrize(
    "table",
    ["prediction", "prediction_run", "published", "claim", "run", "metric", "audit", "deployment", "champion",
     "decision"],
)  # fmt: skip
def test_promoter_may_not_insert(warehouse: Any, table: str) -> None:
    refused(warehouse, PROMOTER, f"INSERT INTO tidemill.{table} DEFAULT VALUES")


def test_promoter_may_not_change_the_figures_of_a_release(warehouse: Any) -> None:
    refused(warehouse, PROMOTER, "UPDATE tidemill.judgement SET metric_value = 1")


@pytest.mark.parametrize("role", [READER, WRITER, PROMOTER])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE tidemill.mine (n integer)",
        "CREATE TABLE predictions.mine (n integer)",
        "CREATE TABLE public.mine (n integer)",
        "CREATE SCHEMA mine",
        "DROP TABLE tidemill.audit",
        "ALTER TABLE tidemill.audit DISABLE TRIGGER ALL",
        "ALTER TABLE tidemill.prediction DROP CONSTRAINT prediction_entity_key_check",
        "DROP FUNCTION tidemill.append_audit",
        "COPY tidemill.run TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "SET ROLE tidemill_owner",
    ],
)
def test_no_role_but_the_owner_may_build_or_break(warehouse: Any, role: str, statement: str) -> None:
    refused(warehouse, role, statement)


@pytest.mark.parametrize(
    "call",
    [
        "append_audit('x', 'y', '{}')",
        "declare_model('x', 'y', 'z')",
        "open_prediction_run('x', 'y', 1, 'z', 1, 0.5, false, 1)",
        "seal_prediction_run(1)",
    ],
)
def test_reader_may_not_call_what_writes(warehouse: Any, call: str) -> None:
    refused(warehouse, READER, f"SELECT tidemill.{call}")


def test_reader_may_not_change_the_source(warehouse: Any, mill: Mill) -> None:
    refused(warehouse, READER, f"DELETE FROM shop.{mill.model}")


@pytest.mark.parametrize("name", ["x; DROP TABLE tidemill.run", 'x"', "X", "../x", "", "a" * 49, "x'", "x%I"])
def test_a_model_name_that_is_not_an_identifier_is_refused(warehouse: Any, name: str) -> None:
    with (
        pytest.raises(psycopg2.errors.CheckViolation),
        psycopg2.connect(warehouse.url(WRITER)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT tidemill.declare_model(%s, 'k', 't')", (name,))


def test_odd_names_of_columns_are_quoted(warehouse: Any) -> None:
    warehouse.rows("""SELECT tidemill.declare_model('odd_names', 'k"; DROP TABLE x; --', 'select')""", WRITER)
    names = warehouse.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'odd_names'")
    assert {('k"; DROP TABLE x; --',), ("select",)} <= set(names)


# --- the audit


@pytest.mark.parametrize(
    "statement",
    ["UPDATE tidemill.audit SET details = '{}'", "DELETE FROM tidemill.audit", "TRUNCATE tidemill.audit",
     "UPDATE tidemill.deployment SET reason = ''", "DELETE FROM tidemill.deployment",
     "DELETE FROM tidemill.registration", "TRUNCATE tidemill.registration CASCADE",
     "DELETE FROM tidemill.judgement", "TRUNCATE tidemill.judgement"],
)  # fmt: skip
def test_owner_cannot_change_what_is_append_only(warehouse: Any, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        warehouse.rows(statement)


def test_owner_cannot_change_the_figures_of_a_release(warehouse: Any, trained_mill: Trained) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        warehouse.rows("UPDATE tidemill.judgement SET metric_value = 1")


BROKEN_LINKS = """
SELECT audit_id FROM (
    SELECT a.*, lag(a.hash, 1, repeat('0', 64)) OVER (ORDER BY a.audit_id) AS link,
           tidemill.audit_hash(a.previous_hash, a.event, a.model, a.details, a.done_by, a.done_at) AS computed
    FROM tidemill.audit a
) chained WHERE previous_hash <> link OR hash <> computed
"""


def test_chain_of_the_audit_verifies(warehouse: Any, serving: Mill) -> None:
    assert warehouse.rows("SELECT count(*) > 2 FROM tidemill.audit") == [(True,)]
    assert warehouse.rows(BROKEN_LINKS, READER) == []


def _append(mill: Mill, barrier: Any) -> None:
    barrier.wait()
    for number in range(10):
        mill.ledger.append_audit("test", mill.model, {"number": number})


def test_chain_of_the_audit_does_not_fork_when_many_write(warehouse: Any, serving: Mill) -> None:
    barrier = FORK.Barrier(4)
    writers = [FORK.Process(target=_append, args=(serving, barrier)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert serving.sql("SELECT count(*) FROM tidemill.audit WHERE model = '{m}' AND event = 'test'") == [(40,)]
    assert warehouse.rows(BROKEN_LINKS, READER) == []


@pytest.mark.parametrize(
    "change",
    ["details = details || '{\"n\": 1}'", "done_by = 'nobody'", "event = 'nothing'", "model = NULL",
     "done_at = done_at - interval '1 microsecond'"],
)  # fmt: skip
def test_changed_row_of_the_audit_breaks_its_chain(warehouse: Any, serving: Mill, change: str) -> None:
    with psycopg2.connect(warehouse.url(OWNER)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tidemill.audit DISABLE TRIGGER append_only")
        cursor.execute("SELECT max(audit_id) FROM tidemill.audit WHERE model = %s", (serving.model,))
        (changed,) = cursor.fetchone()
        cursor.execute(f"UPDATE tidemill.audit SET {change} WHERE audit_id = %s", (changed,))
        cursor.execute(BROKEN_LINKS)
        broken = cursor.fetchall()
        connection.rollback()
    assert broken == [(changed,)]


def test_removed_row_of_the_audit_breaks_its_chain(warehouse: Any, serving: Mill) -> None:
    serving.ledger.append_audit("test", serving.model, {})
    with psycopg2.connect(warehouse.url(OWNER)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tidemill.audit DISABLE TRIGGER append_only")
        cursor.execute("DELETE FROM tidemill.audit WHERE audit_id = (SELECT max(audit_id) - 1 FROM tidemill.audit)")
        cursor.execute(BROKEN_LINKS)
        broken = cursor.fetchall()
        connection.rollback()
    assert len(broken) == 1


def test_audit_says_who_did_it(serving: Mill) -> None:
    who = serving.sql("SELECT event, done_by FROM tidemill.audit WHERE model = '{m}' ORDER BY audit_id")
    assert who == [("decide:accept", WRITER), ("promote", PROMOTER)]


# --- migrations


def test_migrations_are_applied_once(warehouse: Any) -> None:
    assert apply_migrations(warehouse.url(OWNER)) == ()


def test_migration_that_has_changed_since_is_refused(warehouse: Any, tmp_path: Any) -> None:
    for path in sql_folder("migrations").glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text() + "-- changed\n")
    with pytest.raises(SettingsError, match=r"Migration 0001_ledger\.sql has changed since it was applied"):
        apply_migrations(warehouse.url(OWNER), tmp_path)


def test_migration_that_fails_leaves_nothing(warehouse: Any, tmp_path: Any) -> None:
    for path in sql_folder("migrations").glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "9999_broken.sql").write_text("CREATE TABLE tidemill.half (n integer); SELECT 1 / 0;")
    with pytest.raises(psycopg2.errors.DivisionByZero):
        apply_migrations(warehouse.url(OWNER), tmp_path)
    assert warehouse.rows("SELECT to_regclass('tidemill.half')") == [(None,)]


def test_the_ledger_sorts_keys_as_python_does(warehouse: Any) -> None:
    keys = [
        "2024-10-27T02+0200",
        "2024-10-27T02+0100",
        "2013-11-03T01-0500",
        "2013-11-03T01-0400",
        "2013-W27",
        "fold-07",
        "",
    ]
    assert warehouse.rows(f"SELECT tidemill.key_order(k) FROM unnest(ARRAY{keys}) k") == [(key_order(k),) for k in keys]
