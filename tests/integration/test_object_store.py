"""Artifacts in a bucket over real HTTP: two machines, cut connections, missing rights, damaged objects."""

import json
import math
import shutil
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from tests.integration.data import SCORED, Mill

from tidemill.doctor.installation import check_storage
from tidemill.errors import ArtifactCorrupt, StorageRefused, StorageUnavailable
from tidemill.intervals import Every
from tidemill.sources.files import Files
from tidemill.spec import Input
from tidemill.storage.bucket import Bucket
from tidemill.storage.cache import Shelf
from tidemill.storage.store import LIST, Store, Stored

BUCKET = "artifacts"


class Server:
    """S3 on this machine."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.address = f"{host}:{port}"
        self.client("s3").create_bucket(Bucket=BUCKET)

    def client(self, service: str) -> object:
        return boto3.client(
            service,
            endpoint_url=f"http://{self.address}",
            region_name="us-east-1",
            aws_access_key_id="root",
            aws_secret_access_key="root",
        )

    def url(self, prefix: str, address: str | None = None) -> str:
        return f"s3://{BUCKET}/{prefix}?endpoint={address or self.address}&scheme=http&region=us-east-1"

    def check_rights(self, after_requests: float) -> None:
        """From now on only what a policy allows goes through."""
        body, kind = str(after_requests).encode(), {"Content-Type": "text/plain"}
        asked = urllib.request.Request(
            f"http://{self.address}/moto-api/reset-auth", data=body, method="POST", headers=kind
        )
        urllib.request.urlopen(asked).close()

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "root")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "root")


class CutWire:
    """A wire to the server that breaks once so many bytes have gone up it, for each connection anew."""

    def __init__(self, address: str, n_bytes: int) -> None:
        self._target, self._n_bytes = address.split(":"), n_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            far = socket.create_connection((self._target[0], int(self._target[1])))
            threading.Thread(target=self._carry, args=(near, far, self._n_bytes), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, None), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket, left: int | None) -> None:
        with source, target:
            try:
                while data := source.recv(65_536):
                    if left is not None:
                        left -= len(data)
                        if left < 0:
                            return
                    target.sendall(data)
            except OSError:  # the other end has gone
                return

    def close(self) -> None:
        self._listener.close()


def put(store: Store, size_bytes: int = 100) -> Stored:
    def fill(folder: Path) -> None:
        (folder / "a.bin").write_bytes(b"a" * size_bytes)
        (folder / "b.bin").write_bytes(b"b")

    return store.write("m", "snapshots", fill)


def test_a_folder_of_many_parts_comes_back_as_it_was(server: Server, tmp_path: Path) -> None:
    bucket = Bucket(server.url("parts"))
    stored = put(Store(tmp_path / "here", bucket), 30_000_000)
    there = Store(tmp_path / "there", bucket)
    assert (there.folder(stored.uri, stored.digest) / "a.bin").stat().st_size == 30_000_000


def test_a_connection_cut_in_an_upload_leaves_nothing_that_counts(server: Server, tmp_path: Path) -> None:
    wire = CutWire(server.address, 1_000_000)
    try:
        with pytest.raises(StorageUnavailable, match=r"a\.bin: PutObject failed after 5 attempts"):
            put(Store(tmp_path / "here", Bucket(server.url("cut", wire.address))), 9_000_000)
    finally:
        wire.close()
    sound = Bucket(server.url("cut"))
    assert [item.key for item in sound.items("m") if item.key.endswith(LIST)] == []
    stored = put(Store(tmp_path / "here", sound), 9_000_000)
    assert Store(tmp_path / "there", sound).folder(stored.uri, stored.digest).is_dir()


def test_an_object_with_other_bytes_is_refused(server: Server, tmp_path: Path) -> None:
    bucket = Bucket(server.url("flipped"))
    stored = put(Store(tmp_path / "here", bucket))
    server.client("s3").put_object(Bucket=BUCKET, Key=f"flipped/{stored.uri}/a.bin", Body=b"a" * 99)
    with pytest.raises(ArtifactCorrupt, match=r"has changed: a\.bin"):
        Store(tmp_path / "there", bucket).folder(stored.uri, stored.digest)


def test_an_upload_that_is_told_to_end_leaves_no_object_that_is_cut_off(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, copied = Bucket(server.url("ended")), shutil.copyfileobj

    def ended(source: IO[bytes], target: IO[bytes], length: int) -> None:
        monkeypatch.setattr(shutil, "copyfileobj", copied)
        target.write(source.read(length))
        source.read(length)
        raise SystemExit

    monkeypatch.setattr(shutil, "copyfileobj", ended)
    with pytest.raises(SystemExit):
        put(Store(tmp_path / "here", bucket), 30_000_000)
    assert [(item.key[-5:], item.size_bytes) for item in bucket.items("m")] == [("a.bin", 30_000_000)]
    put(Store(tmp_path / "here", bucket), 30_000_000)
    assert (
        server.client("s3")
        .get_object(
            Bucket=BUCKET, Key=next(f"ended/{item.key}" for item in bucket.items("m") if item.key.endswith("a.bin"))
        )["Body"]
        .read()
        == b"a" * 30_000_000
    )


def test_what_is_collected_leaves_nothing_in_the_bucket(server: Server, tmp_path: Path) -> None:
    bucket = Bucket(server.url("collected//"))  # whoever writes a slash too many means the same place
    stored, shelf = put(Store(tmp_path / "here", bucket)), Shelf(Store(tmp_path / "here", bucket))
    put(shelf.store, 5)
    shelf.set_aside(stored.uri).remove()
    shelf.remove(stored.uri)  # after a kill
    left = server.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"collected/{stored.uri}")
    assert left["KeyCount"] == 0
    assert not shelf.store.holds(stored.uri)


def test_a_store_that_does_not_answer_may_work_later(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(StorageUnavailable, match="GetObject failed"):
        Bucket(server.url("gone", address)).read("m")


def on_bucket(mill: Mill, url: str, copy: Path) -> Mill:
    return replace(mill, workspace=replace(mill.workspace, storage=copy, bucket=url))


def test_one_machine_trains_and_another_predicts(new_mill: Callable[[], Mill], server: Server, tmp_path: Path) -> None:
    mill, url = new_mill(), server.url("chain")
    assert on_bucket(mill, url, tmp_path / "one").train(shown=False)["register"]["promoted"]
    other = on_bucket(mill, url, tmp_path / "two")
    assert other.predict()["publish"]["published"]
    looked = on_bucket(mill, url, tmp_path / "three").monitor(SCORED)
    assert looked["report"]["uri"]
    bundles = [{path.name for path in (tmp_path / name).rglob("bundles/*")} for name in ("one", "two")]
    assert bundles[1] < bundles[0]  # only the champion was fetched


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """A server of its own that lets this process do what is named."""
    own = Server()

    def allow(*actions: str) -> Server:
        iam = own.client("iam")
        user = "-".join(actions).replace(":", "-")
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        allowed = {"Effect": "Allow", "Action": actions, "Resource": "arn:aws:s3:::*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName=user, PolicyName="works", PolicyDocument=policy)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        own.check_rights(0)
        return own

    yield allow
    own.check_rights(math.inf)  # which holds for all servers of this process
    own.stop()


def test_without_the_right_to_write_nothing_is_published(
    serving: Mill, tmp_path: Path, strict: Callable[..., Server]
) -> None:
    url = strict("s3:GetObject", "s3:ListBucket").url("rights")
    with pytest.raises(StorageRefused, match=r"the store refuses PutObject.*docs/deploy/storage\.md"):
        on_bucket(serving, url, tmp_path / "copy").predict()
    assert serving.sql("SELECT count(*) FROM tidemill.published WHERE model = '{m}'") == [(0,)]


def test_an_installation_without_the_right_to_list_is_told_so(
    strict: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_CACHE", str(tmp_path))
    monkeypatch.setenv("TIDEMILL_STORAGE", strict("s3:GetObject", "s3:PutObject").url("probed"))
    assert "the store refuses ListBucket" in check_storage().message


def test_a_copy_that_cannot_be_written_is_named_and_not_the_bucket(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TIDEMILL_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("TIDEMILL_STORAGE", server.url("probed"))
    found = check_storage()
    assert found.message.startswith(f"Nothing can be written to {tmp_path}/file")
    assert "TIDEMILL_CACHE" in found.remedy


def test_an_input_is_read_from_a_bucket(server: Server) -> None:
    whole = Input(connection="lake", files="plain.parquet")
    daily = Input(connection="lake", files="orders/dt={partition}/*.csv", columns={"id": "bigint"})
    content = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [1, 2]}), content)
    client = server.client("s3")
    client.put_object(Bucket=BUCKET, Key="lake/plain.parquet", Body=content.getvalue().to_pybytes())
    client.put_object(Bucket=BUCKET, Key="lake/orders/dt=2024-03-04/a.csv", Body=b"id\n3\n")
    client.put_object(Bucket=BUCKET, Key="lake/orders/dt=2024-03-05/a.csv", Body=b"id\n4\n")
    at_root, below = (Files.of("x", declared, server.url("lake")) for declared in (whole, daily))
    day = Every.DAY.of("2024-03-04", "UTC")
    assert [batch["id"].to_pylist() for batch in at_root.batches(None)] == [[1, 2]]
    assert below.schema(day) == pa.schema([("id", pa.int64())])
    assert [batch["id"].to_pylist() for batch in below.batches(day)] == [[3]]


def test_a_bucket_that_is_away_is_an_error_that_is_tried_again() -> None:
    with pytest.raises(StorageUnavailable, match="ListBucket failed"):
        Files.of(
            "x", Input(connection="lake", files="x.parquet"), f"s3://{BUCKET}/lake?endpoint=127.0.0.1:1&scheme=http"
        )
