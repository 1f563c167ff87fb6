"""No room left: for an artifact, or for rows (F10, F11). Small file systems in memory, in a namespace of their own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..integration.data import PER_DAY, SCORED
from .conftest import Proved, Subject, release_and_snapshot
from .nursery import Nursery
from .server import Server
from .tables import check_history

SMALL_STORE, SMALL_TABLESPACE = 4 << 10, 6 << 20  # bytes: less than a snapshot, less than 200,000 rows
MANY_ROWS = 200_000


def _cannot_mount() -> str:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "only root can mount a small file system, with unshare(1)"
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True)
    return "" if tried.returncode == 0 else f"a file system cannot be mounted here: {tried.stderr.decode().strip()}"


pytestmark = pytest.mark.skipif(bool(_cannot_mount()), reason=_cannot_mount() or "-")


def within(folder: Path, size: int, options: str = "") -> list[str]:
    """Return the words that make a command see a small file system of its own at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = f'mount -t tmpfs -o size={size}{options} tmpfs "$0" && exec "$@"'
    return ["unshare", "-m", "sh", "-c", mount, str(folder)]


# ---------------------------------------------------------------- storage


@pytest.fixture
def cramped(serving: Subject, tmp_path: Path) -> Iterator[Nursery]:
    """Processes for whom the snapshots of the model lie on a disk that is too small."""
    folder = serving.mill.workspace.storage / serving.mill.model / "snapshots"
    assert serving.predict().ended == "done"
    one = Nursery(tmp_path, within(folder, SMALL_STORE))
    yield one
    one.close()


@pytest.mark.timeout(180)
def test_full_storage_is_reported_and_leaves_the_old_rows(serving: Subject, cramped: Nursery, proved: Proved) -> None:
    before = serving.view("parcel_id, score, prediction_run_id")
    ending = cramped.run("predict", serving.environment(), model=serving.mill.model, partition=SCORED)
    assert ending.ended == "StorageFull", ending.message
    assert "bytes that are free" in ending.message
    assert "snapshots" in ending.message
    assert serving.view("parcel_id, score, prediction_run_id") == before
    assert serving.predict().ended == "done"
    proved("F11", full_disks=1)


# ---------------------------------------------------------------- Postgres


@pytest.fixture
def cramped_server(tmp_path: Path) -> Iterator[Server]:
    """A server whose writer puts tables on a disk that is too small."""
    one = Server(tmp_path / "server")
    small = one.cluster.data.parent / "small"
    one.wrapper = within(small, SMALL_TABLESPACE, f",uid={one.cluster.uid},gid={one.cluster.gid},mode=700")
    try:
        one.start()
        one.create_ledger()
        one.as_admin(f"CREATE TABLESPACE small LOCATION '{small}'")
        one.as_admin("GRANT CREATE ON TABLESPACE small TO tidemill_owner, tidemill_writer")
        yield one
    finally:
        one.remove()


@pytest.mark.timeout(180)
def test_a_full_warehouse_is_reported_and_leaves_the_old_rows(
    cramped_server: Server, make_subject_on: Any, proved: Proved
) -> None:
    subject = make_subject_on(cramped_server)
    assert subject.predict().ended == "done"
    before = subject.view("parcel_id, score, prediction_run_id")
    cramped_server.as_admin("ALTER ROLE tidemill_writer SET default_tablespace = 'small'")
    assert release_and_snapshot(subject.inputs())[1].n_rows == PER_DAY
    ending = subject.run("attempt", score=0.5, **subject.inputs(n_rows=MANY_ROWS))
    assert ending.ended == "StorageFull", ending.message
    assert "No space left on device" in ending.message
    assert subject.view("parcel_id, score, prediction_run_id") == before
    ending = subject.run("attempt", score=0.75, **subject.inputs())  # what is small enough still goes
    assert (ending.ended, set(subject.view("score"))) == ("done", {(0.75,)})
    check_history(subject.mill, SCORED)
    proved("F10", full_disks=1)
