"""Retention of the ledger's own rows: old ones go, and never those that something kept, or monitoring, needs."""

import json

import pytest
from pydantic import ValidationError

from tidemill.doctor.audit import check_audit
from tidemill.doctor.findings import Health
from tidemill.doctor.ledger import check_rights
from tidemill.retention import LOOKED_BACK, Removal, collect_garbage
from tidemill.spec import Retention
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.releases.holds import Holds

from .data import NEXT, SCORED, SPEC, Mill

OLD = "interval '900 days'"


def age(mill: Mill) -> None:
    """Make all that the model's ledger has 900 days older."""
    mill.sql(
        f"UPDATE tidemill.run SET started_at = started_at - {OLD}, ended_at = ended_at - {OLD} WHERE model = '{{m}}'"
    )
    mill.sql(f"UPDATE tidemill.metric SET computed_at = computed_at - {OLD} WHERE model = '{{m}}'")


@pytest.fixture
def old(serving: Mill) -> Mill:
    """A small model that published two days and watched one, long ago; and has checked a snapshot that nothing uses."""
    for day in (SCORED, NEXT):
        serving.predict(day)
    serving.monitor(NEXT)
    unused = serving.extract("score", "2024-03-28")
    serving.step("predict", "validate_data", "2024-03-28", snapshot=unused.to_dict())
    age(serving)
    return serving


def gone(mill: Mill, *, dry_run: bool = False) -> list[Removal]:
    return [item for item in collect_garbage(mill.workspace, dry_run=dry_run) if item.kind == "records"]


def count(mill: Mill, table: str) -> int:
    ((number,),) = mill.sql(f"SELECT count(*) FROM tidemill.{table} WHERE model = '{{m}}'")
    return int(number)


def checks_of(mill: Mill, partition: str) -> int:
    ((number,),) = mill.sql(
        "SELECT count(*) FROM tidemill.check_result JOIN tidemill.run USING (run_id) WHERE model = '{m}' AND partition = %s",
        partition,
    )
    return int(number)


def flood(mill: Mill, n: int, part: str = "drift") -> None:
    """Record figures of many partitions, all old, and of one run each."""
    mill.sql(
        "WITH made AS (INSERT INTO tidemill.run (model, chain, step, partition, status, code_version, spec_digest,"
        f" started_at, ended_at) SELECT '{{m}}', 'monitor', 'drift', 'p' || lpad(n::text, 5, '0'), 'failed', '', '',"
        f" now() - {OLD}, now() - {OLD} FROM generate_series(1, {n}) n RETURNING run_id, partition)"
        " INSERT INTO tidemill.metric (model, partition, part, name, value, as_of, run_id, computed_at)"
        f" SELECT '{{m}}', partition, '{part}', 'psi', 0, now(), run_id, now() - {OLD} FROM made"
    )


def test_checks_of_data_that_nothing_stands_on_go(old: Mill) -> None:
    before = checks_of(old, "2024-03-28")
    gone(old)
    assert (before > 0, checks_of(old, "2024-03-28")) == (True, 0)


@pytest.mark.parametrize("day", [SCORED, NEXT])
def test_checks_of_published_data_stay(old: Mill, day: str) -> None:
    before = checks_of(old, day)
    gone(old)
    assert checks_of(old, day) == before > 0


@pytest.mark.parametrize(
    "table", ["metric", "alert", "decision", "release", "deployment", "snapshot", "prediction_run"]
)
def test_what_is_audited_published_or_looked_back_on_stays(old: Mill, table: str) -> None:
    before = count(old, table)
    gone(old)
    assert count(old, table) == before


def test_figures_beyond_those_looked_back_on_go_with_their_runs(old: Mill) -> None:
    flood(old, LOOKED_BACK + 30)  # 'p…' sorts after the days
    runs = count(old, "run")
    (removal,) = gone(old)
    left = old.sql(
        "SELECT min(partition), count(DISTINCT partition) FROM tidemill.metric WHERE model = '{m}' AND part = 'drift'"
    )
    assert left == [("p00031", LOOKED_BACK)]
    assert int(removal.name.split(" metrics")[0]) >= 30
    assert runs - count(old, "run") >= 30


def test_figures_of_a_held_partition_stay(old: Mill) -> None:
    flood(old, LOOKED_BACK + 30)
    Holds(old.workspace.connection("tidemill")).hold(old.model, "partition", NEXT, "case 17")
    gone(old)
    kept = old.sql(
        "SELECT count(*) FROM tidemill.metric WHERE model = '{m}' AND partition = %s AND part = 'drift'", NEXT
    )
    assert kept[0][0] > 0


def test_the_newest_runs_stay_for_later_ones_to_be_compared_with(old: Mill) -> None:
    gone(old)
    assert len(old.ledger.step_runs(old.model)) > 10


def test_failed_runs_that_nothing_names_go(old: Mill) -> None:
    failed = "SELECT count(*) FROM tidemill.run WHERE model = '{m}' AND status = 'failed'"
    flood(old, 3)
    old.sql("DELETE FROM tidemill.metric WHERE model = '{m}' AND partition LIKE 'p%%'")
    before = old.sql(failed)
    gone(old)
    assert (before, old.sql(failed)) == ([(3,)], [(0,)])


def test_a_row_that_is_young_stays(serving: Mill) -> None:
    flood(serving, LOOKED_BACK + 5)
    serving.sql("UPDATE tidemill.metric SET computed_at = now() WHERE model = '{m}'")
    serving.sql("UPDATE tidemill.run SET started_at = now(), ended_at = now() WHERE model = '{m}'")
    assert gone(serving) == []


def test_a_dry_run_says_the_same_and_deletes_nothing(old: Mill) -> None:
    flood(old, LOOKED_BACK + 30)
    before = count(old, "run"), count(old, "metric")
    (would,) = gone(old, dry_run=True)
    assert (count(old, "run"), count(old, "metric")) == before
    (did,) = gone(old)
    assert (would.name, would.outcome, did.outcome) == (did.name, "due", "collected")


def test_a_second_collection_finds_nothing_more(old: Mill) -> None:
    gone(old)
    assert gone(old) == []


def test_it_is_in_the_audit_whose_chain_stays_whole(old: Mill) -> None:
    (removal,) = gone(old)
    assert (removal.name,) in old.sql("SELECT name FROM tidemill.collected WHERE model = '{m}' AND kind = 'records'")
    with transaction(old.workspace.connection("tidemill")) as cursor:
        assert not [item for item in (check_audit(cursor), *check_rights(cursor)) if "tidemill.collect" in item.message]
        assert check_audit(cursor).severity is Health.OK


def test_every_published_row_can_be_traced_afterwards(old: Mill) -> None:
    from tidemill.warehouse.predictions.trace import trace

    gone(old)
    found = trace(old.workspace.connection("warehouse"), old.model, "20240325-001", SCORED)
    assert [name for name in ("scoring_code", "training_snapshot", "approved_by") if found[name] is None] == []


def test_records_are_kept_at_least_as_long_as_what_they_describe() -> None:
    with pytest.raises(ValidationError, match="records must be kept at least as long as what they describe, 400 days"):
        Retention.model_validate({"records": "100 days"})


def test_a_spec_may_shorten_everything(serving: Mill) -> None:
    limits = ", ".join(f"{name}: 30 days" for name in Retention.model_fields)
    serving.write(spec=SPEC + f"retention: {{{limits}}}\n")
    assert serving.spec.retention.records.days == 30


# --- what monitoring keeps


def flood_watching(mill: Mill, n: int) -> None:
    """Record examinations and messages of many partitions, all old; 'p…' sorts after the days."""
    run_id = mill.start_run("2024-03-25", "alert")
    mill.sql(
        "INSERT INTO tidemill.examination (model, partition, parts, findings, run_id, examined_at)"
        f" SELECT '{{m}}', 'p' || lpad(n::text, 5, '0'), '{{}}', '[]', {run_id}, now() - {OLD} FROM generate_series(1, {n}) n"
    )


def tell(mill: Mill, *, status: str, state: str = "sent") -> None:
    """Record an old alert and the message that told of it."""
    run_id, rule = mill.start_run("2024-03-25", "alert"), f"drift:{status}_{state}"
    told = {"rule": rule, "severity": "warn", "message": "m", "value": 1.0, "threshold": 0.0}
    ((alert_id,),) = mill.sql(
        "INSERT INTO tidemill.alert (model, rule, severity, message, value, threshold, status, first_partition,"
        " last_partition, run_id, told, told_partition) VALUES ('{m}', %s, 'warn', 'm', 1, 0, %s, '2024-03-25', '2024-03-25',"
        " %s, %s, '2024-03-25')"
        " RETURNING alert_id",
        rule,
        status,
        run_id,
        json.dumps(told),
    )
    ((event_id,),) = mill.sql(
        "INSERT INTO tidemill.alert_event (alert_id, event, partition, severity, message, value, threshold,"
        " first_partition, run_id) VALUES (%s, 'opened', '2024-03-25', 'warn', 'm', 1, 0, '2024-03-25', %s)"
        " RETURNING event_id",
        alert_id,
        run_id,
    )
    mill.sql(
        "INSERT INTO tidemill.alert_message (key, model, partition, channel, event_ids, state, next_try, created_at, sent_at)"
        f" VALUES (%s, '{{m}}', '2024-03-25', 'nowhere', ARRAY[%s], %s, 'infinity', now() - {OLD},"
        f" CASE WHEN %s = 'sent' THEN now() - {OLD} END)",
        f"{mill.model}.{status}.{state}",
        event_id,
        state,
        state,
    )


def messages(mill: Mill) -> list[str]:
    rows = mill.sql("SELECT key FROM tidemill.alert_message WHERE model = '{m}' ORDER BY key")
    return [key.partition(".")[2] for (key,) in rows]


def test_examinations_beyond_those_looked_back_on_go(old: Mill) -> None:
    flood_watching(old, LOOKED_BACK + 30)
    before = count(old, "examination")
    gone(old)
    left = old.sql(
        "SELECT min(partition), count(*) FROM tidemill.examination WHERE model = '{m}' AND partition LIKE 'p%%'"
    )
    assert left == [("p00031", LOOKED_BACK)]
    assert before - count(old, "examination") == 30  # those of the days are young


def test_messages_that_went_out_go_once_no_open_alert_s_thread_needs_them(old: Mill) -> None:
    tell(old, status="resolved")
    tell(old, status="open")
    tell(old, status="resolved", state="waiting")
    gone(old)
    assert messages(old) == ["open.sent", "resolved.waiting"]


def test_counted_features_of_the_newest_partitions_stay(old: Mill) -> None:
    before = old.sql(
        f"UPDATE tidemill.partition_counts SET counted_at = now() - {OLD} WHERE release_id IN"
        " (SELECT release_id FROM tidemill.release WHERE model = '{m}') RETURNING prediction_run_id"
    )
    gone(old)
    assert before != []
    assert old.sql(
        "SELECT count(*) FROM tidemill.partition_counts WHERE prediction_run_id = ANY (%s)", [run for (run,) in before]
    ) == [(len(before),)]


def test_counted_features_of_what_is_published_no_more_go(old: Mill) -> None:
    old.sql(
        f"UPDATE tidemill.partition_counts SET counted_at = now() - {OLD} WHERE release_id IN"
        " (SELECT release_id FROM tidemill.release WHERE model = '{m}')"
    )
    old.sql("DELETE FROM tidemill.published WHERE model = '{m}'")
    (removal,) = (item for item in gone(old) if "counts" in item.name)
    assert removal.name == "0 examinations, 0 messages, 1 counts"


def test_a_run_goes_with_the_examination_that_named_it(old: Mill) -> None:
    flood_watching(old, LOOKED_BACK + 1)
    run_id = old.sql("SELECT run_id FROM tidemill.examination WHERE model = '{m}' AND partition = 'p00001'")[0][0]
    old.sql("DELETE FROM tidemill.examination WHERE model = '{m}' AND partition <> 'p00001' AND partition LIKE 'p%%'")
    other = old.start_run("2024-03-25", "alert")
    old.sql(
        "INSERT INTO tidemill.examination (model, partition, parts, findings, run_id)"
        f" SELECT '{{m}}', 'q' || n, '{{}}', '[]', {other} FROM generate_series(1, {LOOKED_BACK}) n"
    )
    old.sql(
        f"UPDATE tidemill.run SET status = 'failed', started_at = now() - {OLD}, ended_at = now() - {OLD} WHERE run_id = %s",
        run_id,
    )
    gone(old)
    assert old.sql("SELECT count(*) FROM tidemill.run WHERE run_id = %s", run_id) == [(0,)]
