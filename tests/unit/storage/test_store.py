import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.errors import ArtifactCorrupt, SettingsError
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


def damaged(store: Store, change: Callable[[Path], object]) -> str:
    stored = store.write("m", "snapshots", lambda folder: [(folder / name).write_text(name) for name in "ab"] and None)
    change(store.root / stored.uri)
    with pytest.raises(ArtifactCorrupt) as found:
        store.folder(stored.uri, stored.digest)
    assert stored.digest in str(found.value)
    return str(found.value)


def test_the_changed_file_is_named_with_both_digests(tmp_path: Path) -> None:
    said = damaged(Store(tmp_path), lambda folder: (folder / "b").write_text("y"))
    assert re.search(r"\(b was [0-9a-f]{64}, is [0-9a-f]{64}\)", said)


def test_the_missing_file_is_named(tmp_path: Path) -> None:
    assert "(a is missing)" in damaged(Store(tmp_path), lambda folder: (folder / "a").unlink())


def test_the_extra_file_is_named(tmp_path: Path) -> None:
    assert "(c is one too many)" in damaged(Store(tmp_path), lambda folder: (folder / "c").touch())


def test_a_list_that_lies_is_not_believed(tmp_path: Path) -> None:
    def lie(folder: Path) -> None:
        (folder / "b").write_text("y")
        (folder / ".digests").write_text("b\0" + "0" * 64 + "\n")

    assert "(" not in damaged(Store(tmp_path), lie)


def test_a_folder_without_a_list_is_compared_all_the_same(tmp_path: Path) -> None:
    def strip(folder: Path) -> None:
        (folder / "b").write_text("y")
        (folder / ".digests").unlink()

    assert "(" not in damaged(Store(tmp_path), strip)


def test_the_list_is_no_part_of_what_the_digest_is_of(tmp_path: Path) -> None:
    store = Store(tmp_path)
    stored = put(store)
    (tmp_path / stored.uri / ".digests").unlink()
    assert store.folder(stored.uri, stored.digest).is_dir()


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


def test_a_missing_artifact_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ArtifactCorrupt, match="is missing"):
        Store(tmp_path).folder("m/snapshots/0", "0")


def test_a_place_that_cannot_be_written_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"Nothing can be written to .*file/m/snapshots: Not a directory"):
        Store(tmp_path / "file").write("m", "snapshots", lambda folder: None)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_does_not_take_files_is_a_setting(tmp_path: Path, code: int) -> None:
    def refuse(folder: Path) -> None:
        raise OSError(code, os.strerror(code), str(folder))

    with pytest.raises(SettingsError, match=os.strerror(code)):
        Store(tmp_path).write("m", "snapshots", refuse)


@pytest.mark.parametrize("kind", ["/proc", "/proc/mounts", "/dev/null", "dangling", "loop", "pipe", "a" * 300])
def test_a_path_that_cannot_be_written_is_refused_with_a_message(tmp_path: Path, kind: str) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="Nothing can be written to"):
        put(Store(tmp_path / kind))
