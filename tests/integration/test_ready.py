"""Readiness: partitions that are not loaded wait, are late at the deadline, and are scored once they are whole."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from typer.testing import CliRunner

from tidemill.checking import check_models
from tidemill.cli import app
from tidemill.doctor.findings import Health
from tidemill.doctor.freshness import check_freshness
from tidemill.errors import NotReady, SpecError
from tidemill.operations.backfill import Policy, backfill
from tidemill.records import Readiness
from tidemill.runtime.run import run_step
from tidemill.spec import ModelSpec
from tidemill.spec.due_partitions import due_partitions
from tidemill.steps.monitor.await_ready import refuse_unready

from .data import NEXT, PER_DAY, SCORED, SPEC, Mill

LONG_AGO = datetime(2024, 3, 25, 9, tzinfo=UTC)  # the tick of the scored day
READY_SQL = f"""\
SELECT count(*) >= {PER_DAY}, count(*) || ' parcels of {PER_DAY}'
FROM shop.{{model}} WHERE shipped_at >= :start AND shipped_at < :end
"""


@pytest.fixture
def waiting(serving: Mill) -> Mill:
    """A model with a champion whose scored day is half loaded; the other half is put aside."""
    write(serving, "")
    serving.sql(
        "CREATE TABLE {t}_later AS SELECT * FROM {t}"
        " WHERE (shipped_at AT TIME ZONE 'America/New_York')::date = %s AND express",
        SCORED,
    )
    serving.sql("DELETE FROM {t} WHERE parcel_id IN (SELECT parcel_id FROM {t}_later)")
    return serving


def write(mill: Mill, more: str, ready: str = READY_SQL) -> None:
    mill.write(SPEC + f"predict: {{ready: {{query: {mill.model}/ready.sql}}{more}}}\n")
    (mill.workspace.sql / mill.model / "ready.sql").write_text(ready.replace("{model}", mill.model))


def load(mill: Mill) -> None:
    mill.sql("INSERT INTO {t} SELECT * FROM {t}_later")


def ask(mill: Mill, tick: datetime | None = None, **more: Any) -> Readiness:
    inputs = {"chain": "predict", "tick": tick or datetime.now(UTC), **more}
    record = run_step("predict", "await_ready", mill.model, SCORED, inputs, workspace=mill.workspace)
    return Readiness.from_dict(record)


def late(mill: Mill) -> list[tuple[Any, ...]]:
    return mill.sql("SELECT status, message FROM tidemill.alert WHERE model = '{m}' AND rule = 'late'")


def test_half_a_partition_waits_with_the_query_s_reason_and_the_whole_one_starts(waiting: Mill) -> None:
    found = ask(waiting)
    assert (found.ready, found.outcome, found.deadline) == (False, "wait", None)
    assert found.reason == f"{PER_DAY // 2} parcels of {PER_DAY}"
    load(waiting)
    assert ask(waiting) == Readiness(ready=True, reason="", deadline=None, late=False, outcome="start")


@pytest.mark.parametrize(("then", "outcome"), [("wait", "wait"), ("predict", "start"), ("skip", "skip")])
def test_at_the_deadline_the_alert_opens_and_the_spec_decides(waiting: Mill, then: str, outcome: str) -> None:
    write(waiting, f", by: '07:00', then: {then}")
    assert (ask(waiting).outcome, late(waiting)) == ("wait", [])
    found = ask(waiting, LONG_AGO)
    assert (found.late, found.outcome) == (True, outcome)
    assert found.deadline == datetime(2024, 3, 25, 11, tzinfo=UTC)
    ((status, message),) = late(waiting)
    assert status == "open"
    assert f"The data of partition {SCORED} were not ready by 07:00 (America/New_York): {found.reason}." in message


def test_the_alert_resolves_once_the_partition_is_whole(waiting: Mill) -> None:
    write(waiting, ", by: '07:00'")
    ask(waiting, LONG_AGO)
    load(waiting)
    assert ask(waiting, LONG_AGO).outcome == "start"
    assert [status for status, _ in late(waiting)] == ["resolved"]


def test_being_late_leaves_what_monitoring_found_about_the_partition(waiting: Mill) -> None:
    """Each step's examination of a partition counts; a later one of another step does not replace it."""
    write(waiting, ", by: '07:00'")
    waiting.sql(
        "UPDATE {t} SET n_parcels = NULL WHERE (shipped_at AT TIME ZONE 'America/New_York')::date = %s"
        " AND parcel_id !~ '[01]$'",
        SCORED,
    )
    waiting.predict()
    waiting.monitor(shown=False)
    asked = "SELECT rule FROM tidemill.alert WHERE model = '{m}' AND status = 'open' AND rule <> 'late' ORDER BY 1"
    before = waiting.sql(asked)
    assert ("nulls:n_parcels",) in before
    ask(waiting, LONG_AGO)
    assert waiting.sql(asked) == before
    assert waiting.sql("SELECT count(*) FROM tidemill.alert WHERE model = '{m}' AND rule = 'late'") == [(1,)]
    waiting.monitor(shown=False)
    assert [status for status, _ in late(waiting)] == ["open"]


def test_assets_without_an_event_come_before_the_query(waiting: Mill) -> None:
    load(waiting)
    found = ask(waiting, missing=("parcels_loaded",))
    assert (found.outcome, found.reason) == ("wait", f"no event of partition {SCORED!r} from parcels_loaded")


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELECT true UNION ALL SELECT true", r"2 row\(s\)"),
        ("SELECT true WHERE false", r"no row\(s\)"),
        ("SELECT 1", "not a boolean"),
        ("SELECT true, 'a', 'b'", "3 columns"),
    ],
)
def test_anything_but_one_boolean_and_a_reason_is_refused(waiting: Mill, sql: str, problem: str) -> None:
    write(waiting, "", sql)
    with pytest.raises(SpecError, match=problem):
        ask(waiting)


def test_null_is_no(waiting: Mill) -> None:
    write(waiting, "", "SELECT max(shipped_at) > :end FROM shop.{model} WHERE false")
    assert (ask(waiting).outcome, "NULL" in ask(waiting).reason) == ("wait", True)


def test_a_query_cannot_write(waiting: Mill) -> None:
    waiting.sql("GRANT INSERT ON {t} TO tidemill_reader")
    write(waiting, "", "INSERT INTO shop.{model} (parcel_id) VALUES ('x') RETURNING true")
    with pytest.raises(Exception, match="read-only transaction"):
        ask(waiting)


def test_check_reports_a_query_that_is_missing_or_returns_something_else(waiting: Mill) -> None:
    assert check_models(waiting.workspace, [waiting.model], source=True) == []
    write(waiting, "", "SELECT count(*) FROM shop.{model} WHERE false")
    (problem,) = check_models(waiting.workspace, [waiting.model], source=True)
    assert "ready.sql returned 0, which is not a boolean. Let it return one row" in problem
    (waiting.workspace.sql / waiting.model / "ready.sql").unlink()
    (problem,) = check_models(waiting.workspace, [waiting.model], source=False)
    assert "ready.sql does not exist" in problem


# ---------------------------------------------------------------- from a shell


def command(mill: Mill, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    for name, value in mill.environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, ["predict", mill.model, *arguments])


def test_a_shell_says_why_and_scores_only_by_force(waiting: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(waiting, monkeypatch, "--partition", SCORED)
    assert done.exit_code != 0
    assert isinstance(done.exception, NotReady)
    assert f"is not ready: {PER_DAY // 2} parcels of {PER_DAY}" in str(done.exception)
    assert waiting.statuses() == []
    assert command(waiting, monkeypatch, "--partition", SCORED, "--force").exit_code == 0
    assert waiting.statuses() == ["published"]


def test_a_backfill_scores_what_is_ready_and_names_the_rest(waiting: Mill) -> None:
    policy = Policy(kind="live_then")
    found = backfill(waiting.spec, SCORED, NEXT, waiting.workspace, policy=policy)
    assert found.scored == (NEXT,)
    ((key, why),) = found.failed
    assert (key, "is not ready" in why) == (SCORED, True)
    forced = backfill(waiting.spec, SCORED, NEXT, waiting.workspace, policy=replace(policy, force=True))
    assert forced.scored == (SCORED,)


def test_without_a_question_everything_is_ready(mill: Mill) -> None:
    mill.write()
    refuse_unready(mill.workspace, mill.spec, mill.spec.partition(SCORED))


# ---------------------------------------------------------------- with Airflow dead


def due(spec: ModelSpec, by: str | None) -> ModelSpec:
    return spec.model_copy(update={"predict": spec.predict.model_copy(update={"by": by})})


def test_the_doctor_misses_a_partition_from_its_deadline_on(mill: Mill) -> None:
    mill.write()
    spec = due(mill.spec, "08:00")  # the tick is at five
    deadline = datetime(2024, 3, 25, 12, tzinfo=UTC)
    assert due_partitions(spec, deadline - timedelta(seconds=1))[0].key == "2024-03-24"
    assert due_partitions(spec, deadline)[0].key == SCORED
    assert due_partitions(due(mill.spec, None), deadline - timedelta(hours=1))[0].key == SCORED
    finding = check_freshness(spec, {"2024-03-24": False}, True, deadline)
    assert finding.severity is Health.FAIL
    assert finding.message == f"Late since 2024-03-25 08:00 EDT: no partition for {SCORED}; the newest is 2024-03-24."


# ---------------------------------------------------------------- the trigger


def fired(trigger: Any) -> TriggerEvent:
    async def first() -> TriggerEvent:
        return await anext(trigger.run())

    return asyncio.run(asyncio.wait_for(first(), 30))


@pytest.fixture
def trigger(waiting: Mill, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The trigger of the scored day, which asks as often as it can."""
    from tidemill_airflow import connections
    from tidemill_airflow.triggers import ready as readiness

    monkeypatch.setattr(readiness, "POLL_S", 0.0)
    monkeypatch.setattr(connections, "connection_url", waiting.workspace.connection)
    file = f"{waiting.model}/ready.sql"
    partition = waiting.spec.partition(SCORED)
    return readiness.ReadyTrigger(
        query={
            "connection": "warehouse",
            "sql": waiting.workspace.query(file),
            "file": file,
            "parameters": {
                "start": partition.interval.start,
                "end": partition.interval.end,
                "cutoff": partition.cutoff,
            },
        },
        until=None,
    )


def test_the_trigger_fires_once_the_query_says_yes(waiting: Mill, trigger: Any) -> None:
    answers = []
    ask_once = trigger._fires

    def counted() -> bool:
        answers.append(ask_once())
        if len(answers) == 3:
            load(waiting)
        return bool(answers[-1])

    trigger._fires = counted
    assert fired(trigger).payload is True
    assert answers == [False, False, False, True]


def test_the_trigger_fires_at_its_instant_without_a_yes(trigger: Any) -> None:
    trigger.until = datetime.now(UTC) + timedelta(milliseconds=200)
    assert fired(trigger).payload is True
    assert datetime.now(UTC) >= trigger.until


def test_the_trigger_survives_a_restart(trigger: Any) -> None:
    path, arguments = trigger.serialize()
    assert path == "tidemill_airflow.triggers.ready.ReadyTrigger"
    assert vars(type(trigger)(**arguments)) == vars(trigger)
