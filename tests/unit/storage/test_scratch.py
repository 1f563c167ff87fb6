import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidemill.storage.cache import Shelf
from tidemill.storage.scratch import remove_dead, scratch, temporary
from tidemill.storage.store import Store

KILLED = """\
import os, signal, sys
from pathlib import Path
from tidemill.storage.scratch import scratch

with scratch(Path(sys.argv[1])) as folder:
    (folder / "bins").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Return a folder in which a process was killed while it worked."""
    parent = tmp_path / "m" / "bundles"
    subprocess.run([sys.executable, "-c", KILLED, str(parent)], check=False)
    assert len(list(parent.iterdir())) == 1
    return parent


def test_the_folder_is_there_for_the_work_and_gone_after_it(tmp_path: Path) -> None:
    with scratch(tmp_path / "below") as folder:
        (folder / "bins").write_bytes(b"1")
    assert list((tmp_path / "below").iterdir()) == []


def test_the_folder_goes_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="on purpose"), scratch(tmp_path):
        raise RuntimeError("on purpose")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_goes_when_the_next_one_begins(killed: Path) -> None:
    with scratch(killed) as folder:
        assert list(killed.iterdir()) == [folder.parent]


def test_what_is_still_worked_with_stays(tmp_path: Path) -> None:
    with scratch(tmp_path) as first:
        (first / "bins").write_bytes(b"1")
        with scratch(tmp_path) as second:
            assert first != second
        assert (first / "bins").read_bytes() == b"1"


def test_the_collector_knows_what_was_left(killed: Path) -> None:
    (left,) = Shelf(Store(killed.parent.parent)).folders("m", "bundles")
    assert not left.whole
    assert left.size_bytes == 1000


def test_only_what_is_dead_is_removed(killed: Path) -> None:
    (killed / ".writing-old").mkdir()
    os.utime(killed / ".writing-old", (0, 0))
    (killed / ".writing-new").mkdir()
    with scratch(killed.parent) as working:
        removed = remove_dead(killed, datetime.now(UTC) - timedelta(days=1)) + remove_dead(
            killed.parent, datetime.now(UTC)
        )
        assert working.is_dir()
    assert [path.name for path in removed if "scratch" not in path.name] == [".writing-old"]
    assert len(removed) == 2
    assert [path.name for path in killed.iterdir()] == [".writing-new"]


def test_links_and_folders_of_others_in_a_shared_folder_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "lock").write_text("")
    shared = tmp_path / "shared"
    (shared / ".writing-scratch-theirs").mkdir(parents=True)
    (shared / ".writing-scratch-theirs" / "lock").write_text("")
    (shared / ".writing-scratch-link").symlink_to(victim)
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path.stat().st_uid) + 1)
    assert remove_dead(shared, datetime.now(UTC)) == []
    monkeypatch.undo()
    assert [path.name for path in remove_dead(shared, datetime.now(UTC))] == [".writing-scratch-theirs"]
    assert victim.is_dir()


def test_a_temporary_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary() as folder:
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []
