"""Retention on a real Postgres: what goes, what never goes, and who is made to wait."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import IncompletePublish, SpecError, StaleAttempt, TransientError
from tidemill.records import BundleRef, Decision, PredictionRef, ReleaseRef, SnapshotRef, Verdict
from tidemill.retention import KINDS, Removal, collect_garbage
from tidemill.storage.store import Store, Stored
from tidemill.warehouse.ledger import Cost
from tidemill.warehouse.predictions.rows import ScoredRows
from tidemill.warehouse.releases.registry import NewRelease
from tidemill_airflow.operators import CollectGarbageOperator
from tidemill_airflow.params import trigger_form

from .conftest import Warehouse
from .data import SPEC, TRAINED, Mill

LIMITS = {"unpublished": 7, "superseded": 90, "releases": 400, "challengers": 90, "snapshots": 400, "reports": 400}
SERIAL = count()
AT = datetime(2024, 3, 24, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One model with releases and runs made of almost nothing: what retention looks at, without a training."""

    mill: Mill

    @property
    def model(self) -> str:
        return self.mill.model

    # ------------------------------------------------------------ making

    def run(self, step: str, result: dict[str, Any] | None = None) -> int:
        """Record a step that has ended."""
        run_id = self.mill.start_run(step=step)
        self.mill.ledger.end_run(
            run_id, Cost(wall_s=0, cpu_s=0, peak_rss_bytes=0), error=None, result=result, n_rows=None
        )
        return run_id

    def folder(self, kind: str, content: str = "", age_days: float = 0) -> Stored:
        """Store a folder that was last written some days ago."""
        text = content or f"{kind} {next(SERIAL)}"
        stored = Store(self.root).write(self.model, kind, lambda path: (path / "data").write_text(text) and None)
        self.age(stored.uri, age_days)
        return stored

    def age(self, uri: str, days: float) -> None:
        moment = time.time() - days * 86400
        os.utime(self.root / uri, (moment, moment))

    def snapshot(self, age_days: float = 0, n_rows: int = 3) -> SnapshotRef:
        stored = self.folder("snapshots", age_days=age_days)
        snapshot = SnapshotRef(
            model=self.model,
            purpose="score",
            partition=TRAINED,
            digest=stored.digest,
            uri=stored.uri,
            n_rows=n_rows,
            size_bytes=stored.size_bytes,
            start=AT,
            end=AT + timedelta(days=1),
            cutoff=AT,
            query_digest="0" * 64,
        )
        self.mill.ledger.record_snapshot(snapshot, self.run("extract"))
        return snapshot

    def release(self, age_days: float = 500) -> int:
        """Register a release whose folders are all as old."""
        bundle, evaluation = self.folder("bundles", age_days=age_days), self.folder("evaluations", age_days=age_days)
        split, snapshot = self.folder("splits", age_days=age_days), self.snapshot(age_days)
        ref = BundleRef(
            estimator="logistic_regression",
            digest=bundle.digest,
            uri=bundle.uri,
            size_bytes=1,
            fit_s=0,
            baseline=False,
            validation_score=0.7,
        )
        run_id = self.run("register")
        decision = Decision(kind="accept", verdict=Verdict.ACCEPT, reasons=("For a test.",))
        decided = self.mill.ledger.record_decision(self.model, TRAINED, decision, {}, run_id)
        release_id = self.mill.promoter.register(
            NewRelease(
                model=self.model,
                partition=TRAINED,
                bundle=ref,
                snapshot_digest=snapshot.digest,
                split_digest=split.digest,
                metric="roc_auc",
                metric_value=0.7,
                evidence={"uri": evaluation.uri, "bundle": ref.to_dict()},
                decision=replace(decision, decision_id=decided),
                learnt_until=AT,
                known_until=AT,
                spec_digest="0" * 64,
                code_version="test",
                lock_digest="0" * 64,
                run_id=run_id,
            )
        )
        with self.without_triggers("judgement"):
            self.sql(
                "UPDATE tidemill.judgement SET judged_at = now() - %s WHERE release_id = %s",
                days(age_days),
                release_id,
            )
        return release_id

    def deploy(self, release_id: int, ago_days: float) -> None:
        """Promote a release some days ago."""
        champion = self.mill.promoter.champion(self.model)
        self.mill.promote(release_id, champion.release_id if champion else None)
        with self.without_triggers("deployment"):
            self.sql(
                "UPDATE tidemill.deployment SET deployed_at = now() - %s WHERE deployment_id ="
                " (SELECT max(deployment_id) FROM tidemill.deployment WHERE model = '{m}')",
                days(ago_days),
            )

    def write(self, partition: str, release_id: int, snapshot: SnapshotRef | None = None) -> PredictionRef:
        """Claim a partition and write three rows."""
        publisher, run_id = self.mill.publisher, self.run("predict")
        publisher.declare(self.model, "parcel_id", "shipped_at")
        token = publisher.claim(self.model, partition, run_id)
        snapshot = snapshot or self.snapshot()
        release = ReleaseRef(
            model=self.model,
            release_id=release_id,
            bundle_digest="0" * 64,
            bundle_uri="-",
            partition=partition,
            snapshot_digest=snapshot.digest,
            known_until=AT,
        )
        rows = pa.table(
            {
                "entity_key": ["a", "b", "c"],
                "event_time": pa.array([AT] * 3, pa.timestamp("us", tz="UTC")),
                "score": [0.1, 0.2, 0.3],
            }
        )
        return publisher.write(
            release, snapshot, ScoredRows(published=rows.to_batches()), token=token, threshold=0.5, run_id=run_id
        )

    def publish(self, partition: str, release_id: int) -> PredictionRef:
        written = self.write(partition, release_id)
        self.mill.publisher.publish(written)
        return written

    def since(self, prediction_run_id: int, ago_days: float) -> None:
        """Make a prediction run's status some days old."""
        self.sql(
            "UPDATE tidemill.prediction_run SET status_since = now() - %s WHERE prediction_run_id = %s",
            days(ago_days),
            prediction_run_id,
        )

    # ------------------------------------------------------------ looking

    @property
    def root(self) -> Path:
        return self.mill.workspace.storage

    def collect(self, **options: Any) -> tuple[Removal, ...]:
        return collect_garbage(self.mill.workspace, [self.model], **options)

    def later(self, **options: Any) -> tuple[Removal, ...]:
        """Collect ten years from now, when nothing is young any more; nor is it to the ledger, which goes by its clock."""
        self.sql(
            "UPDATE tidemill.prediction_run SET status_since = status_since - interval '2 days' WHERE model = '{m}'"
        )
        self.sql(
            "UPDATE tidemill.run SET started_at = started_at - interval '31 days', ended_at = ended_at - interval '31 days'"
            " WHERE model = '{m}'"
        )
        return self.collect(as_of=datetime.now(UTC) + timedelta(days=3650), **options)

    def status(self, prediction_run_id: int) -> str:
        ((status,),) = self.sql(
            "SELECT status FROM tidemill.prediction_run WHERE prediction_run_id = %s", prediction_run_id
        )
        return status

    def has_rows(self, prediction_run_id: int) -> bool:
        ((there,),) = self.sql("SELECT to_regclass('tidemill.prediction_run_' || %s) IS NOT NULL", prediction_run_id)
        return there

    def visible(self, partition: str) -> list[int]:
        rows = self.sql(
            f"SELECT DISTINCT prediction_run_id FROM predictions.{self.model} WHERE partition = %s", partition
        )
        return [number for (number,) in rows]

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self.mill.sql(statement, *values)

    def audited(self) -> list[tuple[str, str]]:
        return self.sql("SELECT kind, name FROM tidemill.collected WHERE model = '{m}' ORDER BY audit_id")

    @contextmanager
    def without_triggers(self, table: str) -> Iterator[None]:
        self.sql(f"ALTER TABLE tidemill.{table} DISABLE TRIGGER append_only")
        try:
            yield
        finally:
            self.sql(f"ALTER TABLE tidemill.{table} ENABLE TRIGGER append_only")


def set_environment(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = mill.workspace
    for name, value in {
        "TIDEMILL_MODELS": workspace.models,
        "TIDEMILL_SQL": workspace.sql,
        "TIDEMILL_STORAGE": workspace.storage,
        "TIDEMILL_CONN_TIDEMILL": workspace.connection("tidemill"),
    }.items():
        monkeypatch.setenv(name, str(value))


def days(number: float) -> timedelta:
    return timedelta(days=number)


def went(removals: Sequence[Removal], outcome: str = "collected") -> set[str]:
    return {item.name for item in removals if item.outcome == outcome}


@pytest.fixture(scope="module")
def new_place(new_mill: Callable[[], Mill]) -> Callable[[], Place]:
    def make() -> Place:
        mill = new_mill()
        limits = ", ".join(f"{name}: {number} days" for name, number in LIMITS.items())
        mill.write(SPEC + f"retention: {{{limits}}}\n")
        return Place(mill=mill)

    return make


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    return new_place()


@pytest.fixture(scope="module")
def shared(new_place: Callable[[], Place]) -> tuple[Place, int]:
    """A model with a champion; tests keep to partitions of their own."""
    place = new_place()
    release_id = place.release()
    place.deploy(release_id, 0)
    return place, release_id


@pytest.fixture
def partition() -> str:
    return f"p{next(SERIAL)}"


Shared = tuple[Place, int]

# ---------------------------------------------------------------- prediction runs


@pytest.mark.parametrize(("age", "outcome"), [(6.9, "written"), (7.1, "collected")])
def test_an_unpublished_run_goes_after_its_limit(shared: Shared, partition: str, age: float, outcome: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    place.since(run, age)
    place.collect()
    assert place.status(run) == outcome


@pytest.mark.parametrize(("age", "outcome"), [(89.9, "superseded"), (90.1, "collected")])
def test_a_replaced_run_goes_after_its_limit(shared: Shared, partition: str, age: float, outcome: str) -> None:
    place, release_id = shared
    old, _ = (place.publish(partition, release_id).prediction_run_id for _ in range(2))
    place.since(old, age)
    place.collect()
    assert place.status(old) == outcome


def test_the_limit_of_a_replaced_run_counts_from_its_replacement(shared: Shared, partition: str) -> None:
    place, release_id = shared
    old = place.publish(partition, release_id).prediction_run_id
    place.since(old, 1000)
    place.publish(partition, release_id)
    place.collect()
    assert place.status(old) == "superseded"


def test_what_is_published_never_goes(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.publish(partition, release_id).prediction_run_id
    place.later()
    assert (place.status(run), place.visible(partition)) == ("published", [run])


def test_the_database_refuses_to_collect_what_is_published(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.publish(partition, release_id).prediction_run_id
    said = place.sql(
        "SELECT tidemill.collect_prediction_run(prediction_run_id, status_since, '') FROM"
        " tidemill.prediction_run WHERE prediction_run_id = %s",
        run,
    )
    assert (said, place.has_rows(run)) == ([("kept",)], True)


def test_what_is_shown_is_not_even_listed_whatever_its_status_says(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.publish(partition, release_id).prediction_run_id
    place.sql("UPDATE tidemill.prediction_run SET status = 'superseded' WHERE prediction_run_id = %s", run)
    listed = went(place.later(dry_run=True), "due")
    said = place.sql(
        "SELECT tidemill.collect_prediction_run(prediction_run_id, status_since, '') FROM"
        " tidemill.prediction_run WHERE prediction_run_id = %s",
        run,
    )
    place.sql("UPDATE tidemill.prediction_run SET status = 'published' WHERE prediction_run_id = %s", run)
    assert str(run) not in listed
    assert (said, place.has_rows(run)) == ([("kept",)], True)


def test_a_run_that_changed_since_it_was_looked_at_is_kept(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    said = place.sql("SELECT tidemill.collect_prediction_run(%s, now() - interval '1 year', '')", run)
    assert (said, place.status(run)) == ([("kept",)], "written")


def test_collecting_leaves_the_row_of_the_run_and_no_table(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    place.since(run, 8)
    place.collect()
    assert (place.status(run), place.has_rows(run)) == ("collected", False)


def test_a_run_that_was_killed_in_the_middle_of_its_copy_goes_too(shared: Shared, partition: str) -> None:
    place, release_id = shared
    (run,) = place.sql(
        "SELECT tidemill.open_prediction_run('{m}', %s, %s, %s, 1, 0.5, false, NULL)",
        partition,
        release_id,
        place.snapshot().digest,
    )[0]
    place.since(run, 8)
    place.collect()
    assert (place.status(run), place.has_rows(run)) == ("collected", False)


def test_a_collected_run_cannot_be_published(shared: Shared, partition: str) -> None:
    place, release_id = shared
    written = place.write(partition, release_id)
    place.since(written.prediction_run_id, 8)
    place.collect()
    with pytest.raises(IncompletePublish):
        place.mill.publisher.publish(written)


def test_each_collection_is_in_the_audit(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    place.since(run, 8)
    place.collect()
    ((reason, size),) = place.sql(
        "SELECT reason, size_bytes FROM tidemill.collected WHERE model = '{m}' AND kind = 'prediction_run' AND name = %s",
        str(run),
    )
    assert "never published" in reason
    assert size > 0


@pytest.mark.parametrize("what", ["prediction_run", "partition"])
def test_what_somebody_holds_is_kept(shared: Shared, partition: str, what: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    name = partition if what == "partition" else str(run)
    place.sql("SELECT tidemill.hold('{m}', %s, %s, 'An auditor asked.')", what, name)
    place.later()
    held = place.status(run)
    place.sql("SELECT tidemill.unhold('{m}', %s, %s, 'Answered.')", what, name)
    place.later()
    assert (held, place.status(run)) == ("written", "collected")


def test_only_what_exists_can_be_held(shared: Shared) -> None:
    with pytest.raises(psycopg2.errors.NoDataFound, match="no relase named 7"):
        shared[0].sql("SELECT tidemill.hold('{m}', 'relase', '7', '')")


def test_a_dry_run_changes_nothing(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    before = place.audited()
    listed = went(place.later(dry_run=True), "due")
    assert str(run) in listed
    assert (place.status(run), place.audited()) == ("written", before)


def test_a_dry_run_lists_what_the_collection_then_removes(place: Place) -> None:
    release_id = place.release()
    place.deploy(release_id, 0)
    place.publish("a", release_id)
    place.publish("a", release_id)
    place.write("b", release_id)
    place.folder("reports", age_days=401)
    listed = went(place.later(dry_run=True), "due")
    assert listed == went(place.later())
    assert len(listed) == 2 + 2 + 1  # two runs, their snapshots, a page


# ---------------------------------------------------------------- nobody waits


@contextmanager
def reading(place: Place, partition: str) -> Iterator[None]:
    """A reader that has begun and does not come to an end."""
    connection = psycopg2.connect(place.mill.workspace.connection("warehouse"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM predictions.{place.model} WHERE partition = %s", (partition,))
            yield
    finally:
        connection.close()


def test_a_long_reader_keeps_a_run_until_next_time(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    place.since(run, 8)
    with reading(place, partition):
        first = went(place.collect(), "busy")
    assert (first, place.has_rows(run)) == ({str(run)}, True)
    assert str(run) in went(place.collect())


def test_no_reader_waits_while_a_collection_meets_a_long_reader(shared: Shared, partition: str) -> None:
    place, release_id = shared
    for _ in range(5):
        place.since(place.write(partition, release_id).prediction_run_id, 8)
    waits: list[float] = []
    done = threading.Event()

    def read_all_the_time() -> None:
        with (
            psycopg2.connect(place.mill.workspace.connection("warehouse")) as connection,
            connection.cursor() as cursor,
        ):
            while not done.is_set():
                started = time.perf_counter()
                cursor.execute(f"SELECT count(*) FROM predictions.{place.model} WHERE partition = %s", (partition,))
                connection.commit()
                waits.append(time.perf_counter() - started)

    reader = threading.Thread(target=read_all_the_time)
    with reading(place, partition):
        reader.start()
        for _ in range(5):
            place.collect()
        done.set()
        reader.join()
    assert len(waits) > 20
    assert max(waits) < 0.2, f"a reader waited {max(waits):.3f} s"
    place.later()


def test_a_frozen_writer_keeps_its_run_and_nobody_else(shared: Shared, partition: str) -> None:
    place, release_id = shared
    (run,) = place.sql(
        "SELECT tidemill.open_prediction_run('{m}', %s, %s, %s, 1, 0.5, false, NULL)",
        partition,
        release_id,
        place.snapshot().digest,
    )[0]
    other = place.write(partition, release_id).prediction_run_id
    for number in (run, other):
        place.since(number, 8)
    writer = psycopg2.connect(place.mill.workspace.connection("tidemill"))
    with writer.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO tidemill.prediction_run_{run} (entity_key, event_time, score) VALUES ('a', now(), 0)"
        )
        removals = place.collect()
    writer.close()
    assert (went(removals, "busy"), place.status(other)) == ({str(run)}, "collected")
    place.collect()


def test_a_reader_that_never_pauses_keeps_nothing(shared: Shared, partition: str) -> None:
    place, release_id = shared
    run = place.write(partition, release_id).prediction_run_id
    place.since(run, 8)
    done = threading.Event()

    def read_all_the_time() -> None:
        with (
            psycopg2.connect(place.mill.workspace.connection("warehouse")) as connection,
            connection.cursor() as cursor,
        ):
            while not done.is_set():
                cursor.execute(f"SELECT count(*) FROM predictions.{place.model}")
                connection.commit()

    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    place.collect()
    done.set()
    reader.join()
    assert place.status(run) == "collected"


def test_two_collections_do_not_run_at_once(shared: Shared) -> None:
    place, _ = shared
    other = psycopg2.connect(place.mill.workspace.connection("tidemill"))
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(4120773561)")
        with pytest.raises(TransientError, match="Another collection"):
            place.collect()
    other.close()


# ---------------------------------------------------------------- any history

ATTEMPTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["publish", "write", "stale", "back"]), st.integers(0, 200)),
    min_size=1,
    max_size=7,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=ATTEMPTS)
def test_whatever_happened_no_visible_run_and_no_run_within_its_limit_goes(
    shared: Shared, history: list[tuple[str, str, int]]
) -> None:
    place, release_id = shared
    prefix, runs = f"h{next(SERIAL)}", {}
    for name, kind, age in history:
        partition = prefix + name
        if kind == "back":
            place.mill.publisher.point_back(place.model, partition, [], None)
            continue
        written = place.write(partition, release_id)
        runs[written.prediction_run_id] = age
        if kind == "stale":
            place.mill.publisher.claim(place.model, partition, place.run("predict"))
            with pytest.raises(StaleAttempt):
                place.mill.publisher.publish(written)
        elif kind == "publish":
            place.mill.publisher.publish(written)
    before = {run: place.status(run) for run in runs}
    seen = {name: place.visible(prefix + name) for name in "abc"}
    for run, age in runs.items():
        place.since(run, age)
    place.collect()
    limits = {"published": 10_000, "superseded": 90}
    gone = {run for run, age in runs.items() if age >= limits.get(before[run], 7)}
    assert {run for run in runs if place.status(run) == "collected"} == gone
    assert {run for run in runs if not place.has_rows(run)} == gone
    assert {name: place.visible(prefix + name) for name in "abc"} == seen


# ---------------------------------------------------------------- folders


def there(place: Place, release_id: int) -> set[str]:
    """Name the kinds of a release's folders that are still there."""
    ((bundle, evaluation, split, snapshot),) = place.sql(
        "SELECT bundle_uri, evidence ->> 'uri', r.model || '/splits/' || split_digest, s.uri FROM tidemill.release r"
        " JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest) WHERE release_id = %s",
        release_id,
    )
    return {uri.split("/")[1] for uri in (bundle, evaluation, split, snapshot) if (place.root / uri).is_dir()}


ALL = {"bundles", "evaluations", "splits", "snapshots"}


def test_the_champion_keeps_everything_that_it_stands_on(place: Place) -> None:
    champion = place.release()
    place.deploy(champion, 1000)
    place.later()
    assert there(place, champion) == ALL


def test_the_previous_champion_is_kept_for_a_rollback(place: Place) -> None:
    previous, champion = place.release(), place.release()
    place.deploy(previous, 2000)
    place.deploy(champion, 1000)
    place.later()
    assert there(place, previous) == ALL


def test_after_a_rollback_the_undone_release_and_the_one_before_are_kept(place: Place) -> None:
    first, second, third = (place.release() for _ in range(3))
    for release_id in (first, second, third):
        place.deploy(release_id, 1000)
    place.mill.promoter.rollback(place.model, None, approved_by="somebody", reason="Bad.")
    place.later()
    assert [there(place, release_id) for release_id in (first, second, third)] == [ALL] * 3


@pytest.mark.parametrize(("ended", "kept"), [(399, ALL), (401, set())])
def test_a_release_is_kept_for_the_declared_time_after_it_last_served(place: Place, ended: int, kept: set[str]) -> None:
    old, previous, champion = (place.release() for _ in range(3))
    for release_id, ago in ((old, 900), (previous, ended), (champion, 1)):
        place.deploy(release_id, ago)
    place.collect()
    assert there(place, old) == kept


def test_a_release_whose_rows_are_published_is_kept(place: Place) -> None:
    old, previous, champion = (place.release() for _ in range(3))
    place.deploy(old, 900)
    place.publish("a", old)
    for release_id in (previous, champion):
        place.deploy(release_id, 800)
    place.later()
    assert there(place, old) == ALL


def test_a_held_release_is_kept(place: Place) -> None:
    release_id = place.release()
    place.sql("SELECT tidemill.hold('{m}', 'release', %s, 'An auditor asked.')", str(release_id))
    place.later()
    assert there(place, release_id) == ALL


@pytest.mark.parametrize(
    ("age", "kept"), [(89, ALL), (91, {"splits", "snapshots"}), (401, set())], ids=["young", "old", "older"]
)
def test_a_challenger_that_never_served_goes_by_its_limits(place: Place, age: int, kept: set[str]) -> None:
    release_id = place.release(age)
    place.collect()
    assert there(place, release_id) == kept


def test_the_rows_that_were_scored_are_kept_with_the_run(place: Place) -> None:
    release_id = place.release()
    snapshot = place.snapshot(500)
    place.mill.publisher.publish(place.write("a", release_id, snapshot))
    place.later()
    assert (place.root / snapshot.uri).is_dir()


def test_a_snapshot_that_nothing_stands_on_goes(place: Place) -> None:
    snapshot = place.snapshot(401)
    assert went(place.collect()) == {snapshot.uri}
    assert not (place.root / snapshot.uri).exists()


def test_a_held_snapshot_is_kept(place: Place) -> None:
    snapshot = place.snapshot(401)
    place.sql("SELECT tidemill.hold('{m}', 'snapshot', %s, '')", snapshot.digest)
    place.collect()
    assert (place.root / snapshot.uri).is_dir()


def test_a_folder_that_a_step_spoke_of_not_long_ago_is_kept(place: Place) -> None:
    snapshot = place.snapshot(401)
    place.run("extract", {"snapshot": {"uri": snapshot.uri}})
    place.collect()
    assert (place.root / snapshot.uri).is_dir()


def test_no_folder_goes_while_a_step_of_the_model_is_at_work(place: Place) -> None:
    page = place.folder("reports", age_days=401)
    run_id = place.mill.start_run()
    assert went(place.collect(), "busy") == {page.uri}
    assert ((place.root / page.uri).is_dir(), place.audited()) == (True, [])
    place.sql(
        "UPDATE tidemill.run SET status = 'failed', ended_at = now() - interval '1 hour' WHERE run_id = %s", run_id
    )


def test_a_step_that_died_long_ago_keeps_nothing(place: Place) -> None:
    page = place.folder("reports", age_days=401)
    run_id = place.mill.start_run()
    place.sql("UPDATE tidemill.run SET started_at = now() - interval '2 days' WHERE run_id = %s", run_id)
    assert went(place.collect()) == {page.uri}
    place.sql("UPDATE tidemill.run SET status = 'failed', ended_at = now() WHERE run_id = %s", run_id)


def test_a_folder_of_another_model_that_a_release_stands_on_is_kept(
    place: Place, new_place: Callable[[], Place]
) -> None:
    other = new_place()
    release_id = other.release()
    other.deploy(release_id, 1)
    borrowed = place.folder("bundles", age_days=5000)
    with other.without_triggers("registration"):
        other.sql("UPDATE tidemill.registration SET bundle_uri = %s WHERE release_id = %s", borrowed.uri, release_id)
    place.later()
    assert (place.root / borrowed.uri).is_dir()


@pytest.mark.parametrize(("age", "outcome"), [(0.9, set()), (1.1, {"collected"})])
def test_what_a_killed_writer_left_goes_after_a_day(place: Place, age: float, outcome: set[str]) -> None:
    left = place.root / place.model / "snapshots" / ".writing-abc" / "content"
    left.mkdir(parents=True)
    for folder in (left, left.parent):
        place.age(folder.relative_to(place.root).as_posix(), age)
    assert {item.outcome for item in place.collect()} == outcome
    assert left.exists() == (not outcome)


@pytest.mark.parametrize("name", ["notes", "ab" * 31, ".hidden"])
def test_what_tidemill_did_not_write_is_left_alone(place: Place, name: str) -> None:
    other = place.root / place.model / "snapshots" / name
    other.mkdir(parents=True)
    place.age(other.relative_to(place.root).as_posix(), 5000)
    place.later()
    assert other.is_dir()


def test_a_link_is_not_followed_and_not_removed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    link = place.root / place.model / "snapshots" / ("a" * 64)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path)
    place.later()
    assert link.is_symlink()
    assert (tmp_path / "precious").read_text() == "mine"


def test_every_kind_of_folder_has_a_limit(place: Place) -> None:
    written = {place.folder(kind, age_days=5000).uri for kind in KINDS}
    assert went(place.collect()) == written


# ---------------------------------------------------------------- killed on the way


def test_killed_after_the_record_it_is_recorded_once(place: Place) -> None:
    snapshot = place.snapshot(401)
    before = place.root / "before"
    shutil.copytree(place.root / snapshot.uri, before)
    place.collect()
    before.rename(place.root / snapshot.uri)  # as if it had been killed before the rename
    place.age(snapshot.uri, 401)
    assert went(place.collect()) == {snapshot.uri}
    assert place.audited() == [("snapshots", snapshot.uri)]


def test_what_was_written_again_is_recorded_again(place: Place) -> None:
    page = place.folder("reports", "the same", age_days=401)
    place.collect()
    assert place.folder("reports", "the same") == page
    place.later()
    assert place.audited() == [("reports", page.uri)] * 2


def test_killed_before_the_deletion_the_next_collection_finishes_it(place: Place) -> None:
    snapshot = place.snapshot(401)
    folder = place.root / snapshot.uri
    aside = folder.with_name(f".collected-{folder.name}")
    shutil.copytree(folder, aside)
    place.collect()
    assert not aside.exists()
    assert place.audited() == [("snapshots", snapshot.uri)]


def test_no_live_row_refers_to_a_missing_folder(place: Place) -> None:
    champion = place.release()
    place.deploy(champion, 1)
    for age in (10, 500):
        place.snapshot(age)
    place.write("a", champion)
    place.later()
    rows = place.sql(
        "SELECT uri FROM tidemill.snapshot s WHERE model = '{m}' AND NOT EXISTS"
        " (SELECT FROM tidemill.collected c WHERE c.model = s.model AND c.name = s.uri)"
    )
    assert [uri for (uri,) in rows if not (place.root / uri).is_dir()] == []
    assert len(rows) == 1  # the champion's training


def test_collecting_again_finds_nothing(place: Place) -> None:
    place.snapshot(401)
    place.collect()
    assert place.collect() == ()


# ---------------------------------------------------------------- which models


def test_a_broken_spec_keeps_no_other_model_from_being_collected(place: Place) -> None:
    page = place.folder("reports", age_days=401)
    (place.mill.workspace.models / "broken.yaml").write_text("model: [")
    assert went(collect_garbage(place.mill.workspace)) == {page.uri}


KILLED = """\
import os, signal, sys
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from tidemill.storage import rehearsal

def killed(arguments, timeout_s):
    os.kill(os.getpid(), signal.SIGKILL)  # the test rows are written, and the other process would start now

with mock.patch.object(rehearsal, "_run", killed):
    rehearsal.rehearse(Path(sys.argv[1]), "0" * 64, pd.DataFrame({"age": [41.0, 52.0]}), np.zeros(2))
"""


def test_test_rows_of_a_killed_process_are_collected(place: Place, tmp_path: Path) -> None:
    place.folder("reports", age_days=1)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    (left,) = temporary.rglob("rows.parquet")
    with pytest.MonkeyPatch.context() as here:
        here.setattr(tempfile, "tempdir", str(temporary))
        collect_garbage(place.mill.workspace, dry_run=True)
        assert left.is_file()
        collect_garbage(place.mill.workspace)
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_was_writing_anywhere_on_the_storage_is_collected(place: Place) -> None:
    names = (".writing-a", "examined/.writing-b", f"{place.model}/unshown/.writing-c")
    for name in names:
        (place.root / name).mkdir(parents=True)
        (place.root / name / "file").write_text("half")
        for path in (place.root / name / "file", place.root / name):
            os.utime(path, (0, 0))
    (place.root / place.model / "unshown" / ".writing-now").mkdir()
    collect_garbage(place.mill.workspace)
    assert [name for name in names if (place.root / name).exists()] == []
    assert (place.root / place.model / "unshown" / ".writing-now").is_dir()


def test_a_model_that_is_named_needs_a_sound_spec(place: Place) -> None:
    with pytest.raises(SpecError):
        collect_garbage(place.mill.workspace, ["nobody"])


def test_another_model_is_not_touched(place: Place, new_place: Callable[[], Place]) -> None:
    other = new_place()
    page = other.folder("reports", age_days=401)
    place.later()
    assert (other.root / page.uri).is_dir()


@pytest.mark.parametrize("words", ["23 hours", "0 days"])
def test_no_limit_is_shorter_than_a_chain_may_take(place: Place, words: str) -> None:
    place.mill.write(SPEC + f"retention: {{snapshots: {words}}}\n")
    with pytest.raises(SpecError, match="at least 1 day"):
        place.mill.spec  # noqa: B018 - reading is what is tried


def test_the_task_lists_in_a_dry_run_and_counts(
    place: Place, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.folder("reports", "eleven char", age_days=401)
    set_environment(place.mill, monkeypatch)
    monkeypatch.setenv(
        "AIRFLOW_CONN_TIDEMILL", warehouse.url("tidemill_writer").replace("postgresql://", "postgres://")
    )
    form = trigger_form("dry_run")
    for dry_run, outcome in ((True, "due"), (False, "collected")):
        context: Any = {"params": {"dry_run": dry_run}, "dag": SimpleNamespace(params=form)}
        freed = 11 + len("data\0") + 64 + 1  # the file, and its line in the list of digests
        assert CollectGarbageOperator(task_id="gc").execute(context) == {outcome: 1, "size_bytes": freed}


def test_the_command_lists_sizes_and_reasons(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.folder("reports", age_days=401)
    set_environment(place.mill, monkeypatch)
    monkeypatch.setattr("tidemill.cli.console.out._width", 250)  # whatever width it was made with
    shown = CliRunner().invoke(app, ["gc", "--dry-run", place.model])
    assert shown.exit_code == 0, shown.output
    assert "nothing that is kept depends on it" in " ".join(shown.output.split())
