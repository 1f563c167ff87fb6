"""Forgeries: no role that runs can change what readers see without the audit, and the doctor names what an owner can."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tidemill.doctor import Finding, Health, examine
from tidemill.errors import SettingsError, WarehouseUnavailable
from tidemill.machine.polling import until
from tidemill.records import Decision, Verdict
from tidemill.storage.audit_anchor import anchor_audit, anchor_uri
from tidemill.warehouse import migrations
from tidemill.warehouse.migrations import apply_migrations
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.statements import sql_folder

from .conftest import Warehouse
from .data import NEXT, SCORED, TRAINED, Mill

Trained = tuple[Mill, dict[str, dict[str, Any]]]
READER, WRITER, PROMOTER, OWNER = "tidemill_reader", "tidemill_writer", "tidemill_promoter", "tidemill_owner"
AS_OF = datetime(2024, 3, 26, 16, tzinfo=UTC)
SHOWN = "SELECT count(*) FILTER (WHERE predicted_label), count(*), min(prediction_run_id) FROM predictions.{m}"


@pytest.fixture
def published(serving: Mill) -> Mill:
    """A small model with a champion and two published days."""
    for day in (SCORED, NEXT):
        serving.predict(day)
    return serving


def as_role(warehouse: Warehouse, role: str, mill: Mill, statement: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(statement.replace("{m}", mill.model), role)


def deep(mill: Mill) -> dict[str, Finding]:
    """Return what the doctor finds of the ledger and the model, however deep it looks, by check."""
    ours = {
        "grants",
        "append_only",
        "audit",
        "anchor",
        "pointers",
        "declaration",
        "deployments",
        "predictions",
        "records",
        "roles",
    }
    findings = examine(mill.workspace, as_of=AS_OF, deep=True)
    return {item.check: item for item in findings if item.check in ours and item.severity is not Health.OK}


# ---------------------------------------------------------------- what no role that runs can do


WRITER_FORGERIES = (
    "UPDATE tidemill.prediction_run SET threshold = 0 WHERE model = '{m}'",
    "UPDATE tidemill.prediction_run SET status = 'superseded' WHERE model = '{m}'",
    "UPDATE tidemill.prediction_run SET checksum = '0', n_rows = 1 WHERE model = '{m}'",
    "UPDATE tidemill.published SET prediction_run_id = prediction_run_id + 1 WHERE model = '{m}'",
    "INSERT INTO tidemill.published (model, partition, prediction_run_id) VALUES ('{m}', '2024-04-01', 1)",
    "INSERT INTO tidemill.prediction_run (model, partition, release_id, snapshot_digest, token, status)"
    " VALUES ('{m}', '2024-04-01', 1, '', 1, 'published')",
    "INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence)"
    " VALUES ('{m}', '-', 'accept', 'accept', '{}', '{}')",
    "UPDATE tidemill.run SET model = 'other', started_at = now() WHERE model = '{m}'",
    "UPDATE tidemill.alert SET rule = 'other' WHERE model = '{m}'",
    "UPDATE tidemill.claim SET partition = 'other' WHERE model = '{m}'",
    "UPDATE tidemill.claim SET token = token + 1 WHERE model = '{m}'",
    "INSERT INTO tidemill.claim (model, partition, token, origin) VALUES ('{m}', '2024-04-01', 1, 1)",
    "SELECT setval('tidemill.claim_token', 1)",
    "UPDATE tidemill.snapshot SET n_rows = 0 WHERE model = '{m}'",
    "UPDATE tidemill.model SET task = 'regression' WHERE model = '{m}'",
    "SELECT tidemill.append_audit('publish', '{m}', '{}')",
    "SELECT tidemill.append_audit('promote', '{m}', '{}')",
    "SELECT tidemill.append_audit('force', '{m}', '{}')",
    "SELECT tidemill.append_audit('rollback', '{m}', '{}')",
    "SELECT tidemill.append_audit('declare', '{m}', '{}')",
    "SELECT tidemill.append_audit('decide:accept', '{m}', '{}')",
    "SELECT tidemill.append_event('publish', '{m}', '{}')",
    "SELECT tidemill.deploy('{m}', 1, NULL, 'force', now(), 'me', 'mine')",
    "SELECT tidemill.lock_champion('{m}')",
    "SELECT tidemill.start_shadow('{m}', 1, 1, 'challenger', 1, now(), now(), 0)",
    "SELECT tidemill.end_shadow(1, 'won')",
    "INSERT INTO tidemill.registration DEFAULT VALUES",
    "INSERT INTO tidemill.judgement DEFAULT VALUES",
    "INSERT INTO tidemill.deployment DEFAULT VALUES",
    "UPDATE tidemill.shadow SET state = 'won', ended_at = now()",
)
PROMOTER_FORGERIES = (
    "INSERT INTO tidemill.deployment (model, release_id, kind, live_from, approved_by, reason)"
    " VALUES ('{m}', 1, 'promote', now(), 'gate', '')",
    "INSERT INTO tidemill.champion VALUES ('{m}', 1, 1)",
    "UPDATE tidemill.champion SET release_id = release_id WHERE model = '{m}'",
    "SELECT tidemill.append_audit('promote', '{m}', '{}')",
    "SELECT tidemill.append_event('promote', '{m}', '{}')",
    "SELECT tidemill.move_pointer(1, 1, '')",
    "SELECT tidemill.mark_stale(1)",
    "SELECT tidemill.seal_prediction_run(1)",
    "SELECT tidemill.withhold(1, '{}', '{}', 1)",
    "SELECT tidemill.collect_records('{m}', now(), 0, 0, 1)",
    "INSERT INTO tidemill.prediction DEFAULT VALUES",
    "SELECT tidemill.record_decision('{m}', '-', 'accept', 'accept', '{}', '{}', NULL, '')",
    "UPDATE tidemill.shadow SET state = 'won', ended_at = now()",
)
READER_FORGERIES = (
    "SELECT tidemill.move_pointer(1, 1, '')",
    "SELECT tidemill.mark_stale(1)",
    "SELECT tidemill.record_decision('{m}', '-', 'accept', 'accept', '{}', '{}', NULL, '')",
    "SELECT tidemill.deploy('{m}', 1, NULL, 'force', now(), 'me', 'mine')",
    "SELECT tidemill.lock_champion('{m}')",
    "SELECT tidemill.lock_alerts()",
    "SELECT tidemill.withhold(1, '{}', '{}', 1)",
    "SELECT tidemill.start_shadow('{m}', 1, 1, 'challenger', 1, now(), now(), 0)",
    "INSERT INTO tidemill.alert DEFAULT VALUES",
    "LOCK TABLE tidemill.alert IN SHARE MODE",
    "SELECT tidemill.append_event('publish', '{m}', '{}')",
    "SELECT tidemill.collect_records('{m}', now(), 0, 0, NULL)",
    "LOCK TABLE tidemill.champion IN SHARE MODE",
    "LOCK TABLE public.tidemill_migration IN ROW EXCLUSIVE MODE",
)


@pytest.mark.parametrize(
    ("role", "statement"),
    [(role, statement) for role, statements in ((WRITER, WRITER_FORGERIES), (PROMOTER, PROMOTER_FORGERIES),
                                                (READER, READER_FORGERIES)) for statement in statements],
)  # fmt: skip
def test_a_role_may_not_forge(warehouse: Warehouse, trained_mill: Trained, role: str, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        as_role(warehouse, role, trained_mill[0], statement)


def test_the_pointer_moves_only_with_its_event(warehouse: Warehouse, published: Mill) -> None:
    """A writer that calls the function by hand is on record, and the doctor has nothing to find."""
    published.predict(SCORED)
    ((older, n_rows, checksum),) = published.sql(
        "SELECT prediction_run_id, n_rows, checksum FROM tidemill.prediction_run WHERE model = '{m}' AND status = 'superseded'"
    )
    call = f"SELECT tidemill.move_pointer({older}, {n_rows}, '{checksum}')"
    assert as_role(warehouse, WRITER, published, call) == [(True,)]
    events = published.sql(
        "SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'publish' ORDER BY audit_id DESC LIMIT 1"
    )
    ((details,),) = events
    ((threshold,),) = published.sql("SELECT threshold FROM tidemill.prediction_run WHERE prediction_run_id = %s", older)
    assert (details["prediction_run_id"], details["threshold"], details["n_rows"]) == (older, threshold, n_rows)
    assert deep(published) == {}


def test_rows_other_than_those_sealed_are_not_published(warehouse: Warehouse, published: Mill) -> None:
    written = published.predict_only()
    call = f"SELECT tidemill.move_pointer({written.prediction_run_id}, {written.n_rows}, 'other')"
    assert as_role(warehouse, WRITER, published, call) == [(False,)]


def test_a_release_that_the_gate_has_not_accepted_is_no_promotion(serving: Mill, trained_mill: Trained) -> None:
    release_id = serving.register(trained_mill[1], SCORED)
    decision = Decision(kind="accept", verdict=Verdict.REJECT, reasons=("For a test.",))
    rejected = serving.ledger.record_decision(serving.model, SCORED, decision, {}, None)
    serving.sql(
        "INSERT INTO tidemill.judgement (release_id, decision_id, model, snapshot_digest, split_digest, metric,"
        " metric_value, evidence, learnt_until, known_until, spec_digest, code_version, lock_digest)"
        " SELECT release_id, %s, model, snapshot_digest, split_digest, metric, metric_value, evidence, learnt_until,"
        " known_until, spec_digest, code_version, lock_digest FROM tidemill.judgement WHERE release_id = %s",
        rejected,
        release_id,
    )
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    with pytest.raises(psycopg2.errors.CheckViolation, match=f"the gate has not accepted release {release_id}"):
        serving.promote(release_id, champion.release_id, SCORED)
    assert len(serving.promoter.deployments(serving.model)) == 1


@pytest.mark.parametrize(
    ("partition", "evidence"),
    [(NEXT, {}), (SCORED, {"bundle": {"digest": "1" * 64}}),
     (SCORED, {"origin": {"evaluation": {"bundle": {"digest": "1" * 64}}}})],
    ids=["another partition", "another bundle", "another bundle of an archive"],
)  # fmt: skip
def test_an_acceptance_of_something_else_is_no_acceptance(
    warehouse: Warehouse, serving: Mill, trained_mill: Trained, partition: str, evidence: dict[str, Any]
) -> None:
    """What a promoter could record by hand: a judgement that names an accepting decision about something else."""
    release_id = serving.register(trained_mill[1], SCORED)
    decision = Decision(kind="accept", verdict=Verdict.ACCEPT, reasons=("For a test.",))
    accepted = serving.ledger.record_decision(serving.model, partition, decision, evidence, None)
    as_role(
        warehouse,
        PROMOTER,
        serving,
        "INSERT INTO tidemill.judgement (release_id, decision_id, model, snapshot_digest, split_digest, metric,"
        " metric_value, evidence, learnt_until, known_until, spec_digest, code_version, lock_digest)"
        f" SELECT release_id, {accepted}, model, snapshot_digest, split_digest, metric, metric_value, evidence,"
        " learnt_until, known_until, spec_digest, code_version, lock_digest FROM tidemill.judgement"
        f" WHERE release_id = {release_id}",
    )
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    with pytest.raises(psycopg2.errors.CheckViolation, match=f"the gate has not accepted release {release_id}"):
        serving.promote(release_id, champion.release_id, SCORED)


@pytest.mark.parametrize("role", [READER, WRITER, PROMOTER])
def test_no_temporary_type_runs_code_with_the_owners_rights(warehouse: Warehouse, role: str) -> None:
    """A domain named as a type of pg_catalog would be found first, and its check is a function of the caller's."""
    calls = {READER: "view_dependents('x')", WRITER: "seal_prediction_run(0)", PROMOTER: "append_audit('x', 'x', '{}')"}
    with closing(psycopg2.connect(warehouse.url(role))) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE seen (who pg_catalog.text)")
        cursor.execute("GRANT INSERT ON pg_temp.seen TO PUBLIC")
        cursor.execute(
            "CREATE FUNCTION pg_temp.spy(value pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS"
            " $$BEGIN INSERT INTO pg_temp.seen VALUES (current_user); RETURN true; END$$"
        )
        cursor.execute("GRANT EXECUTE ON FUNCTION pg_temp.spy TO PUBLIC")
        cursor.execute("CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.spy(VALUE))")
        cursor.execute(f"SELECT tidemill.{calls[role]}")
        cursor.execute("SELECT DISTINCT who FROM pg_temp.seen WHERE who <> current_user")
        assert cursor.fetchall() == []
        connection.rollback()


@pytest.mark.parametrize("call", [
    "collect_records('{m}', now() + interval '10 years', 0, 0, NULL)",
    "collect_records('{m}', 'infinity', 0, 0, NULL)",
    "collect_watching('{m}', now() + interval '10 years', 0, NULL)",
])  # fmt: skip
def test_the_writer_cannot_erase_what_is_young(warehouse: Warehouse, published: Mill, call: str) -> None:
    published.monitor(SCORED)
    tables = (
        "run",
        "metric",
        "examination",
        "partition_counts p JOIN tidemill.prediction_run r USING (prediction_run_id)",
    )
    count = [f"SELECT count(*) FROM tidemill.{table} WHERE model = '{{m}}'" for table in tables]
    before = [published.sql(statement) for statement in count]
    as_role(warehouse, WRITER, published, f"SELECT tidemill.{call}")
    assert [published.sql(statement) for statement in count] == before
    assert before[0][0][0] > 10


def test_the_writer_cannot_drop_what_a_rollback_would_need_today(warehouse: Warehouse, published: Mill) -> None:
    published.predict(SCORED)
    call = (
        "SELECT tidemill.collect_prediction_run(prediction_run_id, status_since, 'mine') FROM tidemill.prediction_run"
        " WHERE model = '{m}' AND status = 'superseded'"
    )
    assert as_role(warehouse, WRITER, published, call) == [("kept",)]


# ---------------------------------------------------------------- what a reader's locks hold up: nothing


@contextmanager
def every_advisory_lock(warehouse: Warehouse, mill: Mill) -> Iterator[None]:
    """A reader that holds each advisory lock by which older versions excluded each other."""
    with closing(psycopg2.connect(warehouse.url(READER))) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_lock(7305180437), pg_advisory_lock(hashtext('tidemill.declare_model')),"
            " pg_advisory_lock(hashtextextended('tidemill.champion', hashtext(%(m)s))),"
            " pg_advisory_lock(hashtext('tidemill.alerts'), hashtext(%(m)s))",
            {"m": mill.model},
        )
        yield


def test_a_reader_holds_up_no_migration_promotion_declaration_or_alert(
    warehouse: Warehouse, serving: Mill, trained_mill: Trained
) -> None:
    with every_advisory_lock(warehouse, serving):
        assert apply_migrations(warehouse.url(OWNER)) == ()
        champion = serving.promoter.champion(serving.model)
        assert champion is not None
        serving.promote(serving.register(trained_mill[1], SCORED), champion.release_id, SCORED)
        serving.predict(NEXT)
        serving.publisher.declare(serving.model, "box_id", "shipped_at")
        serving.monitor(NEXT, shown=False)
    assert len(serving.promoter.deployments(serving.model)) == 2


def test_a_migration_that_waits_for_a_reader_ends_and_names_it(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_S", 1)
    for path in sql_folder("migrations").glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "9998_slow.sql").write_text("ALTER TABLE tidemill.snapshot ADD COLUMN of_a_test integer;")
    with closing(psycopg2.connect(warehouse.url(READER), application_name="notebook")) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tidemill.snapshot")  # and the transaction stays open
        pid = connection.info.backend_pid
        with pytest.raises(WarehouseUnavailable, match=rf"session {pid} of tidemill_reader \(notebook\)"):
            apply_migrations(warehouse.url(OWNER), tmp_path)
    assert warehouse.rows("SELECT count(*) FROM public.tidemill_migration WHERE name LIKE '9998%'") == [(0,)]


def test_migrations_at_once_apply_each_file_once(warehouse: Warehouse, tmp_path: Path) -> None:
    """The second one waits while the first is at work, and then finds the file applied."""
    for path in sql_folder("migrations").glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text())
    content = "CREATE TABLE public.made_once (n integer);"
    (tmp_path / "9999_once.sql").write_text(content)
    applied: list[tuple[str, ...]] = []
    second = threading.Thread(target=lambda: applied.append(apply_migrations(warehouse.url(OWNER), tmp_path)))
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'public.tidemill_migration'::regclass"
    try:
        with closing(psycopg2.connect(warehouse.url(OWNER))) as first, first, first.cursor() as cursor:
            cursor.execute("LOCK TABLE public.tidemill_migration IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute(content)
            second.start()
            assert until(lambda: bool(warehouse.rows(waiting)), 30)
            cursor.execute(
                "INSERT INTO public.tidemill_migration VALUES ('9999_once.sql', encode(sha256(%s::bytea), 'hex'))",
                (content,),
            )
        second.join()
        assert applied == [()]
    finally:
        warehouse.rows(
            "DROP TABLE IF EXISTS public.made_once; DELETE FROM public.tidemill_migration WHERE name LIKE '9999%'"
        )


# ---------------------------------------------------------------- what the owner can do, and the doctor names


@contextmanager
def unguarded(mill: Mill, table: str) -> Iterator[None]:
    mill.sql(f"ALTER TABLE tidemill.{table} DISABLE TRIGGER append_only")
    try:
        yield
    finally:
        mill.sql(f"ALTER TABLE tidemill.{table} ENABLE TRIGGER append_only")


def run_of(mill: Mill, day: str) -> int:
    ((number,),) = mill.sql(
        "SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}' AND partition = %s", day
    )
    return int(number)


def test_nothing_is_found_where_nothing_was_forged(published: Mill) -> None:
    assert deep(published) == {}


def test_a_threshold_that_was_changed(published: Mill) -> None:
    before = published.sql(SHOWN)
    published.sql("UPDATE tidemill.prediction_run SET threshold = 0 WHERE model = '{m}'")
    assert published.sql(SHOWN) != before
    found = deep(published)
    assert found.keys() == {"pointers", "predictions"}
    assert f"{SCORED}: threshold is 0, published was" in found["pointers"].message
    assert "readers see 60 rows and 60 positives" in found["predictions"].message


OPENED = """
    SELECT tidemill.open_prediction_run('{m}', '{day}', {release}, snapshot_digest, token, {threshold}, false, NULL)
    FROM tidemill.prediction_run WHERE prediction_run_id = {run}"""


def publish_as_writer(warehouse: Warehouse, mill: Mill, release_id: int, threshold: str) -> None:
    """Publish the rows that readers see again, in a run of the writer's own, as its functions allow."""
    run = run_of(mill, SCORED)
    opened = OPENED.format(m=mill.model, day=SCORED, release=release_id, threshold=threshold, run=run)
    ((own,),) = as_role(warehouse, WRITER, mill, opened)
    as_role(
        warehouse,
        WRITER,
        mill,
        f"INSERT INTO tidemill.prediction_run_{own} (entity_key, event_time, score)"
        f" SELECT entity_key, event_time, score FROM tidemill.prediction_run_{run}",
    )
    sealed = f"SELECT n_rows, checksum FROM tidemill.seal_prediction_run({own})"
    ((n_rows, checksum),) = as_role(warehouse, WRITER, mill, sealed)
    moved = as_role(warehouse, WRITER, mill, f"SELECT tidemill.move_pointer({own}, {n_rows}, '{checksum}')")
    assert moved == [(True,)]


def test_a_run_opened_with_a_threshold_of_its_own(warehouse: Warehouse, published: Mill) -> None:
    """Every step is on record as the writer's, but no release decides like that."""
    champion = published.promoter.champion(published.model)
    assert champion is not None
    publish_as_writer(warehouse, published, champion.release_id, "threshold")
    assert deep(published) == {}
    publish_as_writer(warehouse, published, champion.release_id, "0")
    found = deep(published)
    assert found.keys() == {"pointers"}
    assert f"decides at 0.0, its release {champion.release_id} at" in found["pointers"].message


def test_a_run_of_another_models_release(warehouse: Warehouse, published: Mill) -> None:
    ((other,),) = as_role(
        warehouse,
        PROMOTER,
        published,
        "INSERT INTO tidemill.registration (model, bundle_digest, bundle_uri, partition, estimator)"
        " VALUES ('another', repeat('0', 64), '', '-', '') RETURNING release_id",
    )
    publish_as_writer(warehouse, published, other, "threshold")
    found = deep(published)
    assert f"names release {other}, which is of model 'another'" in found["pointers"].message


def test_a_pointer_that_was_moved_by_hand(published: Mill) -> None:
    shown = run_of(published, SCORED)
    published.predict(SCORED)
    newer = run_of(published, SCORED)
    published.sql(
        "UPDATE tidemill.published SET prediction_run_id = %s WHERE model = '{m}' AND partition = %s", shown, SCORED
    )
    published.sql("UPDATE tidemill.prediction_run SET status = 'superseded' WHERE prediction_run_id = %s", newer)
    published.sql("UPDATE tidemill.prediction_run SET status = 'published' WHERE prediction_run_id = %s", shown)
    assert f"prediction_run_id is {shown}, published was {newer}" in deep(published)["pointers"].message


def test_a_published_run_that_the_audit_does_not_have(published: Mill) -> None:
    written = published.predict_only(TRAINED)
    published.sql(
        "INSERT INTO tidemill.published (model, partition, prediction_run_id) VALUES ('{m}', %s, %s)",
        TRAINED,
        written.prediction_run_id,
    )
    published.sql(
        "UPDATE tidemill.prediction_run SET status = 'published' WHERE prediction_run_id = %s",
        written.prediction_run_id,
    )
    found = deep(published)
    assert f"{TRAINED}: nothing in the audit says that it was published" in found["pointers"].message


def test_a_published_run_that_was_hidden(published: Mill) -> None:
    published.sql(
        "UPDATE tidemill.prediction_run SET status = 'superseded' WHERE prediction_run_id = %s", run_of(published, NEXT)
    )
    published.sql("DELETE FROM tidemill.published WHERE model = '{m}' AND partition = %s", NEXT)
    assert f"{NEXT}: the audit says that run" in deep(published)["pointers"].message


def test_rows_and_their_checksum_that_were_changed_together(published: Mill) -> None:
    number = run_of(published, SCORED)
    published.sql(f"UPDATE tidemill.prediction_run_{number} SET score = 1")
    published.sql(
        "UPDATE tidemill.prediction_run SET checksum = (SELECT to_hex(bit_xor(tidemill.answer_hash(entity_key, score,"
        f" predicted, probabilities, low, high, reasons))) FROM tidemill.prediction_run_{number})"
        " WHERE prediction_run_id = %s",
        number,
    )
    found = deep(published)
    assert found.keys() == {"pointers", "predictions"}
    assert f"the rows of run {number} have changed" in found["predictions"].message


def test_a_view_that_shows_something_else(published: Mill) -> None:
    ((definition,),) = published.sql("SELECT pg_get_viewdef('predictions.{m}'::regclass)")
    forged = definition.rstrip(";") + " AND row.score > 0.5"
    assert forged != definition
    published.sql(f"CREATE OR REPLACE VIEW predictions.{{m}} AS {forged.replace('%', '%%')}")
    found = deep(published)
    assert found.keys() == {"predictions"}
    assert "readers see" in found["predictions"].message


def test_a_view_of_another_task(published: Mill) -> None:
    published.sql("UPDATE tidemill.model SET task = 'regression' WHERE model = '{m}'")
    assert "the view: task is 'regression', declared was 'binary'" in deep(published)["pointers"].message


def test_a_champion_that_was_changed(published: Mill, trained_mill: Trained) -> None:
    other = published.register(trained_mill[1], SCORED)
    published.sql("UPDATE tidemill.champion SET release_id = %s WHERE model = '{m}'", other)
    assert f"the champion is release {other}, by its deployments" in deep(published)["deployments"].message


def test_a_deployment_that_the_audit_does_not_have(published: Mill, trained_mill: Trained) -> None:
    other = published.register(trained_mill[1], SCORED)
    published.sql(
        "INSERT INTO tidemill.deployment (model, release_id, kind, live_from, approved_by, reason)"
        " VALUES ('{m}', %s, 'promote', '2024-01-01Z', 'gate', '')",
        other,
    )
    assert f"(promote of release {other}) is not in the audit" in deep(published)["deployments"].message


@pytest.mark.parametrize(
    "change", ["live_from = live_from - interval '9 days'", "approved_by = 'gate'", "reason = 'else'"]
)
def test_a_deployment_that_was_changed(published: Mill, change: str, trained_mill: Trained) -> None:
    champion = published.promoter.champion(published.model)
    assert champion is not None
    published.promoter.promote(
        published.model,
        Promotion(
            release_id=published.register(trained_mill[1], SCORED),
            expected=champion.release_id,
            live_from=published.spec.partition(SCORED).cutoff,
            approved_by="ada",
            reason="For a test.",
            kind="force",
        ),
    )
    with unguarded(published, "deployment"):
        published.sql(f"UPDATE tidemill.deployment SET {change} WHERE model = '{{m}}' AND kind = 'force'")
    assert "is not in the audit" in deep(published)["deployments"].message


def test_a_verdict_that_was_changed(published: Mill) -> None:
    ((number, verdict),) = published.sql(
        "SELECT decision_id, verdict FROM tidemill.decision WHERE model = '{m}' ORDER BY decision_id LIMIT 1"
    )
    change = "UPDATE tidemill.decision SET verdict = %s WHERE decision_id = %s"
    published.sql(change, "reject", number)
    try:
        assert f"decision {number} has no row" in deep(published)["audit"].message
    finally:
        published.sql(change, verdict, number)


def test_a_key_that_was_declared_anew(warehouse: Warehouse, published: Mill) -> None:
    """The writer may declare, and it is on record; but readers look for a column that the spec does not name."""
    declare = "SELECT tidemill.declare_model('{m}', 'customer', 'shipped_at', 'binary')"
    as_role(warehouse, WRITER, published, declare)
    found = deep(published)
    assert found.keys() == {"declaration"}
    assert "its key is 'customer', the spec says 'parcel_id'" in found["declaration"].message


@pytest.mark.parametrize("token", [0, 1_000_000_000])
def test_a_claims_token_that_was_changed(published: Mill, token: int) -> None:
    published.sql("UPDATE tidemill.claim SET token = %s WHERE model = '{m}' AND partition = %s", token, SCORED)
    found = deep(published)
    assert found.keys() == {"records"}
    assert f"{SCORED}: its claim has token {token}; the newest of its runs has" in found["records"].message


def test_a_snapshots_row_does_not_change(published: Mill) -> None:
    change = "UPDATE tidemill.snapshot SET cutoff = cutoff - interval '1 day' WHERE model = '{m}' AND partition = %s"
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        published.sql(change, SCORED)
    with unguarded(published, "snapshot"):
        published.sql(change, SCORED)
    found = deep(published)
    assert found.keys() == {"records"}
    assert f"{SCORED}: the row of snapshot" in found["records"].message


@pytest.mark.parametrize("kind", ["accept", "approve"])
def test_a_decision_under_an_invented_name(warehouse: Warehouse, published: Mill, kind: str) -> None:
    decide = f"SELECT tidemill.record_decision('{{m}}', '{SCORED}', '{kind}', 'accept', '{{}}', '{{}}', NULL, 'ada')"
    ((number,),) = as_role(warehouse, WRITER, published, decide)
    try:
        assert f"decision {number} ({kind}) names 'ada', whom no task had asked" in deep(published)["audit"].message
    finally:
        published.sql("DELETE FROM tidemill.decision WHERE decision_id = %s", number)


# ---------------------------------------------------------------- an audit that was cut at its end


@contextmanager
def cut(mill: Mill, n_rows: int) -> Iterator[None]:
    """Remove the newest rows of the audit; the chain of what is left is whole."""
    newest = f"(SELECT audit_id FROM tidemill.audit ORDER BY audit_id DESC LIMIT {n_rows})"
    with unguarded(mill, "audit"):
        mill.sql(f"CREATE TABLE shop.cut AS SELECT * FROM tidemill.audit WHERE audit_id IN {newest}")
        mill.sql("DELETE FROM tidemill.audit WHERE audit_id IN (SELECT audit_id FROM shop.cut)")
    try:
        yield
    finally:
        with unguarded(mill, "audit"):
            mill.sql(
                "INSERT INTO tidemill.audit OVERRIDING SYSTEM VALUE SELECT * FROM shop.cut ON CONFLICT DO NOTHING;"
                " DROP TABLE shop.cut"
            )


def test_an_audit_that_was_cut_at_its_end(published: Mill) -> None:
    """Rows that leave no trace in another table, so that only the anchor knows of them."""
    published.ledger.append_audit("hold", published.model, {"what": "release", "name": "1", "why": "case 17"})
    anchor_audit(published.workspace, published.model)
    ((head, digest),) = published.sql("SELECT audit_id, hash FROM tidemill.audit ORDER BY audit_id DESC LIMIT 1")
    with cut(published, 1):
        found = deep(published)
        assert found.keys() == {"anchor"}
        assert f"lacks row {head} of" in found["anchor"].message
        assert digest in found["anchor"].message


def test_an_anchor_that_the_audit_lacks_is_not_overwritten(published: Mill, caplog: pytest.LogCaptureFixture) -> None:
    published.ledger.append_audit("test", published.model, {})
    anchor_audit(published.workspace, published.model)
    file = published.workspace.storage / anchor_uri(published.model)
    before = file.read_bytes()
    with cut(published, 1):
        anchor_audit(published.workspace, published.model)
        assert file.read_bytes() == before
        assert "which was anchored: run 'tidemill doctor'" in caplog.text


def test_a_publication_that_was_cut_out_of_the_audit_lacks_its_event(published: Mill) -> None:
    (published.workspace.storage / anchor_uri(published.model)).unlink()  # whoever can, cuts this too
    with cut(published, 1):
        assert f"{NEXT}: nothing in the audit says that it was published" in deep(published)["pointers"].message


def test_publishing_anchors_the_head_beside_the_artifacts_and_in_the_log(
    serving: Mill, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tidemill.storage.audit_anchor")
    serving.predict(SCORED)
    ((head, digest),) = serving.sql(
        "SELECT audit_id, hash FROM tidemill.audit WHERE model = '{m}' AND event = 'publish'"
    )
    anchored = json.loads((serving.workspace.storage / anchor_uri(serving.model)).read_bytes())
    assert (anchored["audit_id"], anchored["hash"]) == (head, digest)
    assert f"Audit head: row {head}, hash {digest}." in caplog.text


def test_a_malformed_anchor_is_a_finding(published: Mill) -> None:
    (published.workspace.storage / anchor_uri(published.model)).write_bytes(b"\xff{")
    assert "is not an anchor of the audit" in deep(published)["anchor"].message


def test_a_role_that_lacks_a_right_gets_a_clear_error(published: Mill) -> None:
    """The writer's connection in the promoter's place."""
    with pytest.raises(SettingsError, match="permission denied for function lock_champion"):
        type(published.promoter)(published.workspace.connection("tidemill")).rollback(
            published.model, None, approved_by="me", reason="mine"
        )
