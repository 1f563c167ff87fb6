"""Postgres goes away: at the worst instant, by one backend, by all of them, or before we begin (F06 to F09)."""

import os
import signal
from collections.abc import Iterator
from typing import Any, Literal

import psycopg2
import pytest

from tidemill.errors import WarehouseUnavailable
from tidemill.machine.polling import until
from tidemill.records import PredictionRef
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.releases.registry import Releases

from ..integration.data import NEXT, PER_DAY, SCORED
from .conftest import Proved, Subject
from .proxy import CuttingProxy
from .tables import check_history

WHEN = pytest.mark.parametrize("when", ["before", "after"])
ABSENT_LIMIT_S = 15  # a refused connection is known at once; a silent host costs CONNECT_TIMEOUT_S


@pytest.fixture
def proxy(serving: Subject) -> Iterator[CuttingProxy]:
    one = CuttingProxy(serving.server.port)
    yield one
    one.close()


def through(proxy: CuttingProxy, subject: Subject, role: str) -> str:
    return subject.server.url(role, proxy.port)


def publish_events(subject: Subject) -> int:
    (row,) = subject.mill.sql("SELECT count(*) FROM tidemill.audit WHERE model = '{m}' AND event = 'publish'")
    return int(row[0])


def settled(subject: Subject) -> bool:
    """Whether the server has noticed that the writer's and the promoter's connections are gone."""
    return not subject.mill.sql(
        "SELECT 1 FROM pg_stat_activity WHERE usename IN ('tidemill_writer', 'tidemill_promoter')"
    )


# ---------------------------------------------------------------- COMMIT


@pytest.mark.timeout(180)
@WHEN
def test_publish_whose_commit_is_cut_is_decided_by_the_ledger(
    serving: Subject, proxy: CuttingProxy, proved: Proved, when: Literal["before", "after"]
) -> None:
    written = serving.mill.predict_only()
    publisher = Publisher(through(proxy, serving, "tidemill_writer"))
    proxy.arm(b"tidemill.move_pointer(", when)
    with pytest.raises(WarehouseUnavailable):
        publisher.publish(written)
    assert proxy.cuts == 1
    assert until(lambda: settled(serving), 10)
    assert (publish_events(serving), len(serving.view())) == ((0, 0) if when == "before" else (1, PER_DAY))
    publisher.publish(written)
    assert (publish_events(serving), len(serving.view())) == (1, PER_DAY)
    check_history(serving.mill, SCORED)
    proved("F05 F06", cut_commits=1)


@pytest.mark.timeout(180)
def test_lost_answer_is_found_even_if_a_newer_attempt_has_claimed_since(
    serving: Subject, proxy: CuttingProxy, proved: Proved
) -> None:
    written = serving.mill.predict_only()
    publisher = Publisher(through(proxy, serving, "tidemill_writer"))
    proxy.arm(b"tidemill.move_pointer(", "after")
    with pytest.raises(WarehouseUnavailable):
        publisher.publish(written)
    newer = serving.mill.predict_only()
    publisher.publish(written)  # it has published, and is told so
    publisher.publish(newer)
    assert serving.mill.statuses() == ["superseded", "published"]
    check_history(serving.mill, SCORED)
    proved("F05 F06", cut_commits=1)


@pytest.mark.timeout(180)
@WHEN
def test_write_whose_commit_is_cut_is_written_again(
    serving: Subject, proxy: CuttingProxy, proved: Proved, when: Literal["before", "after"]
) -> None:
    proxy.arm(b"seal_prediction_run", when)
    run = serving.nursery.run("predict", serving.environment(proxy.port), model=serving.mill.model, partition=SCORED)
    assert (run.ended, proxy.cuts) == ("WarehouseUnavailable", 1)
    assert serving.view() == []
    again = serving.nursery.run("predict", serving.environment(proxy.port), model=serving.mill.model, partition=SCORED)
    assert (again.ended, len(serving.view()), publish_events(serving)) == ("done", PER_DAY, 1)
    proved("F06", cut_commits=1)


@pytest.mark.timeout(180)
@WHEN
def test_promotion_whose_commit_is_cut_is_decided_by_the_ledger(
    serving: Subject, trained: Any, proxy: CuttingProxy, proved: Proved, when: Literal["before", "after"]
) -> None:
    mill = serving.mill
    champion, release_id = mill.resolve().release_id, mill.register(trained[1], NEXT)
    releases = Releases(through(proxy, serving, "tidemill_promoter"))

    def promote() -> None:
        releases.promote(
            mill.model,
            Promotion(
                release_id=release_id,
                expected=champion,
                live_from=mill.spec.partition(NEXT).cutoff,
                approved_by="gate",
                reason="For a test.",
            ),
        )

    proxy.arm(b"tidemill.deploy(", when)
    with pytest.raises(WarehouseUnavailable):
        promote()
    assert proxy.cuts == 1
    assert until(lambda: settled(serving), 10)
    promote()
    assert [item.release_id for item in mill.promoter.deployments(mill.model)] == [release_id, champion]
    proved("F06 P8", cut_commits=1)


# ---------------------------------------------------------------- the server


def backend_of(subject: Subject) -> int:
    """Return the server's process that takes the rows of the attempt that is frozen in the middle of its COPY."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tidemill-predict %' AND query LIKE 'COPY%'"
    assert until(lambda: bool(subject.server.as_admin(query)), 10)
    return int(subject.server.as_admin(query)[0][0])


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["pg_terminate_backend", "SIGKILL of the backend", "SIGKILL of the postmaster"])
def test_server_that_dies_in_the_middle_of_copy_loses_nothing(serving: Subject, proved: Proved, how: str) -> None:
    inputs = serving.inputs()
    assert serving.run("attempt", score=0.25, **inputs).ended == "done"
    before = serving.view("parcel_id, score, prediction_run_id")
    cut = serving.start("attempt", "write-in-copy:stop", score=0.5, **inputs)
    cut.wait_until_stopped()
    pid = backend_of(serving)
    if how == "pg_terminate_backend":
        serving.server.as_admin(f"SELECT pg_terminate_backend({pid})")
    elif how == "SIGKILL of the backend":
        os.kill(pid, signal.SIGKILL)
    else:
        serving.server.kill()
        serving.server.start()
    assert until(lambda: serving.server.is_ready() and not _lives(pid), 60)
    assert serving.view("parcel_id, score, prediction_run_id") == before
    cut.resume()
    ending = cut.end()
    assert ending.ended == "WarehouseUnavailable", ending.message
    assert serving.run("attempt", score=0.75, **inputs).ended == "done"
    assert set(serving.view("score")) == {(0.75,)}
    check_history(serving.mill, SCORED)
    proved("F07 F08", servers_killed=1)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(180)
def test_absent_server_is_named_without_its_password(serving: Subject, proved: Proved) -> None:
    word = serving.server.password("tidemill_writer")
    serving.server.stop()
    try:
        ending = serving.predict()
    finally:
        serving.server.start()
    assert ending.ended == "WarehouseUnavailable"
    assert f"warehouse at 127.0.0.1:{serving.server.port}" in ending.message
    assert word not in ending.message
    assert ending.seconds < ABSENT_LIMIT_S
    assert serving.predict().ended == "done"
    proved("F09 P16 P18", absent_servers=1)


@pytest.mark.timeout(180)
def test_full_server_is_tried_again(serving: Subject, proved: Proved) -> None:
    """Too many connections are a matter of time (F12)."""
    serving.server.as_admin("ALTER ROLE tidemill_writer CONNECTION LIMIT 1")
    try:
        with psycopg2.connect(serving.server.url("tidemill_writer")) as holder:
            ending = serving.predict()
        holder.close()
    finally:
        serving.server.as_admin("ALTER ROLE tidemill_writer CONNECTION LIMIT -1")
    assert ending.ended == "WarehouseUnavailable"
    assert "too many connections" in ending.message
    assert serving.predict().ended == "done"
    proved("F12", refused_connections=1)


def test_record_of_a_prediction_survives_the_journey() -> None:
    """``publish`` in another process is given the record as JSON types."""
    record = PredictionRef(
        model="m",
        partition="2024-03-25",
        prediction_run_id=1,
        release_id=1,
        token=1,
        n_rows=1,
        checksum="0",
        mean_score=0.5,
    )
    assert PredictionRef.from_dict(record.to_dict()) == record
