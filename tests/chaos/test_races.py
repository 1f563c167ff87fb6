"""Many at once: one partition, one champion, and a reader that looks all the time (F19, F27, P2, P3, P8)."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tidemill.machine.polling import until
from tidemill.warehouse.predictions.rows import ScoredRows

from ..integration.data import NEXT, SCORED
from .conftest import PUBLISHES, ROUNDS, Proved, Subject, release_and_snapshot
from .tables import check_history
from .victim import constant_rows

N_PROCESSES = 8
N_BEFORE_LOOK = 20  # publishes at least that the reader has to have come between


@pytest.mark.timeout(600)
def test_eight_processes_on_one_partition_leave_one_whole_run(serving: Subject, proved: Proved) -> None:
    inputs = [serving.inputs(n_rows=50 + number) for number in range(N_PROCESSES)]
    n_stale = 0
    for _ in range(ROUNDS):
        with serving.nursery.gate(N_PROCESSES) as gate:
            racers = [
                serving.start("attempt", score=number / 10, gate=gate, **inputs[number])
                for number in range(N_PROCESSES)
            ]
        endings = [racer.end() for racer in racers]
        assert {ending.ended for ending in endings} <= {"done", "StaleAttempt"}, [e.message for e in endings]
        n_stale += sum(ending.ended == "StaleAttempt" for ending in endings)
        _check_one_whole_run(serving)
    n_events = check_history(serving.mill, SCORED)
    statuses = serving.mill.statuses()
    assert statuses.count("published") == 1
    assert statuses.count("stale") == n_stale
    assert n_events + n_stale == ROUNDS * N_PROCESSES
    proved("F27 P3 P4", rounds=ROUNDS, attempts=ROUNDS * N_PROCESSES, published=n_events, stale=n_stale)


def _check_one_whole_run(subject: Subject) -> None:
    """One run is visible, whole, each key once, and it is that of the newest claim."""
    (row,) = subject.mill.sql(
        "SELECT count(*), count(DISTINCT v.parcel_id), min(r.n_rows), count(DISTINCT v.prediction_run_id),"
        " bool_and(r.token = c.token) FROM predictions.{m} v JOIN tidemill.prediction_run r USING (prediction_run_id)"
        " JOIN tidemill.claim c ON c.model = '{m}' AND c.partition = v.partition WHERE v.partition = %s",
        SCORED,
    )
    assert row == (row[2], row[2], row[2], 1, True)


@pytest.mark.timeout(600)
def test_first_declaration_of_a_model_by_eight_processes(new_serving: Any, proved: Proved) -> None:
    """Its table and view come into being while others already write: ATTACH once met a concurrent GRANT here."""
    for _ in range(max(ROUNDS // 10, 2)):
        subject = new_serving()
        inputs = subject.inputs()
        with subject.nursery.gate(N_PROCESSES) as gate:
            racers = [subject.start("attempt", score=0.5, gate=gate, **inputs) for _ in range(N_PROCESSES)]
        endings = [racer.end() for racer in racers]
        assert {ending.ended for ending in endings} <= {"done", "StaleAttempt"}, [e.message for e in endings]
        _check_one_whole_run(subject)
        proved("F27 P3", first_declarations=1)


@pytest.mark.timeout(180)
def test_declaration_that_comes_second_touches_nothing(serving: Subject, proved: Proved) -> None:
    inputs = serving.inputs()
    writers = "FROM pg_stat_activity WHERE usename = 'tidemill_writer'"
    first = serving.start("attempt", "declare-before-commit:stop", score=0.25, **inputs)
    first.wait_until_stopped()
    ((transaction,),) = serving.server.as_admin(f"SELECT backend_xid::text {writers} AND backend_xid IS NOT NULL")
    second = serving.start("attempt", score=0.75, **inputs)
    assert until(lambda: bool(serving.server.as_admin(f"SELECT 1 {writers} AND wait_event_type = 'Lock'")), 4)
    first.resume()
    assert {first.end().ended, second.end().ended} <= {"done", "StaleAttempt"}
    assert serving.mill.sql("SELECT xmin::text FROM tidemill.model WHERE model = '{m}'") == [(transaction,)]
    proved("F27 P3", second_declarations=1)


@pytest.mark.timeout(600)
def test_reader_sees_exactly_one_whole_run_at_each_look(serving: Subject, tmp_path: Path, proved: Proved) -> None:
    publisher, run_id = serving.mill.publisher, serving.mill.start_run()
    choices = [release_and_snapshot(serving.inputs(n_rows=50 + number)) for number in range(5)]

    def publish(number: int) -> None:
        release, snapshot = choices[number % len(choices)]
        token = publisher.claim(serving.mill.model, SCORED, run_id)
        rows = constant_rows(snapshot, number / PUBLISHES)
        publisher.publish(
            publisher.write(
                release, snapshot, ScoredRows(published=rows.to_batches()), token=token, threshold=0.5, run_id=run_id
            )
        )

    publisher.declare(serving.mill.model, "parcel_id", "shipped_at")
    publish(0)
    done = tmp_path / "done"
    reader = serving.start(
        "poll",
        url=serving.server.url("tidemill_reader"),
        model=serving.mill.model,
        partition=SCORED,
        key="parcel_id",
        until_exists=str(done),
    )
    for number in range(1, PUBLISHES + 1):
        publish(number)
    done.touch()
    ending = reader.end()
    assert ending.ended == "done", ending.message
    assert ending.result["wrong"] == []
    assert ending.result["n_runs"] > min(N_BEFORE_LOOK, PUBLISHES // 2)
    check_history(serving.mill, SCORED)
    proved("P2", publishes=PUBLISHES, reads=ending.result["n_reads"], runs_seen=ending.result["n_runs"])


@pytest.mark.timeout(600)
def test_of_two_promotions_one_wins_and_one_is_told_so(serving: Subject, trained: Any, proved: Proved) -> None:
    mill = serving.mill
    champion = mill.resolve().release_id
    start = mill.spec.partition(NEXT).cutoff
    for number in range(ROUNDS):
        rivals = [mill.register(trained[1], NEXT, bundle_digest=f"{number:032x}{rival:032x}") for rival in (1, 2)]
        at = (start + timedelta(minutes=number)).isoformat()
        with serving.nursery.gate(2) as gate:
            racers = [
                serving.start("promote", model=mill.model, release_id=rival, expected=champion, live_from=at, gate=gate)
                for rival in rivals
            ]
        endings = dict(zip(rivals, (racer.end() for racer in racers), strict=True))
        assert sorted(ending.ended for ending in endings.values()) == ["LostRace", "done"]
        champion = next(rival for rival, ending in endings.items() if ending.ended == "done")
        assert mill.promoter.champion(mill.model).release_id == champion
    deployments = mill.promoter.deployments(mill.model)[::-1]
    assert [item.previous_release_id for item in deployments] == [None, *(item.release_id for item in deployments[:-1])]
    assert (deployments[-1].release_id, len(deployments)) == (champion, ROUNDS + 1)
    audited = mill.sql("SELECT count(*) FROM tidemill.audit WHERE model = '{m}' AND event = 'promote'")
    assert audited == [(ROUNDS + 1,)]
    proved("F19 P8", rounds=ROUNDS, lost_races=ROUNDS)
