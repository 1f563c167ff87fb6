import os
from pathlib import Path

import pytest

from tidemill.errors import ArtifactCorrupt
from tidemill.storage.store import Store


def put(store: Store, content: str = "x", name: str = "a.txt"):
    return store.write("m", "snapshots", lambda folder: (folder / name).write_text(content) and None)


def test_the_same_content_has_the_same_digest_and_folder(tmp_path: Path) -> None:
    assert put(Store(tmp_path)) == put(Store(tmp_path))


def test_another_name_of_a_file_is_another_content(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert put(store, name="a.txt").digest != put(store, name="b.txt").digest


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    stored = put(store)
    (tmp_path / stored.uri / "a.txt").write_text("y")
    with pytest.raises(ArtifactCorrupt, match="has changed"):
        store.folder(stored.uri, stored.digest)


def test_an_extra_file_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    stored = put(store)
    (tmp_path / stored.uri / "b.txt").write_text("y")
    with pytest.raises(ArtifactCorrupt):
        store.folder(stored.uri, stored.digest)


def test_a_link_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    stored = put(store)
    (tmp_path / stored.uri / "link").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactCorrupt, match="symbolic link"):
        store.folder(stored.uri, stored.digest)


def test_a_corrupt_folder_is_replaced_when_the_content_is_written_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    stored = put(store)
    (tmp_path / stored.uri / "a.txt").write_text("y")
    put(store)
    assert (store.folder(stored.uri, stored.digest) / "a.txt").read_text() == "x"


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Store(tmp_path).write("m", "snapshots", fail)
    assert os.listdir(tmp_path / "m" / "snapshots") == []  # noqa: PTH208 - hidden entries count too


@pytest.mark.parametrize("uri", ["../x", "/etc", "m/../../x"])
def test_a_uri_out_of_the_root_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ArtifactCorrupt, match="outside the storage"):
        Store(tmp_path).path(uri)


def test_a_missing_artifact_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtifactCorrupt, match="is missing"):
        Store(tmp_path).folder("m/snapshots/0", "0")
