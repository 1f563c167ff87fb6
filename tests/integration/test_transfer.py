"""A release carried from one environment to the next: another database, another storage, and an archive between them."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import ArtifactCorrupt, NotApproved, SpecError
from tidemill.operations.rollback import promote_by_hand
from tidemill.operations.transfer import export_release, import_release
from tidemill.postgres.cluster import ADMIN
from tidemill.records import Decision, EvaluationReport, Verdict
from tidemill.storage.archive import LIMIT_BYTES, read_archive
from tidemill.storage.store import Store
from tidemill.warehouse.migrations import apply_migrations
from tidemill.warehouse.releases.origins import Origins
from tidemill.warehouse.releases.registry import NewRelease

from .conftest import ROLES, Warehouse
from .data import SCORED, Mill, generate_parcels, load_parcels

Trained = tuple[Mill, dict[str, dict[str, Any]]]
COUNTS = (
    "SELECT (SELECT count(*) FROM tidemill.{0}), (SELECT count(*) FROM tidemill.decision WHERE kind = 'accept'),"
    " (SELECT count(*) FROM tidemill.audit WHERE event = 'import')"
)
POINTS = ("bundle-written", "card-written", "register-before-commit", "register-after-commit")


@pytest.fixture(scope="module")
def staging(trained_mill: Trained) -> Mill:
    return trained_mill[0]


@pytest.fixture(scope="module")
def archive(staging: Mill, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The champion of staging."""
    file = tmp_path_factory.mktemp("carried") / "release.tar"
    return file, export_release(staging.workspace, staging.model, None, file)[1]


def place(warehouse: Warehouse, role: str, database: str) -> str:
    return f"postgresql://{role}:{warehouse.password(role)}@127.0.0.1:{warehouse.port}/{database}"


@contextmanager
def database(warehouse: Warehouse, name: str, template: str) -> Iterator[None]:
    with closing(psycopg2.connect(place(warehouse, ADMIN, "postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} OWNER tidemill_owner TEMPLATE {template}")
            try:
                yield
            finally:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def blank(warehouse: Warehouse) -> Iterator[str]:
    """A ledger in which nothing has happened, to make others of."""
    with database(warehouse, "blank", "template0"):
        apply_migrations(place(warehouse, "tidemill_owner", "blank"))
        yield "blank"


@pytest.fixture
def production(warehouse: Warehouse, blank: str, staging: Mill, tmp_path: Path) -> Iterator[Mill]:
    """The same model in a database and a storage of its own, where nothing has been released."""
    with database(warehouse, "production", blank):
        workspace = replace(
            staging.workspace,
            storage=tmp_path / "production",
            connection=lambda name: place(warehouse, ROLES[name], "production"),
        )
        yield Mill(model=staging.model, workspace=workspace, owner_url=place(warehouse, "tidemill_owner", "production"))


def counts(mill: Mill) -> tuple[Any, ...]:
    """Releases, decisions of the gate, and imports on record."""
    return mill.sql(COUNTS.format("release"))[0]


def folders(mill: Mill) -> list[str]:
    root = mill.workspace.storage
    return sorted(path.relative_to(root).as_posix() for path in root.glob("*/*/*")) if root.is_dir() else []


def test_a_release_arrives_with_its_evidence_and_does_not_serve(staging: Mill, production: Mill, archive: Any) -> None:
    done = import_release(production.workspace, archive[0], by="Ada", digest=archive[1])
    assert counts(production) == (1, 1, 1)
    assert production.promoter.champion(staging.model) is None
    before, after = (
        mill.promoter.release(staging.model, number)
        for mill, number in ((staging, done.origin_release_id), (production, done.release_id))
    )
    assert before is not None
    assert after is not None
    same = ("bundle_digest", "bundle_uri", "snapshot_digest", "known_until", "metric", "metric_value", "learnt_until",
            "partition", "evidence")  # fmt: skip
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert done.decision.verdict.value == after.verdict == "accept"
    assert done.decision.reasons[0].startswith(f"Imported: release {done.origin_release_id} of ledger ")


def test_where_it_comes_from_is_on_record(production: Mill, archive: Any) -> None:
    done = import_release(production.workspace, archive[0], by="Ada")
    ((details,),) = production.sql("SELECT details FROM tidemill.audit WHERE event = 'import'")
    assert (details["by"], details["release_id"], details["archive"]) == ("Ada", done.release_id, archive[1])
    ((origin,),) = production.sql("SELECT evidence -> 'origin' FROM tidemill.decision WHERE kind = 'accept'")
    assert origin["release_id"] == details["origin"]["release_id"] == done.origin_release_id
    assert "promote by gate" in origin["deployments"][0]
    kinds = production.sql("SELECT kind FROM tidemill.document ORDER BY kind")
    assert kinds == [("packages",), ("queries",), ("spec",)]
    card = production.workspace.storage / production.promoter.release(production.model, done.release_id).bundle_uri
    assert "accepted, approved by gate" in (card / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_once_a_person_promotes_it_it_scores_as_where_it_comes_from(
    staging: Mill, production: Mill, archive: Any, new_mill: Callable[[], Mill]
) -> None:
    load_parcels(production.owner_url, production.model, generate_parcels(random_state=1))
    done = import_release(production.workspace, archive[0], by="Ada")
    promote_by_hand(
        production.spec, production.workspace, done.release_id, force=False, approved_by="Bea", reason="Live."
    )
    there = staging.predict(SCORED, dry_run=True)["predict"]
    here = production.predict(SCORED)["publish"]
    assert here["checksum"] == there["checksum"]
    assert production.monitor(SCORED)["drift"]["part"] == "drift"


def test_doing_it_again_changes_nothing(production: Mill, archive: Any) -> None:
    first = import_release(production.workspace, archive[0], by="Ada")
    state = counts(production), folders(production)
    again = import_release(production.workspace, archive[0], by="Bea")
    assert (counts(production), folders(production)) == state
    assert (again.release_id, first.known, again.known) == (first.release_id, False, True)


def test_new_evidence_about_a_known_bundle_is_judged_and_counts(
    warehouse: Warehouse, blank: str, production: Mill, archive: Any, tmp_path: Path
) -> None:
    model, first = production.model, import_release(production.workspace, archive[0], by="Ada")
    with database(warehouse, "corrected", blank):
        workspace = replace(
            production.workspace,
            storage=tmp_path / "corrected",
            connection=lambda name: place(warehouse, ROLES[name], "corrected"),
        )
        origin = Mill(model=model, workspace=workspace, owner_url=place(warehouse, "tidemill_owner", "corrected"))
        number = import_release(workspace, archive[0], by="Ada").release_id
        uri = judge_again(origin, number)
        export_release(workspace, model, number, tmp_path / "corrected.tar")
    again = import_release(production.workspace, tmp_path / "corrected.tar", by="Ada")
    release = production.promoter.release(model, first.release_id)
    assert (again.release_id, again.known) == (first.release_id, True)
    assert release is not None
    assert (release.evidence["uri"], release.metric_value) == (uri, 0.4)
    assert release.decision_id == again.decision.decision_id
    assert counts(production) == (1, 2, 2)
    import_release(production.workspace, archive[0], by="Ada")  # the older archive once more: the newest still counts
    import_release(production.workspace, tmp_path / "corrected.tar", by="Ada")
    assert production.promoter.release(model, first.release_id) == release
    assert counts(production) == (1, 2, 2)


def judge_again(mill: Mill, release_id: int) -> str:
    """Record another evaluation of a release, as a training on corrected labels does; return its folder."""
    made = Origins(mill.workspace.connection("tidemill")).release(mill.model, release_id)
    release = mill.promoter.release(mill.model, release_id)
    assert release is not None
    stored = Store.of(mill.workspace).write(mill.model, "evaluations", corrected_page)
    decision = Decision(kind="accept", verdict=Verdict.REJECT, reasons=("Judged on corrected labels.",))
    decision_id = mill.ledger.record_decision(mill.model, made.partition, decision, {}, None)
    mill.promoter.register(
        NewRelease(
            model=mill.model,
            partition=made.partition,
            bundle=EvaluationReport.from_dict(made.evidence).bundle,
            snapshot_digest=made.snapshot_digest,
            split_digest=made.split_digest,
            metric=release.metric,
            metric_value=0.4,
            evidence=made.evidence | {"uri": stored.uri},
            decision=replace(decision, decision_id=decision_id),
            learnt_until=release.learnt_until,
            known_until=made.known_until,
            spec_digest=made.spec_digest,
            code_version=made.code_version,
            lock_digest=made.lock_digest,
            run_id=None,
        )
    )
    return stored.uri


def corrected_page(folder: Path) -> None:
    (folder / "evaluation.html").write_text("Evaluated on corrected labels.", encoding="utf-8")


def test_the_same_release_gives_the_same_archive(staging: Mill, archive: Any, tmp_path: Path) -> None:
    export_release(staging.workspace, staging.model, None, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive[0].read_bytes()


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_time_it_can_be_done_again(production: Mill, archive: Any, point: str, tmp_path: Path) -> None:
    workspace = production.workspace
    killed = subprocess.run(
        [sys.executable, "-c", "from tidemill.cli import main; main()", "import", str(archive[0])],
        env=os.environ | production.environment | {"TIDEMILL_FAULT": f"{point}:kill"},
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr
    done = import_release(workspace, archive[0], by="Ada", digest=archive[1])
    assert counts(production) == (1, 1, 1)
    assert production.promoter.champion(production.model) is None
    assert import_release(workspace, archive[0], by="Ada").release_id == done.release_id


def test_what_serves_here_and_was_never_compared_needs_force(
    production: Mill, archive: Any, trained_mill: Trained
) -> None:
    production.promote(production.register(trained_mill[1], bundle_digest="1" * 64), None)
    done = import_release(production.workspace, archive[0], by="Ada")
    assert done.decision.verdict.value == "not_enough_evidence"
    assert any("cannot be compared: it differs from the one that served" in reason for reason in done.decision.reasons)
    with pytest.raises(NotApproved, match="not enough evidence"):
        promote_by_hand(
            production.spec, production.workspace, done.release_id, force=False, approved_by="Ada", reason="-"
        )
    assert production.promoter.champion(production.model).bundle_digest == "1" * 64


def test_a_model_without_a_spec_here_is_refused(production: Mill, archive: Any, tmp_path: Path) -> None:
    bare = replace(production.workspace, models=tmp_path / "none")
    with pytest.raises(SpecError):
        import_release(bare, archive[0], by="Ada")
    assert (counts(production), folders(production)) == ((0, 0, 0), [])


def test_the_commands_say_what_they_have_done(
    staging: Mill, production: Mill, archive: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for mill, arguments in (
        (staging, ["export", staging.model, str(tmp_path / "r.tar")]),
        (production, ["import", str(tmp_path / "r.tar"), "--digest", archive[1]]),
    ):
        for name in ROLES:
            monkeypatch.setenv(f"TIDEMILL_CONN_{name.upper()}", mill.workspace.connection(name))
        for name in ("models", "sql", "storage"):
            monkeypatch.setenv(f"TIDEMILL_{name.upper()}", str(getattr(mill.workspace, name)))
        result = CliRunner().invoke(app, arguments)
        assert (result.exit_code, archive[1] in result.output.replace("\n", "")) == (0, True), result.output
    assert "It does not serve." in result.output


def test_through_a_bucket_it_goes_on_to_a_third_environment_with_every_file(
    production: Mill, archive: Any, tmp_path: Path
) -> None:
    bucket = replace(production.workspace, bucket=f"file://{tmp_path}/bucket")
    import_release(bucket, archive[0], by="Ada")
    other_machine = replace(bucket, storage=tmp_path / "cache of another machine")
    number = production.promoter.release(production.model, 1).release_id
    export_release(other_machine, production.model, number, tmp_path / "on.tar")
    (there, _), (here, _) = (
        read_archive(file, tmp_path / f"unpacked {file.name}") for file in (archive[0], tmp_path / "on.tar")
    )
    assert here.files == there.files
    assert "MODEL_CARD.md" in here.files
    assert here.decision.reasons[0].startswith(f"Imported: release {there.release_id} of ledger {there.ledger[:12]}")
    assert here.ledger != there.ledger


# ---------------------------------------------------------------- archives that somebody has changed

Members = list[tuple[tarfile.TarInfo, bytes]]


def members(file: Path) -> Members:
    with tarfile.open(file) as archive:
        return [(entry, archive.extractfile(entry).read()) for entry in archive.getmembers()]


def written(file: Path, content: Members) -> Path:
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as archive:
        for entry, data in content:
            entry.size = len(data) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(data) if entry.isreg() else None)
    return file


def flipped(content: Members) -> Members:
    entry, data = content[1]
    return [content[0], (entry, bytes([data[0] ^ 1]) + data[1:]), *content[2:]]


def with_entry(name: str, kind: bytes = tarfile.REGTYPE, *, named: bool = True) -> Callable[[Members], Members]:
    """Put one more entry into the archive; its passport names it, as whoever has written the archive could."""

    def change(content: Members) -> Members:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        passport = json.loads(content[0][1])
        if named:
            passport["files"][name] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        return [(content[0][0], json.dumps(passport).encode()), *content[1:], (entry, b"")]

    return change


def with_value(key: str, value: Any) -> Callable[[Members], Members]:
    def change(content: Members) -> Members:
        return [(content[0][0], json.dumps(json.loads(content[0][1]) | {key: value}).encode()), *content[1:]]

    return change


def with_passport(content: bytes) -> Callable[[Members], Members]:
    return lambda all_of_it: [(all_of_it[0][0], content), *all_of_it[1:]]


CHANGES: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a flipped byte": (flipped, "MODEL_CARD.md was [0-9a-f]{64}, is "),
    "a way out of the folder": (with_entry("../../outside"), "names '../../outside', which is not a valid file name"),
    "a way out by dots inside": (with_entry("bundle/../../x"), "which is not a valid file name"),
    "an absolute path": (with_entry("/tmp/outside"), "which is not a valid file name"),
    "a symbolic link": (with_entry("bundle/link", tarfile.SYMTYPE), "bundle/link is a link or something else"),
    "a hard link": (with_entry("bundle/link", tarfile.LNKTYPE), "bundle/link is a link or something else"),
    "a device": (with_entry("bundle/null", tarfile.CHRTYPE), "bundle/null is a link or something else"),
    "a file too many": (with_entry("bundle/more", named=False), "it contains 'bundle/more', which its passport does not list"),
    "a file too few": (lambda content: content[:-1], "it lacks evaluation/"),
    "the passport of another": (with_value("files", {"bundle/manifest.json": "0" * 64}), "which its passport does not list"),
    "no passport": (lambda content: content[1:], "its first file is not passport.json"),
    "a passport that is not JSON": (with_passport(b"{"), "its passport is not JSON"),
    "a passport that is too deep": (with_passport(b"[" * 100_000), "its passport is not JSON"),
    "a passport of things unheard of": (with_value("promote", True), "its passport is invalid: promote"),
    "another protocol": (with_value("protocol", 9), "its passport has a protocol that this version does not read"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_an_archive_that_was_changed_is_refused_with_a_message(archive: Any, change: str, tmp_path: Path) -> None:
    alter, words = CHANGES[change]
    file = written(tmp_path / "changed.tar", alter(members(archive[0])))
    with pytest.raises(ArtifactCorrupt, match=words):
        read_archive(file, tmp_path / "unpacked")
    assert not (tmp_path.parent / "outside").exists()


def test_an_archive_that_is_cut_off_is_refused(archive: Any, tmp_path: Path) -> None:
    for share in (0.1, 0.5, 0.9):
        content = archive[0].read_bytes()
        (tmp_path / "cut.tar").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ArtifactCorrupt, match="is refused"):
            read_archive(tmp_path / "cut.tar", tmp_path / f"unpacked_{share}")


def test_an_archive_that_is_too_large_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "large.tar").touch()
    os.truncate(tmp_path / "large.tar", LIMIT_BYTES + 1)  # with a hole, so that it takes no room
    with pytest.raises(ArtifactCorrupt, match="bytes, 4,294,967,296 are allowed"):
        read_archive(tmp_path / "large.tar", tmp_path / "unpacked")


@pytest.mark.parametrize("key", ["bundle", "uri"])
def test_a_passport_that_points_elsewhere_is_refused(production: Mill, archive: Any, key: str, tmp_path: Path) -> None:
    """Written consistently, so that only what the files themselves say gives it away."""

    def change(content: Members) -> Members:
        passport = json.loads(content[0][1])
        if key == "uri":
            passport["evaluation"]["uri"] = "../" + passport["evaluation"]["uri"]
        else:
            passport["evaluation"]["bundle"] |= {"digest": "1" * 64, "uri": f"{production.model}/bundles/{'1' * 64}"}
        return [(content[0][0], json.dumps(passport).encode()), *content[1:]]

    file = written(tmp_path / "changed.tar", change(members(archive[0])))
    with pytest.raises(ArtifactCorrupt):
        import_release(production.workspace, file, by="Ada")
    assert counts(production) == (0, 0, 0)


@pytest.mark.parametrize("place", ["snapshot", "evaluation", "bundle", "candidate"])
@pytest.mark.parametrize("owner", ["__pycache__", "other", "", "..", "a/b"])
def test_a_passport_that_names_a_folder_of_another_model_is_refused(
    production: Mill, archive: Any, place: str, owner: str, tmp_path: Path
) -> None:
    passport = json.loads(members(archive[0])[0][1])
    report = passport["evaluation"]
    holder = {"snapshot": passport["snapshot"], "evaluation": report, "bundle": report["bundle"],
              "candidate": report["candidates"][-1]}[place]  # fmt: skip
    holder["uri"] = f"{owner}/{holder['uri'].partition('/')[2]}"
    file = written(tmp_path / "changed.tar", with_passport(json.dumps(passport).encode())(members(archive[0])))
    with pytest.raises(ArtifactCorrupt, match="which is not a folder of this model's artifacts"):
        import_release(production.workspace, file, by="Ada")
    assert (counts(production), folders(production)) == ((0, 0, 0), [])


@pytest.mark.parametrize("content", [b"\xff\xfe<svg/>", b"<svg>\x80</svg>"])
def test_an_archive_with_a_page_that_cannot_be_made_is_refused(
    production: Mill, archive: Any, content: bytes, tmp_path: Path
) -> None:
    """Written consistently: digests in the evaluation's list, its name and the passport all match the picture."""

    entries = {entry.name: entry for entry, _ in members(archive[0])}
    files = {entry.name: data for entry, data in members(archive[0])}
    passport = json.loads(files.pop("passport.json"))
    files[next(name for name in files if name.endswith(".svg"))] = content
    lines = {name.removeprefix("evaluation/"): hashlib.sha256(data).hexdigest() for name, data in files.items()
             if name.startswith("evaluation/") and name != "evaluation/.digests"}  # fmt: skip
    listed = "".join(f"{name}\0{lines[name]}\n" for name in sorted(lines)).encode()
    if "evaluation/.digests" in files:
        files["evaluation/.digests"] = listed
    passport["evaluation"]["uri"] = f"{production.model}/evaluations/{hashlib.sha256(listed).hexdigest()}"
    passport["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    changed = {"passport.json": json.dumps(passport).encode()} | files
    file = written(tmp_path / "changed.tar", [(entries[name], data) for name, data in changed.items()])
    with pytest.raises(ArtifactCorrupt, match="cannot be shown"):
        import_release(production.workspace, file, by="Ada")
    assert (counts(production), folders(production)) == ((0, 0, 0), [])


def test_another_archive_than_the_one_that_was_meant_is_refused(production: Mill, archive: Any, tmp_path: Path) -> None:
    file = written(tmp_path / "better.tar", with_value("metric_value", 0.99)(members(archive[0])))
    with pytest.raises(ArtifactCorrupt, match=f"is not the expected one: expected digest {archive[1]}"):
        import_release(production.workspace, file, by="Ada", digest=archive[1])
    assert (counts(production), folders(production)) == ((0, 0, 0), [])
