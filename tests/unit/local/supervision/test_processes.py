import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tidemill.local.supervision import processes
from tidemill.local.supervision.processes import MARKER, OWN_NAME, Identity
from tidemill.machine.ports import free_port

Spawn = Callable[..., subprocess.Popen[str]]

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    spawned: list[subprocess.Popen[str]] = []

    def start(code: str = FOREVER, component: str = "scheduler", home: Path = tmp_path) -> subprocess.Popen[str]:
        environment = os.environ | {MARKER: str(home), OWN_NAME: component}
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        spawned.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in spawned:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_find_gives_the_processes_with_the_mark_of_the_home(tmp_path: Path, spawn: Spawn) -> None:
    ours = spawn()
    spawn(home=tmp_path / "another")

    assert [process.pid for process in processes.find(tmp_path)] == [ours.pid]


def test_find_tells_components_apart(tmp_path: Path, spawn: Spawn) -> None:
    spawn(component="scheduler")
    triggerer = spawn(component="triggerer")

    assert [process.pid for process in processes.find(tmp_path, "triggerer")] == [triggerer.pid]


def test_find_gives_a_grandchild_whose_parent_has_died(tmp_path: Path, spawn: Spawn) -> None:
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print('up')"
    )
    parent = spawn(code)
    parent.wait()
    orphans = processes.find(tmp_path)
    processes.end(orphans)

    assert len(orphans) == 1


def test_find_spares_the_process_that_asks(tmp_path: Path, spawn: Spawn) -> None:
    asks = "from tidemill.local.supervision import processes; from pathlib import Path; import sys, time;"
    asks += "print('up', flush=True);"
    asks += f"sys.exit(len(processes.find(Path({str(tmp_path)!r}))))"

    assert spawn(asks).wait() == 0


def test_a_living_process_is_known_by_its_start(spawn: Spawn) -> None:
    identity = processes.identify(spawn().pid)
    process = processes.living(identity)

    assert identity is not None
    assert process is not None
    assert process.pid == identity.pid


def test_a_later_process_with_the_same_number_is_another(spawn: Spawn) -> None:
    pid = spawn().pid

    assert processes.living(Identity(pid=pid, started_at=time.time() - 3600)) is None


def test_a_component_listens_on_the_port_of_its_child_and_on_no_other(spawn: Spawn) -> None:
    port = free_port()
    server = f"import socket; server = socket.create_server(('127.0.0.1', {port})); {FOREVER}"
    parent = spawn(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {server!r}])")
    ours, another = (processes.identify(process.pid) for process in (parent, spawn()))
    assert ours is not None
    assert another is not None
    assert processes.listens(ours, port)
    assert not processes.listens(ours, free_port())
    assert not processes.listens(another, port)
    assert processes.end(processes.with_descendants([psutil.Process(parent.pid)])) == []
    assert not processes.listens(ours, port)


def test_an_ended_process_is_not_living(spawn: Spawn) -> None:
    child = spawn()
    identity = processes.identify(child.pid)
    child.kill()
    child.wait()

    assert processes.living(identity) is None


def test_end_asks_first(spawn: Spawn) -> None:
    child = spawn()
    processes.end([psutil.Process(child.pid)])

    assert psutil.pid_exists(child.pid) is False


def test_end_kills_what_does_not_listen(spawn: Spawn) -> None:
    child = spawn(DEAF)
    left = processes.end([psutil.Process(child.pid)], first=signal.SIGTERM, timeout_s=0.3)

    assert (left, psutil.pid_exists(child.pid)) == ([], False)


def test_first_of_each_component_gives_the_oldest(tmp_path: Path, spawn: Spawn) -> None:
    first = spawn(component="scheduler")
    spawn(component="scheduler")
    other = spawn(component="mlflow")

    assert processes.first_of_each_component(tmp_path) == {"scheduler": first.pid, "mlflow": other.pid}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not derive start times from the boot time")
def test_process_stays_itself_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = processes.identify(os.getpid())
    real = psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: real + 86_400)  # what psutil reads a day later
    assert psutil.Process().create_time() > time.time() + 80_000
    assert processes.living(before) is not None


@pytest.mark.parametrize("after_boot_s", [None, "told"])
def test_age_is_counted_from_the_start(after_boot_s: str | None) -> None:
    me = processes.identify(os.getpid())
    assert me is not None
    identity = me if after_boot_s else Identity(pid=me.pid, started_at=me.started_at)
    assert 0 < processes.age_s(identity) < 3600
