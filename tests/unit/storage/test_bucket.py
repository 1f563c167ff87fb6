"""The bucket's rules, on a folder in place of a bucket; tests/integration/test_object_store.py speaks S3."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidemill.errors import ArtifactCorrupt, SettingsError, StorageFull, StorageUnavailable
from tidemill.storage.atomic import writable
from tidemill.storage.bucket import Bucket
from tidemill.storage.cache import Shelf
from tidemill.storage.store import LIST, Store, Stored


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    (tmp_path / "bucket").mkdir()
    return Bucket(f"file://{tmp_path}/bucket")


@pytest.fixture
def here(tmp_path: Path, bucket: Bucket) -> Store:
    return Store(tmp_path / "here", bucket)


@pytest.fixture
def there(tmp_path: Path, bucket: Bucket) -> Store:
    return Store(tmp_path / "there", bucket)


def put(store: Store, content: str = "x") -> Stored:
    def fill(folder: Path) -> None:
        (folder / "part").mkdir()
        (folder / "part" / "b.txt").write_text(content)
        (folder / "a.txt").write_text("a")

    return store.write("m", "snapshots", fill)


def in_bucket(bucket: Bucket, uri: str) -> Path:
    return Path(bucket.place.removeprefix("file://")) / uri


def test_what_one_machine_writes_another_reads(here: Store, there: Store) -> None:
    stored = put(here)
    assert (there.folder(stored.uri, stored.digest) / "part" / "b.txt").read_text() == "x"


def test_a_folder_without_its_list_is_not_there(here: Store, there: Store, bucket: Bucket) -> None:
    stored = put(here)
    bucket.delete(f"{stored.uri}/{LIST}")
    assert not there.holds(stored.uri)
    with pytest.raises(ArtifactCorrupt, match="is missing from file://"):
        there.folder(stored.uri, stored.digest)


def test_an_upload_that_was_cut_off_is_done_again(here: Store, there: Store, bucket: Bucket) -> None:
    stored = put(here)
    bucket.delete(f"{stored.uri}/{LIST}")
    (in_bucket(bucket, stored.uri) / "a.txt").write_text("")
    assert put(here) == stored
    assert there.folder(stored.uri, stored.digest).is_dir()


def test_a_changed_object_is_named_and_nothing_of_it_is_kept(here: Store, there: Store, bucket: Bucket) -> None:
    stored = put(here)
    (in_bucket(bucket, stored.uri) / "a.txt").write_text("y")
    with pytest.raises(ArtifactCorrupt, match=r"has changed: a\.txt was [0-9a-f]{64}, is [0-9a-f]{64}"):
        there.folder(stored.uri, stored.digest)
    assert list((there.root / "m" / "snapshots").iterdir()) == []


def test_a_missing_object_is_named(here: Store, there: Store, bucket: Bucket) -> None:
    stored = put(here)
    (in_bucket(bucket, stored.uri) / "a.txt").unlink()
    with pytest.raises(ArtifactCorrupt, match=r"lacks a file: .*a\.txt"):
        there.folder(stored.uri, stored.digest)


def test_what_the_bucket_lost_is_restored_by_building_it_again(here: Store, there: Store, bucket: Bucket) -> None:
    stored = put(here)
    (in_bucket(bucket, stored.uri) / "a.txt").unlink()
    assert put(here) == stored
    assert there.folder(stored.uri, stored.digest).is_dir()


def test_what_is_whole_there_is_not_written_again(here: Store, bucket: Bucket) -> None:
    stored = put(here)
    before = [item.written_at for item in bucket.items(stored.uri)]
    assert put(here) == stored
    assert [item.written_at for item in bucket.items(stored.uri)] == before


def test_a_folder_without_files_comes_back(here: Store, there: Store) -> None:
    stored = here.write("m", "scores", lambda folder: None)
    assert [path.name for path in there.folder(stored.uri, stored.digest).iterdir()] == [LIST]


def test_a_disk_that_is_full_is_no_fault_of_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(StorageFull), writable(tmp_path), bucket._reached("GetObject", "m/x"):
        Path("/dev/full").write_bytes(b"x")


def test_a_list_of_another_folder_is_refused(here: Store, there: Store, bucket: Bucket) -> None:
    stored, other = put(here), put(here, "other")
    bucket.write(f"{stored.uri}/{LIST}", bucket.read(f"{other.uri}/{LIST}") or b"")
    with pytest.raises(ArtifactCorrupt, match=r"a \.digests that does not match its name"):
        there.folder(stored.uri, stored.digest)


def test_a_damaged_copy_is_fetched_again(here: Store, bucket: Bucket) -> None:
    stored = put(here)
    (here.root / stored.uri / "a.txt").write_text("y")
    assert (here.folder(stored.uri, stored.digest) / "a.txt").read_text() == "a"


def test_notes_are_seen_by_all_until_they_are_struck_out(here: Store, there: Store) -> None:
    here.note("m/unshown/1.json", b"{}")
    assert there.notes("m", "unshown") == ("m/unshown/1.json",)
    assert there.noted("m/unshown/1.json") == b"{}"
    there.strike("m/unshown/1.json")
    assert (here.notes("m", "unshown"), here.noted("m/unshown/1.json")) == ((), None)


def test_the_shelf_tells_whole_folders_from_half_ones(here: Store, bucket: Bucket) -> None:
    whole, half = put(here), put(here, "half")
    bucket.delete(f"{half.uri}/{LIST}")
    found = {folder.uri: folder.whole for folder in Shelf(here).folders("m", "snapshots")}
    assert found == {whole.uri: True, half.uri: False}


def test_what_is_set_aside_can_be_put_back(here: Store, there: Store) -> None:
    stored = put(here)
    aside = Shelf(here).set_aside(stored.uri)
    assert not there.holds(stored.uri)
    assert aside.put_back()
    assert there.folder(stored.uri, stored.digest).is_dir()


def test_what_is_removed_is_gone_here_and_there(here: Store, bucket: Bucket) -> None:
    stored = put(here)
    Shelf(here).set_aside(stored.uri).remove()
    assert list(bucket.items("m")) == []
    assert not (here.root / stored.uri).exists()


def test_items_have_an_age(here: Store, bucket: Bucket) -> None:
    put(here)
    assert all((datetime.now(UTC) - item.written_at).total_seconds() < 600 for item in bucket.items("m"))


@pytest.mark.parametrize(
    "url", ["gs://bucket", "s3://", "s3://key:secret@bucket/x", "s3://bucket/x?allow_bucket_creation=true"]
)
def test_another_kind_of_address_is_refused_without_showing_its_secret(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Bucket(url).read("x")
    assert "secret" not in caught.value.problem


def test_a_store_that_cannot_be_written_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match=r"PutObject failed"):
        Bucket(f"file://{tmp_path}/file").write("m/x", b"1")
