"""Publishing: readers see the old rows or the new ones, whoever competes and whatever is killed."""

import contextlib
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg2
import pyarrow as pa
import pytest

from tidemill.checking import check_models
from tidemill.errors import IncompletePublish, SettingsError, StaleAttempt, TidemillError
from tidemill.machine.polling import until
from tidemill.records import PredictionRef, ReleaseRef, SnapshotRef
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.predictions.rows import ScoredRows

from .data import NEXT, PER_DAY, SCORED, Mill

FORK = multiprocessing.get_context("fork")  # children start in milliseconds, with all imports done
N_PROCESSES = 8
N_PUBLISHES = 50


@pytest.fixture
def attempt(serving: Mill) -> Callable[..., PredictionRef]:
    """Write rows for a partition under a new claim, without scoring; ``score`` stands in every row."""
    release, snapshot = serving.resolve(), serving.extract("score", SCORED)
    run_id = serving.start_run()
    serving.publisher.declare(serving.model, "parcel_id", "shipped_at")

    def write(score: float = 0.5, n_rows: int = PER_DAY, token: int | None = None) -> PredictionRef:
        token = serving.publisher.claim(serving.model, SCORED, run_id) if token is None else token
        rows = table_of(serving, score, n_rows)
        return serving.publisher.write(
            release, snapshot, ScoredRows(published=rows.to_batches()), token=token, threshold=0.5, run_id=run_id
        )

    return write


def table_of(mill: Mill, score: float, n_rows: int = PER_DAY) -> pa.Table:
    keys = [f"20240325-{number:03}" for number in range(n_rows)]
    at = pa.array([mill.spec.partition(SCORED).cutoff] * n_rows, pa.timestamp("us", "UTC"))
    return pa.table({"entity_key": keys, "event_time": at, "score": pa.array([score] * n_rows, pa.float64())})


# --- what a reader's query touches


@pytest.fixture
def shown(serving: Mill) -> Mill:
    """A small model with two published days, one of them twice."""
    for day in (SCORED, NEXT, SCORED):
        serving.predict(day)
    return serving


def locked_runs(mill: Mill, where: str) -> set[int]:
    """Return the prediction runs whose tables a query of the view locks: those that stand in its plan."""
    with transaction(mill.workspace.connection("warehouse")) as cursor:
        cursor.execute(f"SELECT * FROM predictions.{mill.model} WHERE {where}")
        cursor.execute(
            "SELECT r.prediction_run_id FROM pg_locks JOIN tidemill.prediction_run r"
            " ON relation = to_regclass('tidemill.prediction_run_' || r.prediction_run_id)"
            " WHERE pid = pg_backend_pid() AND r.model = %s",
            (mill.model,),
        )
        return {number for (number,) in cursor.fetchall()}


def runs_of(mill: Mill, *days: str) -> set[int]:
    return {
        number
        for (number,) in mill.sql(
            "SELECT prediction_run_id FROM tidemill.prediction_run WHERE model = '{m}' AND partition = ANY(%s)",
            list(days),
        )
    }


@pytest.mark.parametrize(
    "where", ["partition = '2024-03-25'", "partition < '2024-03-26'", "partition IN ('2024-03-25')"]
)
def test_reader_who_names_a_partition_touches_no_other_partition_s_runs(shown: Mill, where: str) -> None:
    assert locked_runs(shown, where) == runs_of(shown, SCORED)


def test_reader_who_names_no_partition_reads_them_all(shown: Mill) -> None:
    assert locked_runs(shown, "score > 0") == runs_of(shown, SCORED, NEXT)


def test_attaching_a_run_does_not_read_its_rows_again(serving: Mill) -> None:
    """The constraints of its table say all that the attach has to know."""
    written = serving.predict_only()
    table = f"tidemill.prediction_run_{written.prediction_run_id}"
    with transaction(serving.owner_url) as cursor:
        cursor.execute("SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = %s::regclass", (table,))
        ((parent,),) = cursor.fetchall()
        cursor.execute(f"ALTER TABLE {parent} DETACH PARTITION {table}; SET LOCAL client_min_messages = debug1")
        cursor.execute(f"ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES IN ({written.prediction_run_id})")
        said = " ".join(cursor.connection.notices)
    assert "implied by existing constraints" in said


# --- running a partition again


def test_partition_that_is_run_twice_has_the_same_rows(serving: Mill) -> None:
    serving.predict()
    before = serving.view()
    serving.predict()
    assert serving.view() == before


def test_partition_that_is_run_twice_has_one_published_run_and_one_superseded(serving: Mill) -> None:
    serving.predict()
    serving.predict()
    assert serving.statuses() == ["superseded", "published"]


def test_partition_that_is_run_twice_has_the_same_checksum(serving: Mill) -> None:
    assert serving.predict()["predict"]["checksum"] == serving.predict()["predict"]["checksum"]


def test_older_run_stays_readable(serving: Mill) -> None:
    first = serving.predict()["predict"]["prediction_run_id"]
    serving.predict()
    assert serving.publisher.scores(first).num_rows == PER_DAY


def test_other_partitions_are_not_touched(serving: Mill) -> None:
    serving.predict(NEXT)
    before = serving.view(NEXT)
    serving.predict(SCORED)
    assert serving.view(NEXT) == before


def test_dry_run_publishes_nothing(serving: Mill) -> None:
    serving.predict(dry_run=True)
    assert (serving.view(), serving.statuses()) == ([], ["written"])


def test_dry_run_does_not_make_a_real_attempt_stale(serving: Mill) -> None:
    real = serving.predict_only()
    serving.predict(dry_run=True)
    serving.publisher.publish(real)
    assert len(serving.view()) == PER_DAY


def test_attempt_that_read_the_source_first_does_not_publish_last(serving: Mill) -> None:
    release, old = serving.resolve(), serving.extract("score", SCORED)
    serving.sql("UPDATE {t} SET distance_km = distance_km + 5 WHERE parcel_id LIKE '20240325-%%'")
    serving.predict()
    newest = serving.view()
    with contextlib.suppress(StaleAttempt):
        late = serving.step("predict", "predict", SCORED, release=release.to_dict(), snapshot=old.to_dict())
        serving.step("predict", "publish", SCORED, prediction=late)
    assert serving.view() == newest


# --- what a reader sees


def test_view_has_the_names_of_the_model_s_own_key_and_time(serving: Mill) -> None:
    serving.predict()
    names = serving.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'predictions' AND table_name = '{m}'"
        " ORDER BY ordinal_position"
    )
    assert [name for (name,) in names][:5] == ["partition", "parcel_id", "shipped_at", "score", "predicted_label"]


def test_rows_that_are_not_published_are_not_in_the_view(serving: Mill) -> None:
    serving.predict_only()
    assert serving.view() == []


def test_row_leads_back_to_its_release(serving: Mill) -> None:
    release_id = serving.predict()["resolve_release"]["release_id"]
    assert set(serving.view(columns="release_id")) == {(release_id,)}


def test_predicted_label_follows_the_threshold(serving: Mill) -> None:
    serving.predict()
    (threshold,) = serving.sql("SELECT threshold FROM tidemill.prediction_run WHERE model = '{m}'")[0]
    assert all(label == (score >= threshold) for score, label in serving.view(columns="score, predicted_label"))


def test_renamed_key_renames_the_column_of_the_view(serving: Mill) -> None:
    serving.predict()
    serving.publisher.declare(serving.model, "box_id", "shipped_at")
    assert len(serving.sql("SELECT box_id FROM predictions.{m}")) == PER_DAY


# --- what others have built on the view


def built_on(serving: Mill, columns: str) -> str:
    """Create an analyst's view on the model's own, and return its name."""
    name = f"public.of_{serving.model}"
    serving.sql(f"CREATE VIEW {name} AS SELECT {columns} FROM predictions.{{m}}")
    return name


@pytest.mark.parametrize(
    ("key", "time"), [("box_id", "shipped_at"), ("parcel_id", "sent_at"), ("shipped_at", "parcel_id")]
)
def test_new_names_of_key_and_time_leave_what_was_built_on_the_view(serving: Mill, key: str, time: str) -> None:
    serving.predict()
    name = built_on(serving, "parcel_id, shipped_at, score")
    before = serving.sql(f"SELECT * FROM {name} ORDER BY 1")
    serving.publisher.declare(serving.model, key, time)
    assert serving.sql(f"SELECT * FROM {name} ORDER BY 1") == before
    assert serving.sql(f"SELECT {key}, {time}, score FROM predictions.{{m}} ORDER BY 1") == before


def test_another_task_is_refused_with_a_message_before_anything_runs(serving: Mill) -> None:
    serving.predict()
    name = built_on(serving, "parcel_id, predicted_label")
    before = serving.sql("SELECT token FROM tidemill.claim WHERE model = '{m}'")
    serving.sql("UPDATE tidemill.model SET task = 'regression' WHERE model = '{m}'")  # as if it had been one so far
    named = rf"from regression to binary.*predictions\.{serving.model}, on which (public\.)?of_{serving.model} depends"
    with pytest.raises(SettingsError, match=named):
        serving.step("predict", "resolve_release", SCORED)
    with pytest.raises(SettingsError, match=f"of_{serving.model} depends"):
        serving.publisher.declare(serving.model, "parcel_id", "shipped_at", "binary")
    (problem,) = check_models(serving.workspace, [serving.model], source=True)
    assert re.search(named, problem)
    assert serving.sql("SELECT token FROM tidemill.claim WHERE model = '{m}'") == before
    serving.sql(f"DROP VIEW {name}")
    assert check_models(serving.workspace, [serving.model], source=True) == []
    serving.predict()


def test_grants_and_comments_survive_every_change_of_the_view(serving: Mill) -> None:
    serving.predict()
    serving.sql(
        "GRANT SELECT ON predictions.{m} TO PUBLIC; GRANT UPDATE (release_id) ON predictions.{m} TO tidemill_reader;"
        " COMMENT ON VIEW predictions.{m} IS 'Ours.'; COMMENT ON COLUMN predictions.{m}.parcel_id IS 'The box.'"
    )
    serving.publisher.declare(serving.model, "box_id", "sent_at", "regression")
    serving.publisher.declare(serving.model, "box_id", "sent_at", "multiclass")
    ((may, comment, of_key, columns),) = serving.sql(
        "SELECT has_table_privilege('public', 'predictions.{m}', 'SELECT'),"
        " obj_description('predictions.{m}'::regclass), col_description('predictions.{m}'::regclass, 2),"
        " (SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute"
        "  WHERE attrelid = 'predictions.{m}'::regclass AND attacl IS NOT NULL)"
    )
    # The server is shared, and other tests examine who may do what.
    serving.sql("REVOKE SELECT ON predictions.{m} FROM PUBLIC")
    serving.sql("REVOKE UPDATE (release_id) ON predictions.{m} FROM tidemill_reader")
    assert (may, comment, of_key, columns) == (True, "Ours.", "The box.", "release_id")


def test_reader_that_polls_sees_one_whole_run_at_each_look(
    warehouse: Any, serving: Mill, attempt: Callable[..., PredictionRef]
) -> None:
    serving.publisher.publish(attempt(0.0))
    done, seen = threading.Event(), []

    def poll() -> None:
        connection = psycopg2.connect(warehouse.url("tidemill_reader"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute(
                    f"SELECT count(*), count(DISTINCT prediction_run_id), count(DISTINCT score)"
                    f" FROM predictions.{serving.model} WHERE partition = '{SCORED}'"
                )
                seen.append(cursor.fetchone())
        connection.close()

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for number in range(N_PUBLISHES):
            serving.publisher.publish(attempt(number / N_PUBLISHES))
    finally:
        done.set()
        reader.join()
    assert len(seen) > N_PUBLISHES
    assert set(seen) == {(PER_DAY, 1, 1)}


# --- claims


def test_older_claim_cannot_publish(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    older = attempt(0.1)
    serving.publisher.publish(attempt(0.9))
    with pytest.raises(StaleAttempt, match="a newer attempt has claimed the partition"):
        serving.publisher.publish(older)


def test_refused_attempt_is_recorded_as_stale(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    older, _ = attempt(0.1), attempt(0.9)
    with pytest.raises(StaleAttempt):
        serving.publisher.publish(older)
    assert serving.statuses() == ["stale", "written"]


def test_refused_attempt_leaves_the_rows_of_the_newer_one(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    older, newer = attempt(0.1), attempt(0.9)
    serving.publisher.publish(newer)
    with pytest.raises(StaleAttempt):
        serving.publisher.publish(older)
    assert set(serving.view(columns="score")) == {(0.9,)}


def test_superseded_run_cannot_come_back_by_its_old_claim(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    older = attempt(0.1)
    serving.publisher.publish(older)
    serving.publisher.publish(attempt(0.9))
    with pytest.raises(StaleAttempt):
        serving.publisher.publish(older)


def test_publishing_twice_changes_nothing(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    prediction = attempt()
    serving.publisher.publish(prediction)
    before = serving.sql("SELECT * FROM tidemill.published WHERE model = '{m}'")
    serving.publisher.publish(prediction)
    assert serving.sql("SELECT * FROM tidemill.published WHERE model = '{m}'") == before


def test_publishing_twice_is_one_event(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    prediction = attempt()
    serving.publisher.publish(prediction)
    serving.publisher.publish(prediction)
    events = serving.sql("SELECT count(*) FROM tidemill.audit WHERE model = '{m}' AND event = 'publish'")
    assert events == [(1,)]


def test_run_that_is_visible_may_be_published_again_while_a_newer_attempt_is_at_work(
    serving: Mill, attempt: Callable[..., PredictionRef]
) -> None:
    """As a retry does whose COMMIT was answered by nobody: the ledger has its publication."""
    prediction = attempt()
    serving.publisher.publish(prediction)
    serving.publisher.claim(serving.model, SCORED, serving.start_run())
    serving.publisher.publish(prediction)
    assert serving.statuses() == ["published"]


def _compete(
    url: str, release: ReleaseRef, snapshot: SnapshotRef, rows: pa.Table, run_id: int, barrier: Any, outcomes: Any
) -> None:
    publisher = Publisher(url)
    barrier.wait()
    try:
        publisher.declare(release.model, "parcel_id", "shipped_at")
        token = publisher.claim(release.model, release.partition, run_id)
        written = publisher.write(
            release, snapshot, ScoredRows(published=rows.to_batches()), token=token, threshold=0.5, run_id=run_id
        )
        publisher.publish(written)
        outcomes.put(("published", written.prediction_run_id))
    except TidemillError as error:
        outcomes.put((type(error).__name__, str(error)))
    except BaseException as error:
        outcomes.put((repr(error), ""))
        raise


def compete(serving: Mill) -> list[tuple[str, Any]]:
    """Let eight processes claim, write and publish one partition at the same time, and say how each ended."""
    release, snapshot, run_id = serving.resolve(), serving.extract("score", SCORED), serving.start_run()
    barrier, outcomes = FORK.Barrier(N_PROCESSES), FORK.Queue()
    url = serving.workspace.connection("tidemill")
    racers = [
        FORK.Process(
            target=_compete,
            args=(url, release, snapshot, table_of(serving, number / 10), run_id, barrier, outcomes),
        )
        for number in range(N_PROCESSES)
    ]
    for racer in racers:
        racer.start()
    found = [outcomes.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join()
    return found


@pytest.fixture
def competition(serving: Mill) -> list[tuple[str, Any]]:
    """How the eight ended, on a model that has been scored before."""
    serving.publisher.declare(serving.model, "parcel_id", "shipped_at")
    return compete(serving)


def test_eight_processes_that_score_a_model_for_the_first_time_do_not_collide(serving: Mill) -> None:
    assert {kind for kind, _ in compete(serving)} <= {"published", "StaleAttempt"}


def test_eight_processes_end_as_published_or_stale(competition: list[tuple[str, Any]]) -> None:
    assert {kind for kind, _ in competition} <= {"published", "StaleAttempt"}


def test_eight_processes_leave_one_published_run(serving: Mill, competition: list[tuple[str, Any]]) -> None:
    assert serving.statuses().count("published") == 1


def test_eight_processes_leave_each_row_once(serving: Mill, competition: list[tuple[str, Any]]) -> None:
    keys = [key for key, _ in serving.view()]
    assert (len(keys), len(set(keys)), len(set(serving.view(columns="score")))) == (PER_DAY, PER_DAY, 1)


def test_newest_claim_of_eight_is_the_one_that_is_visible(serving: Mill, competition: list[tuple[str, Any]]) -> None:
    (row,) = serving.sql(
        "SELECT r.token = c.token FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id)"
        " JOIN tidemill.claim c ON c.model = p.model AND c.partition = p.partition WHERE p.model = '{m}'"
    )
    assert row == (True,)


# --- what is never published


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.1])
def test_score_that_is_not_a_probability_is_refused_by_the_table(
    serving: Mill, attempt: Callable[..., PredictionRef], score: float
) -> None:
    with pytest.raises((IncompletePublish, psycopg2.errors.CheckViolation)):
        attempt(score)
    assert serving.view() == []


@pytest.mark.parametrize("n_rows", [0, PER_DAY - 1, PER_DAY + 1])
def test_other_number_of_rows_than_the_snapshot_is_refused(attempt: Callable[..., PredictionRef], n_rows: int) -> None:
    with pytest.raises(IncompletePublish, match=f"has {PER_DAY} rows to score, but {n_rows} were written"):
        attempt(0.5, n_rows)


def test_short_write_leaves_nothing_to_see(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    with pytest.raises(IncompletePublish):
        attempt(0.5, PER_DAY - 1)
    assert (serving.view(), serving.statuses()) == ([], ["writing"])


def test_key_that_is_written_twice_is_refused_as_one_of_our_errors(serving: Mill) -> None:
    release, snapshot, run_id = serving.resolve(), serving.extract("score", SCORED), serving.start_run()
    serving.publisher.declare(serving.model, "parcel_id", "shipped_at")
    token = serving.publisher.claim(serving.model, SCORED, run_id)
    rows = pa.concat_tables([table_of(serving, 0.5, PER_DAY - 1), table_of(serving, 0.5, 1)])
    with pytest.raises(TidemillError, match="20240325-000"):
        serving.publisher.write(
            release, snapshot, ScoredRows(published=rows.to_batches()), token=token, threshold=0.5, run_id=run_id
        )


def test_run_that_was_not_sealed_cannot_be_published(serving: Mill, attempt: Callable[..., PredictionRef]) -> None:
    with pytest.raises(IncompletePublish):
        attempt(0.5, PER_DAY - 1)
    (opened,) = serving.sql(
        "SELECT prediction_run_id, token, release_id FROM tidemill.prediction_run WHERE model = '{m}'"
    )
    forged = PredictionRef(
        model=serving.model,
        partition=SCORED,
        prediction_run_id=opened[0],
        release_id=opened[2],
        token=opened[1],
        n_rows=PER_DAY,
        checksum="0",
        mean_score=0.5,
    )
    with pytest.raises(IncompletePublish, match="is not completely written"):
        serving.publisher.publish(forged)


def test_record_that_does_not_match_what_was_written_is_refused(
    serving: Mill, attempt: Callable[..., PredictionRef]
) -> None:
    with pytest.raises(IncompletePublish):
        serving.publisher.publish(replace(attempt(), checksum="0"))


def test_rows_of_a_sealed_run_cannot_be_added_to(
    warehouse: Any, serving: Mill, attempt: Callable[..., PredictionRef]
) -> None:
    written = attempt()
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        warehouse.rows(
            f"INSERT INTO tidemill.prediction_run_{written.prediction_run_id} (entity_key, event_time, score)"
            " VALUES ('x', now(), 0.5)",
            "tidemill_writer",
        )


def test_row_that_says_it_is_of_another_partition_is_refused(warehouse: Any, serving: Mill) -> None:
    release, snapshot, run_id = serving.resolve(), serving.extract("score", SCORED), serving.start_run()
    serving.publisher.declare(serving.model, "parcel_id", "shipped_at")
    with transaction(warehouse.url("tidemill_writer")) as cursor:
        cursor.execute(
            "SELECT tidemill.open_prediction_run(%s, %s, %s, %s, %s, %s, %s, %s)",
            (serving.model, SCORED, release.release_id, snapshot.digest, 1, 0.5, False, run_id),
        )
        opened = cursor.fetchone()[0]
    with pytest.raises(psycopg2.errors.CheckViolation):
        warehouse.rows(
            f"INSERT INTO tidemill.prediction_run_{opened} (partition, entity_key, event_time, score)"
            " VALUES ('1999-01-01', 'x', now(), 0.5)",
            "tidemill_writer",
        )


# --- killed at any point


def _predict(mill: Mill) -> None:
    mill.predict()


def _somebody_waits_for(mill: Mill, table: str) -> bool:
    """Whether a session waits for a table; asked of Postgres until it does, for nothing announces it."""
    return bool(mill.sql("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)", table))


@pytest.fixture(scope="module")
def unbroken(new_mill: Callable[[], Mill], trained_mill: Any) -> list[tuple[Any, ...]]:
    """The rows of a partition that nobody was killed over."""
    mill = new_mill()
    mill.adopt(trained_mill[1])
    mill.predict()
    return mill.view()


@pytest.mark.parametrize(
    "table", ["snapshot", "check_result", "claim", "prediction_run", "prediction_{m}", "published", "audit"]
)
def test_partition_whose_attempt_was_killed_is_run_again_to_the_same_rows(
    serving: Mill, unbroken: list[tuple[Any, ...]], table: str
) -> None:
    table = f"tidemill.{table.replace('{m}', serving.model)}"
    serving.publisher.declare(serving.model, "parcel_id", "shipped_at")
    victim = FORK.Process(target=_predict, args=(serving,))
    with transaction(serving.owner_url) as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        victim.start()
        assert until(lambda: _somebody_waits_for(serving, table), 30), "the attempt did not come to the lock"
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
    assert until(lambda: not _somebody_waits_for(serving, table), 30)
    assert serving.view() in ([], unbroken)
    serving.predict()
    assert (serving.view(), serving.statuses().count("published")) == (unbroken, 1)
