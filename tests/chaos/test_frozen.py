"""A process that is frozen keeps nobody else waiting, and changes nothing when it wakes up (F03, P4)."""

import os
import signal
import time
from datetime import timedelta
from typing import Any

import pytest

from tidemill.doctor import examine
from tidemill.machine.polling import until
from tidemill.retention import collect_garbage
from tidemill.warehouse import lost_runs as lost
from tidemill.warehouse.connections import IDLE_TIMEOUT_S
from tidemill.warehouse.lost_runs import close_lost_runs

from ..integration.data import NEXT, PER_DAY, SCORED
from .conftest import Proved, Subject, some
from .nursery import Victim
from .tables import check_history

LIMIT_S = 15  # in which the others have to come through
OLD, NEW = 0.25, 0.75


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "point",
    ["claim-before-commit", "claim-after-commit", "write-opened", "write-in-copy", "write-before-commit",
     "write-after-commit", "publish-before-commit"],
)  # fmt: skip
def test_another_attempt_publishes_while_one_is_frozen(serving: Subject, proved: Proved, point: str) -> None:
    inputs = serving.inputs()
    frozen = serving.start("attempt", f"{point}:stop", score=OLD, **inputs)
    frozen.wait_until_stopped()
    started = time.monotonic()
    assert serving.run("attempt", score=NEW, **inputs).ended == "done"
    assert time.monotonic() - started < LIMIT_S
    assert set(serving.view("score")) == {(NEW,)}
    frozen.resume()
    ending = frozen.end()
    # One that was frozen in a transaction has lost its connection; all others meet the newer claim.
    lost = point in ("claim-before-commit", "write-before-commit", "publish-before-commit")
    assert ending.ended == ("WarehouseUnavailable" if lost else "StaleAttempt")
    assert (len(serving.view()), set(serving.view("score"))) == (PER_DAY, {(NEW,)})
    check_history(serving.mill, SCORED)
    proved("F03 P4", frozen_attempts=1)


@pytest.mark.timeout(180)
def test_frozen_publish_does_not_keep_another_model_waiting(
    serving: Subject, new_serving: object, proved: Proved
) -> None:
    """Its row of the audit chain is locked until the server has given up on it."""
    other: Subject = new_serving()
    frozen = serving.start("attempt", "publish-before-commit:stop", score=OLD, **serving.inputs())
    frozen.wait_until_stopped()
    ending = other.run("attempt", score=NEW, **other.inputs())
    assert (ending.ended, ending.seconds < LIMIT_S) == ("done", True)
    frozen.resume()
    assert frozen.end().ended == "WarehouseUnavailable"
    assert serving.view("score") == []
    proved("F03 P19", frozen_attempts=1)


@pytest.mark.timeout(180)
def test_frozen_promotion_does_not_keep_another_waiting(serving: Subject, trained: tuple, proved: Proved) -> None:
    mill = serving.mill
    champion = mill.resolve().release_id
    slow, quick = (mill.register(trained[1], day) for day in (SCORED, NEXT))
    at = mill.spec.partition(NEXT).cutoff.isoformat()
    inputs = {"model": mill.model, "expected": champion, "live_from": at}
    frozen = serving.start("promote", "promote-before-commit:stop", release_id=slow, **inputs)
    frozen.wait_until_stopped()
    ending = serving.run("promote", release_id=quick, **inputs)
    assert (ending.ended, ending.seconds < LIMIT_S) == ("done", True)
    frozen.resume()
    assert frozen.end().ended == "WarehouseUnavailable"
    assert mill.promoter.champion(mill.model).release_id == quick
    proved("F03 P8", frozen_promotions=1)


def test_server_gives_up_a_frozen_transaction_before_the_others_lose_patience() -> None:
    assert IDLE_TIMEOUT_S < LIMIT_S


# ---------------------------------------------------------------- two attempts at one task


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "point", some(("renew-after-commit", "write-opened", "write-in-copy", "write-after-commit"), "write-in-copy")
)
def test_older_of_two_attempts_at_one_task_is_stale(serving: Subject, proved: Proved, point: str) -> None:
    """Both have what the first task of the chain has given them, its claim too; Airflow started the newer one."""
    release, snapshot = serving.mill.resolve(), serving.mill.extract("score", SCORED)
    inputs: dict[str, Any] = {"release": release.to_dict(), "snapshot": snapshot.to_dict()}
    older = serving.start_step("predict", f"{point}:stop", **inputs)
    older.wait_until_stopped()
    newer = serving.start_step("predict", **inputs).end()
    assert newer.ended == "done", newer.message
    older.resume()
    assert older.end().ended == "StaleAttempt"
    runs = serving.runs("predict")
    assert [status for status, _ in runs] == ["failed", "succeeded"]
    assert "StaleAttempt" in str(runs[0][1])
    assert serving.start_step("publish", prediction=newer.result).end().ended == "done"
    assert serving.mill.statuses() == ["stale", "published"] or point == "renew-after-commit"
    check_history(serving.mill, SCORED)
    proved("F30 P4", overlapping_attempts=1)


@pytest.mark.timeout(180)
def test_attempt_of_a_chain_that_was_overtaken_does_not_even_score(serving: Subject, proved: Proved) -> None:
    release, snapshot = serving.mill.resolve(), serving.mill.extract("score", SCORED)
    assert serving.predict().ended == "done"
    late = serving.start_step("predict", release=release.to_dict(), snapshot=snapshot.to_dict()).end()
    assert (late.ended, "has written nothing" in late.message) == ("StaleAttempt", True)
    assert serving.mill.statuses() == ["published"]
    proved("P4", overtaken_chains=1)


# ---------------------------------------------------------------- the janitor


def sessions(subject: Subject, victim: Victim, what: str) -> int:
    """Count the sessions of one process: those that other tests have left say nothing."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '{what} %:{victim.pid}:%'"
    return int(subject.server.as_admin(query)[0][0])


SOON = timedelta(seconds=2)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("who", some(("the next step", "the doctor", "retention"), "the doctor"))
def test_session_of_a_process_frozen_in_copy_is_ended(
    serving: Subject, proved: Proved, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = serving.start("predict", "write-in-copy:stop", model=serving.mill.model, partition=SCORED)
    frozen.wait_until_stopped()
    assert until(lambda: sessions(serving, frozen, "tidemill-predict") == 1, 5)
    workspace, url = serving.mill.workspace, serving.server.url("tidemill_writer")
    assert close_lost_runs(url, model=serving.mill.model) == ()  # not yet
    assert sessions(serving, frozen, "tidemill-predict") == 1
    assert until(lambda: bool(_lost(serving)), 10)
    monkeypatch.setitem(close_lost_runs.__kwdefaults__, "frozen_after", SOON)
    if who == "the next step":
        serving.mill.extract("score", NEXT)
    elif who == "the doctor":
        examine(workspace, repair=True)
    else:
        collect_garbage(workspace)
    assert until(lambda: sessions(serving, frozen, "tidemill-predict") == 0, 5)
    ((status, error),) = serving.runs("predict")
    assert (status, str(error)[:31]) == ("failed", "Frozen: no sign of life since 2")
    ((role, query),) = serving.mill.sql(
        "SELECT details #>> '{sessions,0,role}', details #>> '{sessions,0,query}' FROM tidemill.audit"
        " WHERE model = '{m}' AND event = 'close_run'"
    )
    assert (role, query[:29]) == ("tidemill_writer", "COPY tidemill.prediction_run_")
    frozen.resume()
    assert frozen.end().ended == "WarehouseUnavailable"
    assert serving.runs("predict")[0][1] != error  # its own word is the last
    assert serving.predict().ended == "done"
    proved("F03", ended_sessions=1)


def _lost(subject: Subject) -> tuple[lost.LostRun, ...]:
    with lost.transaction(subject.server.url("tidemill_writer")) as cursor:
        return lost.lost_runs(cursor, subject.mill.model, frozen_after=SOON)


@pytest.mark.timeout(180)
def test_process_whose_pulse_stops_is_frozen_and_one_that_only_takes_long_is_not(
    serving: Subject, proved: Proved
) -> None:
    slow = serving.start("predict", "write-in-copy:sleep=600", model=serving.mill.model, partition=SCORED)
    copying = (
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY tidemill%' AND clock_timestamp() - query_start > '4 s'"
        f" AND application_name LIKE '%:{slow.pid}:%'"
    )
    assert until(lambda: bool(serving.server.as_admin(copying)), 30)
    assert sessions(serving, slow, "tidemill-pulse") == 1
    assert _lost(serving) == ()  # its COPY has waited for it for longer than SOON, and it lives
    os.kill(slow.pid, signal.SIGSTOP)
    slow.wait_until_stopped()
    assert until(lambda: bool(_lost(serving)), 10)
    (found,) = close_lost_runs(serving.server.url("tidemill_writer"), model=serving.mill.model, frozen_after=SOON)
    assert found.last_sign is not None
    assert until(
        lambda: (sessions(serving, slow, "tidemill-pulse"), sessions(serving, slow, "tidemill-predict")) == (0, 0), 5
    )
    os.kill(slow.pid, signal.SIGKILL)
    assert slow.end().signal == signal.SIGKILL
    proved("F03", ended_sessions=2)
