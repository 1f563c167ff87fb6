import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.postgres import throwaway
from tidemill.postgres.cluster import Cluster

KILLED = """\
import os, signal, sys
from pathlib import Path
from tidemill.postgres.cluster import Cluster
from tidemill.postgres.throwaway import _outside_folder

with _outside_folder(Cluster(programs=Path("/w"), data=Path(sys.argv[1]) / "killed" / "postgres", uid=0, gid=0)):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of root's servers, with the data of a process that was killed."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert (done.returncode, (tmp_path / "killed").is_dir()) == (-signal.SIGKILL, True)
    monkeypatch.setattr(throwaway, "SYSTEM_FOLDER", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def test_the_next_server_removes_the_data_of_a_killed_one_and_then_its_own(system: Path) -> None:
    cluster = Cluster(programs=Path("/w"), data=system / "living" / "postgres", uid=0, gid=0)
    with throwaway._outside_folder(cluster):
        assert [path.name for path in system.iterdir()] == ["living"]
        assert throwaway.remove_dead_servers() == []  # its owner lives
    assert list(system.iterdir()) == []


def test_an_installed_stacks_data_are_never_removed(system: Path) -> None:
    (system / "project-1f2e" / "postgres").mkdir(parents=True)
    assert throwaway.remove_dead_servers() == [system / "killed"]
    assert (system / "project-1f2e" / "postgres").is_dir()
