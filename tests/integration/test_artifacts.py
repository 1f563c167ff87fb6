"""What the store was given is not what it gives back, or the source moves: steps refuse, and nothing that serves changes."""

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.errors import ArtifactCorrupt
from tidemill.steps.predict import predict
from tidemill.storage.layout import FEATURES
from tidemill.storage.store import Store
from tidemill.storage.tables import read_table

from .data import SCORED, TRAINED, Mill


@pytest.fixture
def published(serving: Mill) -> Iterator[Mill]:
    """A model that serves, with a published partition; no process remembers its bundle."""
    serving.predict()
    predict._scorer.cache_clear()
    yield serving
    predict._scorer.cache_clear()


def bundle_of(mill: Mill) -> Path:
    champion = mill.promoter.champion(mill.model)
    assert champion is not None
    return Store(mill.workspace.storage).path(champion.bundle_uri)


@contextmanager
def restored(folder: Path, aside: Path) -> Iterator[None]:
    shutil.copytree(folder, aside)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        shutil.move(aside, folder)


def flip(folder: Path, _: Path) -> str:
    path = random.Random(1).choice(sorted(folder.glob("*.skops")))
    content = path.read_bytes()
    path.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    return rf"{path.name} has changed: expected digest [0-9a-f]{{64}}, got [0-9a-f]{{64}}"


def cut_off(folder: Path, _: Path) -> str:
    (folder / "golden.parquet").write_bytes((folder / "golden.parquet").read_bytes()[:-1])
    return r"golden\.parquet has changed"


def remove(folder: Path, _: Path) -> str:
    (folder / "schema.json").unlink()
    return r"lacks file\(s\) \['schema\.json'\]"


def add(folder: Path, _: Path) -> str:
    (folder / "model.pkl").write_bytes(b"\x80\x04.")
    return r"\['model\.pkl'\] too many"


def link(folder: Path, aside: Path) -> str:
    (folder / "schema.json").unlink()
    (folder / "schema.json").symlink_to(aside / "schema.json")
    return r"schema\.json: expected a plain file, got a symbolic link"


def swap(folder: Path, aside: Path) -> str:
    """Put another bundle in its place that is whole in itself."""
    other = next(path for path in sorted(folder.parent.iterdir()) if path.name != folder.name and len(path.name) == 64)
    shutil.rmtree(folder)
    shutil.copytree(other, folder)
    return r"manifest\.json has changed"


@pytest.mark.parametrize("damage", [flip, cut_off, remove, add, link, swap], ids=lambda damage: damage.__name__)
def test_a_damaged_bundle_scores_nothing_and_nothing_changes(
    published: Mill, tmp_path: Path, damage: Callable[[Path, Path], str]
) -> None:
    folder, before = bundle_of(published), (published.view(), published.promoter.champion(published.model))
    with restored(folder, tmp_path / "aside"):
        said = damage(folder, tmp_path / "aside")
        with pytest.raises(ArtifactCorrupt, match=said):
            published.predict()
        assert (published.view(), published.promoter.champion(published.model)) == before
    assert published.last_run()["status"] == "failed"
    assert "ArtifactCorrupt" in published.last_run()["error"]


def test_a_damaged_challenger_is_not_promoted(mill: Mill) -> None:
    trained = mill.train(dry_run=True)
    folder = Store(mill.workspace.storage).path(trained["evaluate"]["bundle"]["uri"])
    content = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(content[:-1])
    split, bundles = trained["prepare"], trained["evaluate"]["candidates"]
    try:
        with pytest.raises(ArtifactCorrupt, match=r"model\.skops has changed"):
            mill.step("train", "evaluate", TRAINED, split=split, bundles=bundles)
    finally:
        (folder / "model.skops").write_bytes(content)
    assert mill.promoter.champion(mill.model) is None


def test_a_damaged_snapshot_is_refused_with_its_file(serving: Mill) -> None:
    snapshot = serving.extract("score", SCORED)
    path = Store(serving.workspace.storage).path(snapshot.uri) / FEATURES
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    try:
        with pytest.raises(ArtifactCorrupt, match=r"features\.parquet was [0-9a-f]{64}, is [0-9a-f]{64}"):
            serving.step("predict", "validate_data", SCORED, snapshot=snapshot.to_dict())
    finally:
        path.write_bytes(content)


def test_a_single_class_keeps_the_champion(serving: Mill) -> None:
    before = serving.promoter.champion(serving.model)
    serving.sql("UPDATE {t} SET late = true")
    with pytest.raises(Exception, match="class"):
        serving.train()
    assert serving.promoter.champion(serving.model) == before


def test_a_source_that_changes_while_it_is_read_gives_one_instant(mill: Mill) -> None:
    """Every row gets the same number, a new one in each transaction: a mixture would show two."""
    mill.sql("UPDATE {t} SET weight_kg = 0")
    stop, done = threading.Event(), []

    def keep_changing() -> None:
        number = 0
        while not stop.wait(0.01):  # without a pause its dead rows slow the reader down, which lets it write more
            number += 1
            mill.sql("UPDATE {t} SET weight_kg = %s", number)
            done.append(number)

    writer = threading.Thread(target=keep_changing)
    writer.start()
    try:
        snapshots = [mill.extract("train", TRAINED) for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    store = Store(mill.workspace.storage)
    tables = [read_table(store.folder(item.uri, item.digest) / FEATURES, ["weight_kg"]) for item in snapshots]
    assert [len(set(table["weight_kg"].to_pylist())) for table in tables] == [1, 1, 1]
    assert len(done) > 3  # it did change meanwhile


def test_predictions_need_no_mlflow(serving: Mill) -> None:
    """Whatever the alias says, or whether there is a server at all: only the ledger and the store are asked."""
    away = replace(serving.workspace, tracking_uri="http://127.0.0.1:1")
    assert replace(serving, workspace=away).predict()["publish"]["published"]
