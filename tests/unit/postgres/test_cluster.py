import os
from pathlib import Path

import pytest

from tidemill.postgres import cluster
from tidemill.postgres.cluster import Cluster

CLUSTER = Cluster(programs=Path("/w/bin"), data=Path("/d"))


def test_postgres_listens_only_on_the_loopback() -> None:
    arguments = cluster.server_arguments(CLUSTER, 15432)

    assert "listen_addresses=127.0.0.1" in arguments
    assert "unix_socket_directories=" in arguments


def test_postgres_writes_to_disk_before_it_confirms() -> None:
    assert not [word for word in cluster.server_arguments(CLUSTER, 1) if word.startswith(("fsync", "synchronous"))]


def test_an_ordinary_user_has_the_data_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    placed = cluster.place(tmp_path)

    assert (placed.data, placed.uid) == (tmp_path / "postgres", None)


def test_the_wheel_has_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert (cluster.place(tmp_path).programs / "postgres").exists()
