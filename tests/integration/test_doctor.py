"""The doctor on a real Postgres: each thing is broken once, and exactly that is found, with its remedy."""

import importlib
import json
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.doctor import Finding, Health, examine
from tidemill.doctor.freshness import check_freshness
from tidemill.doctor.machine import check_disk, check_packages, check_tracking
from tidemill.doctor.mlflow import check_alias
from tidemill.errors import FatalError
from tidemill.mlflow_mirror.alias import Mirrored
from tidemill.postgres.cluster import ADMIN
from tidemill.spec import ModelSpec
from tidemill.spec.due_partitions import GRACE, due_partitions
from tidemill.storage.bundles import load
from tidemill.storage.store import Store
from tidemill.tracking import Tracking
from tidemill.versions import lock_file
from tidemill.workspace import Workspace
from tidemill_airflow.operators import DoctorOperator

from .conftest import ROLES, Warehouse
from .data import NEXT, SCORED, SPEC, Mill

examination = importlib.import_module("tidemill.doctor.examine")  # the package's name is the function's
AS_OF = datetime(2024, 3, 26, 16, tzinfo=UTC)  # noon in New York: the partitions of the 25th and 26th are due
PROVED_BY_THE_AUDIT = {"anchor", "pointers", "deployments"}  # checks that compare the audit with something else
QUIET = {("mlflow", "server")}  # no MLflow is configured, which each examination reports


@pytest.fixture(scope="module")
def healthy(new_mill: Callable[[], Mill]) -> Mill:
    """A trained model with two published days. Each test repairs what it breaks."""
    mill = new_mill()
    mill.sql("UPDATE tidemill.run SET status = 'failed' WHERE status = 'running'")  # what other tests have left
    mill.train()
    for partition in (SCORED, NEXT):
        mill.predict(partition)
    return mill


@pytest.fixture(autouse=True)
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of one package: comparing them all takes longer than everything else together."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"numpy=={metadata.version('numpy')}\n", encoding="utf-8")
    monkeypatch.setenv("TIDEMILL_LOCK", str(path))
    return path


def found(mill: Mill, **options: Any) -> dict[str, Health]:
    """Return what is not well, by check."""
    findings = examine(mill.workspace, **({"as_of": AS_OF} | options))
    return {
        item.check: item.severity
        for item in findings
        if item.severity is not Health.OK and (item.check, item.subject) not in QUIET
    }


def the(mill: Mill, check: str, **options: Any) -> Finding:
    """Return the finding of one check that says most."""
    findings = [item for item in examine(mill.workspace, **({"as_of": AS_OF} | options)) if item.check == check]
    return max(findings, key=lambda item: list(Health).index(item.severity))


@contextmanager
def broken(mill: Mill, breaking: str, repair: str) -> Iterator[None]:
    mill.sql(breaking)
    try:
        yield
    finally:
        mill.sql(repair)


@contextmanager
def unguarded(mill: Mill, table: str) -> Iterator[None]:
    """What only the owner can do: change an append-only table."""
    with broken(
        mill,
        f"ALTER TABLE tidemill.{table} DISABLE TRIGGER append_only",
        f"ALTER TABLE tidemill.{table} ENABLE TRIGGER append_only",
    ):
        yield


@contextmanager
def altered(path: Path) -> Iterator[None]:
    """A file with one byte flipped."""
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    try:
        yield
    finally:
        path.write_bytes(content)


@contextmanager
def without(path: Path) -> Iterator[None]:
    aside = path.with_name(f"{path.name}.away")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    before = stat.S_IMODE(path.stat().st_mode)
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


def test_a_bucket_that_does_not_answer_keeps_no_other_check_from_being_made(healthy: Mill, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    workspace = replace(healthy.workspace, storage=tmp_path / "copy", bucket=f"file://{tmp_path}/file")
    assert found(replace(healthy, workspace=workspace)) == {"storage": Health.FAIL}
    checks = [item.check for item in examine(workspace, as_of=AS_OF)]
    assert checks.index("storage") < checks.index("predictions")


def test_a_bundle_made_with_another_major_version_is_a_finding(healthy: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load.environment()
    monkeypatch.setattr(load, "environment", lambda: here | {"numpy": "99.0"})
    assert "and here is 99.0" in the(healthy, "bundles").message


def test_nothing_is_found_where_all_is_well(healthy: Mill) -> None:
    assert found(healthy) == {}


def test_nothing_is_found_however_deep_one_looks(healthy: Mill) -> None:
    assert found(healthy, deep=True) == {}


def test_whatever_is_not_well_comes_with_a_remedy(healthy: Mill) -> None:
    with broken(
        healthy, "GRANT DELETE ON tidemill.run TO tidemill_writer", "REVOKE DELETE ON tidemill.run FROM tidemill_writer"
    ):
        findings = examine(healthy.workspace, as_of=AS_OF + timedelta(days=2))
    assert {bool(item.remedy) for item in findings if item.severity is Health.OK} == {False}
    assert {bool(item.remedy) for item in findings if item.severity is not Health.OK} == {True}


# ---------------------------------------------------------------- ledger


@pytest.mark.parametrize(
    ("breaking", "repair", "said"),
    [
        ("UPDATE public.tidemill_migration SET name = '0001_other.sql' WHERE name = '0001_ledger.sql'",
         "UPDATE public.tidemill_migration SET name = '0001_ledger.sql' WHERE name = '0001_other.sql'",
         "0001_ledger.sql is not applied; 0001_other.sql was applied by a newer version"),
        ("UPDATE public.tidemill_migration SET digest = digest || 'x' WHERE name = '0002_retention.sql'",
         "UPDATE public.tidemill_migration SET digest = rtrim(digest, 'x') WHERE name = '0002_retention.sql'",
         "0002_retention.sql has changed"),
        ("REVOKE SELECT ON public.tidemill_migration FROM tidemill_writer",
         "GRANT SELECT ON public.tidemill_migration TO tidemill_writer", "cannot be read"),
    ],
    ids=["missing", "changed", "unreadable"],
)  # fmt: skip
def test_migrations(healthy: Mill, breaking: str, repair: str, said: str) -> None:
    with broken(healthy, breaking, repair):
        assert found(healthy) == {"migrations": Health.FAIL}
        assert said in the(healthy, "migrations").message


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("INSERT ON tidemill.champion {} tidemill_reader", "tidemill_reader may INSERT champion"),
        ("UPDATE (score) ON tidemill.prediction {} tidemill_writer", "tidemill_writer may UPDATE prediction"),
        ("DELETE ON tidemill.audit {} tidemill_promoter", "tidemill_promoter may DELETE audit"),
        ("TRUNCATE ON tidemill.run {} tidemill_writer", "tidemill_writer may TRUNCATE run"),
        ("INSERT ON tidemill.judgement {} tidemill_writer", "tidemill_writer may INSERT judgement"),
        ("UPDATE ON tidemill.registration {} tidemill_promoter", "tidemill_promoter may UPDATE registration"),
        ("INSERT ON tidemill.alert {} PUBLIC", "public may INSERT alert"),
        ("CREATE ON SCHEMA tidemill {} tidemill_writer", "tidemill_writer may create in schema tidemill"),
        ("EXECUTE ON FUNCTION tidemill.append_audit {} tidemill_reader", "tidemill_reader may call append_audit"),
        ("EXECUTE ON FUNCTION tidemill.collect_prediction_run {} PUBLIC", "public may call collect_prediction_run"),
    ],
)
def test_a_right_too_many(healthy: Mill, right: str, said: str) -> None:
    column = (
        "GRANT UPDATE (mlflow_run_id) ON tidemill.registration TO tidemill_promoter"  # which a REVOKE takes away too
    )
    with broken(healthy, f"GRANT {right.format('TO')}", f"REVOKE {right.format('FROM')}; {column}"):
        assert found(healthy) == {"grants": Health.FAIL}
        assert said in the(healthy, "grants").message


def test_a_function_whose_search_path_is_open(healthy: Mill) -> None:
    with broken(
        healthy,
        "ALTER FUNCTION tidemill.append_audit RESET search_path",
        "ALTER FUNCTION tidemill.append_audit SET search_path = pg_catalog, pg_temp",
    ):
        assert found(healthy) == {"grants": Health.FAIL}


@pytest.mark.parametrize(
    ("breaking", "repair", "said"),
    [
        (
            "ALTER ROLE tidemill_writer SUPERUSER",
            "ALTER ROLE tidemill_writer NOSUPERUSER",
            "tidemill_writer is SUPERUSER",
        ),
        ("ALTER ROLE tidemill_owner CREATEDB", "ALTER ROLE tidemill_owner NOCREATEDB", "tidemill_owner is CREATEDB"),
        (
            "GRANT pg_read_all_data TO tidemill_reader",
            "REVOKE pg_read_all_data FROM tidemill_reader",
            "is a member of pg_read",
        ),
    ],
)
def test_a_role_with_too_much_power(healthy: Mill, warehouse: Warehouse, breaking: str, repair: str, said: str) -> None:
    with (
        closing(
            psycopg2.connect(
                host="127.0.0.1",
                port=warehouse.port,
                user=ADMIN,
                dbname="postgres",
                password=warehouse.password(ADMIN),
            )
        ) as admin,
        admin.cursor() as cursor,
    ):
        admin.autocommit = True
        cursor.execute(breaking)
        try:
            finding = the(healthy, "roles")
            # Who may do everything may do each thing, too.
            assert found(healthy).keys() - {"grants"} == {"roles"}
        finally:
            cursor.execute(repair)
    assert said in finding.message


@pytest.mark.parametrize("table", ["audit", "deployment", "registration", "judgement"])
def test_a_table_that_can_be_changed_again(healthy: Mill, table: str) -> None:
    with unguarded(healthy, table):
        assert found(healthy) == {"append_only": Health.FAIL}


@pytest.mark.parametrize("change", ["event = event || 'x'", "done_at = done_at + interval '1 s'", "details = '{}'"])
def test_a_row_of_the_audit_that_was_changed(healthy: Mill, change: str) -> None:
    ((number, event, details, done_at),) = healthy.sql(
        "SELECT audit_id, event, details, done_at FROM tidemill.audit WHERE event = 'publish' ORDER BY audit_id LIMIT 1"
    )
    with unguarded(healthy, "audit"):
        healthy.sql(f"UPDATE tidemill.audit SET {change} WHERE audit_id = %s", number)
    try:
        assert found(healthy).keys() - PROVED_BY_THE_AUDIT == {"audit"}
        assert f"row {number} has been changed" in the(healthy, "audit").message
    finally:
        with unguarded(healthy, "audit"):
            healthy.sql(
                "UPDATE tidemill.audit SET event = %s, details = %s, done_at = %s WHERE audit_id = %s",
                event,
                json.dumps(details),
                done_at,
                number,
            )
    assert found(healthy) == {}


def test_a_row_of_the_audit_that_was_changed_with_its_hash(healthy: Mill) -> None:
    ((number, event),) = healthy.sql("SELECT audit_id, event FROM tidemill.audit ORDER BY audit_id LIMIT 1")
    rehash = (
        "UPDATE tidemill.audit SET event = %s, hash = tidemill.audit_hash(previous_hash, %s, model, details, done_by,"
        " done_at) WHERE audit_id = %s"
    )
    with unguarded(healthy, "audit"):
        healthy.sql(rehash, "else", "else", number)
    try:
        assert "something was removed or inserted" in the(healthy, "audit").message
    finally:
        with unguarded(healthy, "audit"):
            healthy.sql(rehash, event, event, number)
    assert found(healthy) == {}


@pytest.mark.parametrize(
    ("which", "said"),
    [("ORDER BY audit_id OFFSET 1 LIMIT 1", "something was removed"), ("ORDER BY audit_id LIMIT 1", "something was removed"),
     ("AND event LIKE 'decide:%%' ORDER BY audit_id DESC LIMIT 1", "has no row")],
    ids=["middle", "first", "end"],
)  # fmt: skip
def test_a_row_of_the_audit_that_is_gone(healthy: Mill, which: str, said: str) -> None:
    with unguarded(healthy, "audit"):
        healthy.sql(
            f"CREATE TABLE shop.gone AS SELECT * FROM tidemill.audit WHERE audit_id >= (SELECT audit_id FROM"
            f" tidemill.audit WHERE true {which})"
        )
        only = "" if said == "has no row" else " ORDER BY audit_id LIMIT 1"
        healthy.sql(f"DELETE FROM tidemill.audit WHERE audit_id IN (SELECT audit_id FROM shop.gone{only})")
    try:
        assert found(healthy).keys() - PROVED_BY_THE_AUDIT == {"audit"}
        assert said in the(healthy, "audit").message
    finally:
        with unguarded(healthy, "audit"):
            healthy.sql(
                "INSERT INTO tidemill.audit OVERRIDING SYSTEM VALUE SELECT * FROM shop.gone"
                " ON CONFLICT DO NOTHING; DROP TABLE shop.gone"
            )
    assert found(healthy) == {}


def test_a_step_that_never_ended(healthy: Mill) -> None:
    run_id = healthy.start_run()
    healthy.sql(
        "UPDATE tidemill.run SET process = NULL, started_at = now() - interval '25 hours' WHERE run_id = %s", run_id
    )
    assert found(healthy) == {"dead_runs": Health.WARN}
    assert f"run {run_id}, predict of {healthy.model}" in the(healthy, "dead_runs").message
    assert found(healthy, repair=True) == {}
    assert healthy.sql("SELECT status FROM tidemill.run WHERE run_id = %s", run_id) == [("failed",)]


def test_a_pointer_and_a_status_that_differ(healthy: Mill) -> None:
    move = "UPDATE tidemill.prediction_run SET status = '{}' WHERE model = '{{m}}' AND partition = '" + SCORED + "'"
    with broken(healthy, move.format("superseded"), move.format("published")):
        assert found(healthy) == {"pointers": Health.FAIL}


def test_a_warehouse_that_does_not_answer(healthy: Mill) -> None:
    nowhere = "postgresql://tidemill_writer@127.0.0.1:1/warehouse"
    mill = replace(healthy, workspace=replace(healthy.workspace, connection=lambda name: nowhere))
    assert found(mill) == {"warehouse": Health.FAIL}


# ---------------------------------------------------------------- freshness


def spec_of(mill: Mill, **parts: Any) -> ModelSpec:
    return mill.spec.model_copy(update=parts)


def test_a_partition_that_was_due_and_is_not_published(healthy: Mill) -> None:
    assert found(healthy, as_of=AS_OF + timedelta(days=1)) == {"freshness": Health.FAIL}
    assert "'tidemill predict" in the(healthy, "freshness", as_of=AS_OF + timedelta(days=1)).remedy


def test_a_partition_is_not_late_before_its_run_has_had_its_time(healthy: Mill) -> None:
    tick = datetime(2024, 3, 27, 9, tzinfo=UTC)  # five o'clock in New York
    assert found(healthy, as_of=tick + GRACE - timedelta(seconds=1)) == {}
    assert found(healthy, as_of=tick + GRACE) == {"freshness": Health.FAIL}


def test_a_model_whose_data_have_ended_is_not_stale(healthy: Mill) -> None:
    assert found(healthy, as_of=datetime(2024, 6, 1, tzinfo=UTC)) == {}


def test_a_gap_between_published_partitions(healthy: Mill) -> None:
    finding = check_freshness(healthy.spec, {"2024-03-24": False, NEXT: False}, True, AS_OF)
    assert (finding.severity, SCORED in finding.message) == (Health.WARN, True)


def test_a_model_that_has_no_champion_yet_is_a_draft_unless_it_is_declared_to_be_none(mill: Mill) -> None:
    assert found(mill) == {}
    mill.write(spec=SPEC + "draft: false\n")
    assert found(mill) == {"freshness": Health.WARN}


def test_a_model_that_is_predicted_by_hand_is_not_late(healthy: Mill) -> None:
    spec = spec_of(healthy, predict=healthy.spec.predict.model_copy(update={"schedule": None}))
    assert check_freshness(spec, {}, True, AS_OF).severity is Health.OK


@pytest.mark.parametrize(
    ("as_of", "due"),
    [
        (
            datetime(2024, 3, 10, 10, 59, tzinfo=UTC),
            "2024-03-09",
        ),  # the clocks change: 5 o'clock is 9:00 UTC, not 10:00
        (datetime(2024, 3, 10, 11, tzinfo=UTC), "2024-03-10"),
        (datetime(2024, 3, 9, 11, 59, tzinfo=UTC), "2024-03-08"),
        (datetime(2024, 3, 9, 12, tzinfo=UTC), "2024-03-09"),
    ],
)
def test_what_is_due_follows_the_wall_clock(healthy: Mill, as_of: datetime, due: str) -> None:
    assert due_partitions(healthy.spec, as_of)[0].key == due


def test_nothing_is_due_before_the_first_partition(healthy: Mill) -> None:
    assert due_partitions(healthy.spec, datetime(2024, 2, 1, tzinfo=UTC)) == ()


# ---------------------------------------------------------------- artifacts and rows


def uri_of(mill: Mill, what: str) -> Path:
    ((uri,),) = mill.sql(
        {
            "bundle": "SELECT bundle_uri FROM tidemill.release JOIN tidemill.champion USING (release_id, model)"
            " WHERE model = '{m}'",
            "evaluation": "SELECT evidence ->> 'uri' FROM tidemill.release JOIN tidemill.champion USING (release_id, model)"
            " WHERE model = '{m}'",
            "snapshot": "SELECT s.uri FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id)"
            " JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)"
            f" WHERE p.model = '{{m}}' AND p.partition = '{NEXT}'",
            "split": "SELECT model || '/splits/' || split_digest FROM tidemill.release JOIN tidemill.champion"
            " USING (release_id, model) WHERE model = '{m}'",
        }[what]
    )
    return mill.workspace.storage / uri


def files_of(mill: Mill, what: str) -> list[Path]:
    """Return the files that a digest is of; the list of their digests only helps to name the one that is damaged."""
    return [path for path in sorted(uri_of(mill, what).iterdir()) if not path.name.startswith(".")]


CHECK = {"bundle": "bundles", "evaluation": "bundles", "snapshot": "snapshots"}


def test_the_objects_of_a_bucket_are_examined_and_not_the_local_copies(healthy: Mill, tmp_path: Path) -> None:
    kept = healthy.workspace.storage
    workspace = replace(healthy.workspace, storage=tmp_path / "copy", bucket=f"file://{kept}")
    mill, whole = (
        replace(healthy, workspace=workspace),
        [files_of(healthy, what)[-1] for what in ("snapshot", "bundle")],
    )
    for path in whole:
        Store.of(workspace).path(path.parent.relative_to(kept).as_posix())  # which brings a copy here
    assert found(mill) == {}
    for path, check in zip(whole, ("snapshots", "bundles"), strict=True):
        with altered(path):
            assert found(mill) == {check: Health.FAIL}
    assert list((tmp_path / "copy" / "examined").iterdir()) == []


@pytest.mark.parametrize("what", CHECK)
def test_a_file_that_was_altered(healthy: Mill, what: str) -> None:
    with altered(next(path for path in files_of(healthy, what) if path.name != "MODEL_CARD.md")):
        assert found(healthy) == {CHECK[what]: Health.FAIL}


@pytest.mark.parametrize("what", CHECK)
def test_a_folder_that_is_missing(healthy: Mill, what: str) -> None:
    with without(uri_of(healthy, what)):
        assert found(healthy) == {CHECK[what]: Health.FAIL}


def test_only_a_deep_look_hashes_all_that_is_kept(healthy: Mill) -> None:
    with altered(files_of(healthy, "split")[0]):
        assert found(healthy) == {}
        assert found(healthy, deep=True) == {"snapshots": Health.FAIL}


def table_of(mill: Mill) -> str:
    ((number,),) = mill.sql(
        "SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}' AND partition = %s", SCORED
    )
    return f"tidemill.prediction_run_{number}"


def test_a_published_score_that_was_changed(healthy: Mill) -> None:
    table = table_of(healthy)
    shift = f"UPDATE {table} SET score = 1 - score WHERE entity_key = (SELECT min(entity_key) FROM {table})"
    ((before,),) = healthy.sql(f"SELECT score FROM {table} ORDER BY entity_key LIMIT 1")
    with broken(healthy, shift, shift.replace("1 - score", repr(before))):
        assert found(healthy) == {"predictions": Health.FAIL}
        assert "have changed: checksum" in the(healthy, "predictions").message


def test_a_published_row_that_is_gone(healthy: Mill) -> None:
    table = table_of(healthy)
    take = (
        f"CREATE TABLE shop.taken AS SELECT * FROM {table} ORDER BY entity_key LIMIT 1;"
        f"DELETE FROM {table} WHERE entity_key IN (SELECT entity_key FROM shop.taken)"
    )
    with broken(healthy, take, f"INSERT INTO {table} SELECT * FROM shop.taken; DROP TABLE shop.taken"):
        assert found(healthy) == {"predictions": Health.FAIL}
        assert "has 59 rows, 60 were published" in the(healthy, "predictions").message


def test_the_rows_of_a_published_run_that_are_gone(healthy: Mill) -> None:
    table = table_of(healthy)
    with broken(
        healthy, f"ALTER TABLE {table} RENAME TO away", f"ALTER TABLE tidemill.away RENAME TO {table.split('.')[1]}"
    ):
        assert found(healthy) == {"predictions": Health.FAIL}


# ---------------------------------------------------------------- machine


def test_a_broken_spec_hides_no_other_model(healthy: Mill) -> None:
    path = healthy.workspace.models / "broken.yaml"
    path.write_text("model: [")
    try:
        assert found(healthy) == {"specs": Health.FAIL}
        assert [item for item in examine(healthy.workspace, as_of=AS_OF) if item.subject == healthy.model]
    finally:
        path.unlink()


def test_a_folder_of_secrets_that_others_may_enter(healthy: Mill, warehouse: Warehouse) -> None:
    with mode(warehouse.server.passwords, 0o750):
        assert found(healthy) == {"permissions": Health.FAIL}


def test_a_storage_that_everybody_may_change(healthy: Mill) -> None:
    with mode(healthy.workspace.storage, 0o777):
        assert found(healthy) == {"permissions": Health.FAIL}


def test_an_environment_that_others_may_read(healthy: Mill) -> None:
    path = healthy.workspace.storage.parent / "environment"
    path.write_text("A=1\n")
    path.chmod(0o644)
    try:
        assert found(healthy) == {"permissions": Health.FAIL}
    finally:
        path.unlink()


def test_a_package_that_is_not_as_locked(healthy: Mill, lock: Path) -> None:
    lock.write_text("numpy==0.1 \\\n    --hash=sha256:00\n", encoding="utf-8")
    assert found(healthy) == {"packages": Health.FAIL}
    assert f"numpy is {metadata.version('numpy')}, locked 0.1" in the(healthy, "packages").message


@pytest.mark.parametrize(
    "line", ["numpy==0.1 ; python_version < '3'", "nosuchpackage==1", "# numpy==0.1", "--no-binary numpy"]
)
def test_what_the_lock_does_not_want_here_is_passed_over(lock: Path, line: str) -> None:
    lock.write_text(f"{line}\n", encoding="utf-8")
    assert check_packages(lock).severity is Health.OK


def test_the_lock_of_the_checkout_is_found_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_LOCK")
    assert "0 packages" not in check_packages(lock_file()).message


GIB = 1024**3


@pytest.mark.parametrize(
    ("free", "total", "severity"),
    [
        (100 * 1024**2, 100 * GIB, "fail"),
        (GIB, 100 * GIB, "warn"),
        (GIB, 10 * GIB, "ok"),
        (50 * GIB, 10_000 * GIB, "ok"),
    ],
)
def test_room_on_the_disk(tmp_path: Path, free: int, total: int, severity: str) -> None:
    assert check_disk(free, total, tmp_path).severity.value == severity


# ---------------------------------------------------------------- MLflow

of_mlflow = pytest.mark.filterwarnings("ignore:The ``noload``")  # said by SQLAlchemy 2.1 of MLflow's own tables


@pytest.fixture(scope="module")
def registry(healthy: Mill, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Any, str]:
    """MLflow on a file of its own, with two versions: the champion's, and another's."""
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    client = MlflowClient(uri)
    champion = healthy.promoter.champion(healthy.model)
    assert champion is not None
    artifacts = str(tmp_path_factory.mktemp("mlflow-artifacts"))
    run = client.create_run(client.create_experiment(healthy.model, artifact_location=artifacts)).info.run_id
    healthy.promoter.note_mlflow_run(champion.release_id, run)
    client.create_registered_model(healthy.model)
    for release_id in (champion.release_id, 999_999):
        tags = {"tidemill.release_id": str(release_id), "tidemill.bundle_digest": champion.bundle_digest}
        client.create_model_version(healthy.model, f"mlflow-artifacts:/{run}", run, tags=tags)
    client.set_registered_model_alias(healthy.model, "champion", "1")
    return replace(healthy.workspace, tracking_uri=uri), client, healthy.model


@of_mlflow
def test_an_alias_where_the_ledger_has_it(healthy: Mill, registry: tuple[Workspace, Any, str]) -> None:
    assert found(replace(healthy, workspace=registry[0])) == {}


@of_mlflow
def test_an_alias_set_by_hand_is_found_and_repaired(healthy: Mill, registry: tuple[Workspace, Any, str]) -> None:
    workspace, client, model = registry
    mill = replace(healthy, workspace=workspace)
    client.set_registered_model_alias(model, "champion", "2")
    assert found(mill) == {"mlflow": Health.WARN}
    assert "MLflow calls release 999999 the champion" in the(mill, "mlflow").message
    assert found(mill, repair=True) == {}
    version = client.get_model_version_by_alias(model, "champion")  # a new one: the first held no model
    assert version.tags["tidemill.release_id"] == str(healthy.promoter.champion(model).release_id)
    assert client.get_logged_model(version.source.removeprefix("models:/")).tags["tidemill.content_digest"]


@of_mlflow
def test_a_champion_that_was_imported_need_not_be_shown_here(
    healthy: Mill, registry: tuple[Workspace, Any, str]
) -> None:
    champion = Mirrored(
        release_id=7, bundle_digest="0" * 64, bundle_uri="m/bundles/0", mlflow_run_id=None, imported=True
    )
    tracking = Tracking(registry[0].tracking_uri or "")
    assert check_alias(tracking, registry[0], "never_seen_here", champion, repair=True).severity is Health.OK
    finding = check_alias(tracking, registry[0], healthy.model, champion, repair=True)
    assert (finding.severity, finding.remedy) == (Health.WARN, "Delete the alias in MLflow.")


@of_mlflow
def test_an_alias_that_is_missing_is_found_and_repaired(healthy: Mill, registry: tuple[Workspace, Any, str]) -> None:
    workspace, client, model = registry
    mill = replace(healthy, workspace=workspace)
    client.delete_registered_model_alias(model, "champion")
    assert "MLflow calls no release the champion" in the(mill, "mlflow").message
    assert found(mill, repair=True) == {}


@of_mlflow
def test_a_training_that_waits_to_be_shown_is_reported(healthy: Mill, registry: tuple[Workspace, Any, str]) -> None:
    workspace, _, model = registry
    letter = workspace.storage / model / "unshown" / "1.json"
    letter.parent.mkdir()
    letter.write_text("{}", encoding="utf-8")
    try:
        assert found(replace(healthy, workspace=workspace)) == {"mlflow": Health.WARN}
    finally:
        letter.unlink()
        letter.parent.rmdir()


def test_an_mlflow_that_does_not_answer_is_a_warning_without_its_password() -> None:
    finding = check_tracking("http://user:secret@127.0.0.1:1")
    assert (finding.severity, "secret" in finding.message) == (Health.WARN, False)


@pytest.fixture
def silent() -> Iterator[str]:
    """An MLflow that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_an_mlflow_that_accepts_and_never_answers_is_asked_one_question(
    healthy: Mill, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked_again(*_: object) -> None:
        raise AssertionError("nothing else is asked")

    monkeypatch.setattr(Tracking, "session", asked_again)
    mill = replace(healthy, workspace=replace(healthy.workspace, tracking_uri=silent))
    findings = [item for item in examine(mill.workspace, as_of=AS_OF) if item.check == "mlflow"]
    assert [(item.subject, item.severity) for item in findings] == [("server", Health.WARN)]
    assert "does not answer within 5 s" in findings[0].message


def test_an_mlflow_that_stops_answering_is_asked_about_no_further_model(
    healthy: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_LAST_WORD_S", -1.0)  # any failure took longer
    monkeypatch.setattr(examination, "check_tracking", lambda _: Finding.ok("mlflow", "server", "It answers."))
    workspace = replace(healthy.workspace, tracking_uri="http://127.0.0.1:1")
    url = workspace.connection("tidemill")
    findings = list(examination._mirror(workspace, url, (healthy.spec,) * 3, repair=False))
    assert [item.severity for item in findings].count(Health.WARN) == 1


# ---------------------------------------------------------------- the command


@pytest.fixture
def environment(healthy: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = healthy.workspace
    for name, value in {
        "TIDEMILL_MODELS": workspace.models,
        "TIDEMILL_SQL": workspace.sql,
        "TIDEMILL_STORAGE": workspace.storage,
        "TIDEMILL_CONN_TIDEMILL": workspace.connection("tidemill"),
    }.items():
        monkeypatch.setenv(name, str(value))
    for name in ("TIDEMILL_CONN_WAREHOUSE", "TIDEMILL_CONN_TIDEMILL_PROMOTER", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("day", "status"), [("2024-03-26T16:00:00", 0), ("2024-03-28T16:00:00", 1)])
def test_the_exit_status_is_for_a_probe(day: str, status: int) -> None:
    assert CliRunner().invoke(app, ["doctor", "--as-of", day]).exit_code == status


@pytest.mark.usefixtures("environment")
def test_findings_as_json_have_what_the_table_has() -> None:
    shown = CliRunner().invoke(app, ["doctor", "--json", "--as-of", "2024-03-28T16:00:00"])
    findings = json.loads(shown.stdout)
    assert {"freshness"} == {item["check"] for item in findings if item["severity"] == "fail"}
    assert set(findings[0]) == {"check", "subject", "severity", "message", "remedy"}


@pytest.mark.usefixtures("environment")
def test_the_task_fails_without_a_retry_and_says_what_failed(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, role in ROLES.items():
        url = warehouse.url(role).replace("postgresql://", "postgres://")
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", url)
    task = DoctorOperator(task_id="doctor")
    context: Any = {}
    assert [item["check"] for item in task.execute(context)] == ["mlflow"]  # its data have ended long ago
    with mode(warehouse.server.passwords, 0o755), pytest.raises(FatalError, match="permissions of machine"):
        task.execute(context)
