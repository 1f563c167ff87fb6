"""Backup and restore, with Postgres' own programs into a second cluster, as docs/operate/backup.md says it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidemill.doctor import Finding, Health, examine
from tidemill.errors import SettingsError, StackError
from tidemill.local.backup import back_up
from tidemill.local.config import StackConfig, save_config
from tidemill.local.ports import Ports
from tidemill.postgres.cluster import ADMIN
from tidemill.storage.audit_anchor import anchor_uri
from tidemill.warehouse.connections import transaction
from tidemill.workspace import Workspace

from ..chaos.server import ROLES, Server
from ..chaos.tables import what_counts
from .data import NEXT, SCORED, Mill, generate_parcels, load_parcels

MODEL = "parcels"
NOON = datetime(2024, 3, 24, 12, tzinfo=UTC)


class Cluster(Server):
    """A server, and Postgres' client programs on it."""

    def run(self, program: str, *arguments: str, stdin: bytes | None = None) -> bytes:
        return subprocess.run(
            [self.cluster.programs / program, "-h", "127.0.0.1", "-p", str(self.port), "-U", ADMIN, *arguments],
            env={"PATH": os.environ["PATH"], "PGPASSWORD": self.password(ADMIN)},
            input=stdin,
            check=True,
            capture_output=True,
        ).stdout

    def mill(self, root: Path) -> Mill:
        workspace = Workspace(
            models=root / "models",
            sql=root / "sql",
            storage=root / "storage",
            tracking_uri=None,
            connection=lambda name: self.url(ROLES[name]),
        )
        return Mill(model=MODEL, workspace=workspace, owner_url=self.url("tidemill_owner"))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Mill]]:
    """A cluster of its own with a model that was trained and has published yesterday."""
    server = Cluster(tmp_path_factory.mktemp("first"))
    try:
        server.start()
        server.create_ledger()
        mill = server.mill(tmp_path_factory.mktemp("project"))
        load_parcels(mill.owner_url, MODEL, generate_parcels(random_state=1))
        mill.write()
        mill.train(shown=False)
        mill.predict(SCORED)
        mill.monitor(SCORED)
        yield server, mill
    finally:
        server.remove()


@pytest.fixture(scope="module")
def restored(lived: tuple[Cluster, Mill], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """The same from its backup, in another cluster and another folder; the first went on while it was taken."""
    server, mill = lived
    backup = tmp_path_factory.mktemp("backup")
    roles = server.run("pg_dumpall", "--roles-only")
    dump = server.run("pg_dump", "--create", "--format=custom", "warehouse")
    mill.predict(NEXT)  # its folders are copied, and no row of the dump speaks of them
    shutil.copytree(mill.workspace.storage, backup / "storage")
    for name in ("models", "sql"):
        shutil.copytree(getattr(mill.workspace, name), backup / name)
    other = Cluster(tmp_path_factory.mktemp("second"))
    try:
        other.start()
        other.run("psql", "--quiet", "--dbname=postgres", stdin=roles)
        for passfile in server.home.secrets.glob("*.pgpass"):  # the roles have the passwords that they had
            shutil.copy(passfile, other.home.secrets)
        other.run("pg_restore", "--create", "--exit-on-error", "--dbname=postgres", stdin=dump)
        (backup / "storage" / anchor_uri(MODEL)).unlink()  # of the publication after the dump
        yield other.mill(backup)
    finally:
        other.remove()


def findings(mill: Mill) -> dict[tuple[str, str], Finding]:
    as_of = mill.spec.partition(SCORED).interval.start.replace(hour=15)
    return {(item.check, item.subject): item for item in examine(mill.workspace, as_of=as_of, deep=True)}


def test_every_prediction_and_release_is_as_it_was(lived: tuple[Cluster, Mill], restored: Mill) -> None:
    """The rows, the ledger's tables and every artifact's digest, except for what came after the dump."""
    before, after = what_counts(lived[1]), what_counts(restored)
    for name in ("rows", "published", "snapshot", "publishes"):
        later = [row for row in before[name] if NEXT in row]
        assert later, f"{name}: nothing came after the dump"
        before[name] = [row for row in before[name] if row not in later]
    assert after == before


def test_the_doctor_finds_nothing_however_deep_it_looks(restored: Mill) -> None:
    ledger = {
        key: item
        for key, item in findings(restored).items()
        if key[0] not in ("packages", "disk", "permissions", "mlflow")
    }
    assert {"migrations", "roles", "grants", "append_only", "audit", "bundles", "snapshots", "predictions"} <= {
        check for check, _ in ledger
    }
    assert [item for item in ledger.values() if item.severity is not Health.OK] == []


def test_an_anchor_that_is_younger_than_the_dump_is_named(lived: tuple[Cluster, Mill], restored: Mill) -> None:
    """To the doctor, an older database and an audit that was cut look the same: a person decides."""
    younger, here = (mill.workspace.storage / anchor_uri(MODEL) for mill in (lived[1], restored))
    shutil.copy(younger, here)
    try:
        finding = findings(restored)["anchor", MODEL]
        assert (finding.severity, anchor_uri(MODEL) in finding.remedy) == (Health.FAIL, True)
    finally:
        here.unlink()


def test_yesterday_is_scored_again_to_the_same_checksum(lived: tuple[Cluster, Mill], restored: Mill) -> None:
    published = {run.partition: run for run in lived[1].publisher.published(MODEL)}[SCORED]
    assert restored.predict(SCORED)["publish"]["checksum"] == checksum_of(lived[1], published.prediction_run_id)


def checksum_of(mill: Mill, number: int) -> str:
    ((checksum,),) = mill.sql("SELECT checksum FROM tidemill.prediction_run WHERE prediction_run_id = %s", number)
    return str(checksum)


def test_the_training_can_be_made_again_to_the_same_bundle(restored: Mill) -> None:
    digests = "SELECT DISTINCT bundle_digest FROM tidemill.release WHERE model = '{m}'"
    before = restored.sql(digests)
    restored.train(shown=False)
    assert restored.sql(digests) == before


def test_runtime_roles_have_no_more_rights_than_they_had(restored: Mill) -> None:
    with pytest.raises(SettingsError), transaction(restored.workspace.connection("tidemill")) as cursor:
        cursor.execute("DELETE FROM tidemill.audit")


def test_postgres_is_put_back_by_the_command_that_the_backup_prints(tmp_path: Path) -> None:
    server = Cluster(tmp_path)
    save_config(server.home, StackConfig(project=tmp_path, ports=Ports(), cluster=server.cluster))
    try:
        server.start()
        server.create_ledger()
        with pytest.raises(StackError, match="may be running"):
            back_up(server.home.folder, NOON, print)
        server.stop()
        made = back_up(server.home.folder, NOON, print)
        assert made is not None
        assert (made.file.name, made.file.stat().st_mode & 0o777) == ("postgres-20240324T120000Z.tar", 0o600)
        server.start()
        server.as_admin("DROP SCHEMA tidemill CASCADE")
        server.stop()
        subprocess.run(made.restore_command, shell=True, check=True)
        server.start()
        assert server.as_admin("SELECT count(*) FROM tidemill.model") == [(0,)]
    finally:
        server.remove()


def test_where_no_stack_has_been_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    assert back_up(tmp_path, NOON, print) is None


def test_a_storage_older_than_the_dump_is_found_out(restored: Mill, tmp_path: Path) -> None:
    """The wrong order: rows that speak of files which the copy does not have."""
    root = restored.workspace.storage
    shutil.copytree(root, tmp_path / "storage")
    ((uri,),) = restored.sql(
        "SELECT uri FROM tidemill.snapshot s JOIN tidemill.prediction_run r ON r.snapshot_digest = s.digest"
        " JOIN tidemill.published p USING (prediction_run_id) WHERE p.partition = %s",
        SCORED,
    )
    shutil.rmtree(tmp_path / "storage" / uri)
    other = replace(restored, workspace=replace(restored.workspace, storage=tmp_path / "storage"))
    assert findings(other)["snapshots", MODEL].severity is Health.FAIL
