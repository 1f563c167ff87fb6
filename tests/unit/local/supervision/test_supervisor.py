"""The supervisor, with programs that are real and tiny."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.local.home import Home
from tidemill.local.supervision import processes
from tidemill.local.supervision.component import Component
from tidemill.local.supervision.processes import MARKER, OWN_NAME
from tidemill.local.supervision.supervisor import DETACH, START, Backoff, Limits, Supervisor, Watched
from tidemill.machine.files import read_json

STAY = "import time; time.sleep(600)"
CRASH = "import sys; sys.exit(3)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w').close(); time.sleep(600)"
FAMILY = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {STAY!r}], process_group=0); "
FAMILY += "open('family', 'w').close(); time.sleep(600)"
NOTING = """
import pathlib, signal, sys, time

def end(*_):
    pathlib.Path({name!r} + ".end").write_text(str(time.time()))
    sys.exit()

signal.signal(signal.SIGTERM, end)
pathlib.Path({name!r} + ".up").touch()
time.sleep(600)
"""


class Rig:
    """A supervisor with given programs, and the means to look at it."""

    def __init__(self, folder: Path, programs: dict[str, str], **settings: Any) -> None:
        self.folder, self.home = folder, Home(folder=folder)
        self.home.logs.mkdir(exist_ok=True)
        self.components = [self._component(name, code) for name, code in programs.items()]
        settings.setdefault("backoff", Backoff(first_s=0.05, longest_s=0.1))
        settings.setdefault("limits", Limits(stop_s=5.0))
        self.supervisor = Supervisor(self.home, self.components, **settings)
        self.stay = asyncio.Event()

    def _component(self, name: str, code: str) -> Component:
        environment = os.environ | {MARKER: str(self.folder), OWN_NAME: name}
        command = (sys.executable, "-c", code)
        return Component(name=name, command=command, environment=environment, folder=self.folder)

    async def orders(self, *, detach: bool = True) -> AsyncIterator[str]:
        for component in self.components:
            yield START + component.name
        if detach:
            yield DETACH
        await self.stay.wait()

    def watched(self, name: str) -> Watched:
        values = read_json(self.home.record) or {"components": {}}
        return Watched.from_dict(values["components"][name]) if name in values["components"] else Watched()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.02)  # polling a file that another task writes

    async def while_running(self, act: Callable[["Rig"], Awaitable[None]], *, detach: bool = True) -> None:
        running = asyncio.create_task(self.supervisor.run(self.orders(detach=detach)))
        try:
            await self.until(
                lambda: all(self.watched(c.name).process or self.watched(c.name).restarts for c in self.components)
            )
            await act(self)
        finally:
            self.supervisor.stop()
            await running


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_program_that_crashes_is_restarted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"crasher": CRASH})
    run(rig.while_running(lambda rig: rig.until(lambda: rig.watched("crasher").restarts >= 2)))


def test_the_reason_of_a_crash_is_recorded(tmp_path: Path) -> None:
    async def act(rig: Rig) -> None:
        await rig.until(lambda: rig.watched("crasher").last_exit.startswith("exit code 3"))

    run(Rig(tmp_path, {"crasher": CRASH}).while_running(act))


def test_a_crash_is_reported_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(tmp_path, {"crasher": CRASH})
    run(rig.while_running(lambda rig: rig.until(lambda: rig.watched("crasher").restarts >= 1)))

    assert "crasher ended: exit code 3" in caplog.text


def test_a_killed_program_gets_a_new_process(tmp_path: Path) -> None:
    async def act(rig: Rig) -> None:
        first = rig.watched("stayer").process
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        await rig.until(
            lambda: rig.watched("stayer").process not in (first, None) and rig.watched("stayer").state == "running"
        )
        assert rig.watched("stayer").last_exit.startswith("killed by SIGKILL")

    run(Rig(tmp_path, {"stayer": STAY}).while_running(act))


def test_a_program_that_cannot_be_found_is_tried_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {})
    rig.components.append(Component(name="missing", command=("/no/such/program",), environment={}, folder=tmp_path))
    rig.supervisor = Supervisor(rig.home, rig.components, backoff=Backoff(first_s=0.05, longest_s=0.05))

    async def act(rig: Rig) -> None:
        await rig.until(lambda: rig.watched("missing").last_exit.startswith("could not be started"))

    run(rig.while_running(act))


def test_the_others_go_on_while_one_crashes(tmp_path: Path) -> None:
    async def act(rig: Rig) -> None:
        await rig.until(lambda: rig.watched("crasher").restarts >= 2)
        assert rig.watched("stayer").restarts == 0

    run(Rig(tmp_path, {"stayer": STAY, "crasher": CRASH}).while_running(act))


def test_what_a_crashed_program_left_is_ended_before_its_restart(tmp_path: Path) -> None:
    async def act(rig: Rig) -> None:
        await rig.until((tmp_path / "family").exists)
        orphan = [process for process in processes.find(tmp_path) if "time.sleep(600)" in process.cmdline()[-1]]
        leader = rig.watched("family").process
        assert leader is not None
        os.kill(leader.pid, signal.SIGKILL)
        await rig.until(lambda: rig.watched("family").process not in (leader, None))
        assert not [process for process in orphan if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    run(Rig(tmp_path, {"family": FAMILY}).while_running(act))


def test_stop_leaves_no_process(tmp_path: Path) -> None:
    run(Rig(tmp_path, {"one": STAY, "two": FAMILY}).while_running(lambda rig: rig.until((tmp_path / "family").exists)))

    assert processes.find(tmp_path) == []


def test_stop_kills_what_does_not_listen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(tmp_path, {"deaf": DEAF}, limits=Limits(stop_s=0.3))
    run(rig.while_running(lambda rig: rig.until((tmp_path / "deaf").exists)))

    assert processes.find(tmp_path) == []
    assert "deaf did not stop within" in caplog.text


def test_what_stops_last_outlives_the_others(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {name: NOTING.format(name=name) for name in ("base", "user")})
    base = rig.components[0]
    rig.components[0] = replace(base, stop_last=True)
    rig.supervisor = Supervisor(rig.home, rig.components)
    run(rig.while_running(lambda rig: rig.until(lambda: len(list(tmp_path.glob("*.up"))) == 2)))

    assert float((tmp_path / "user.end").read_text()) < float((tmp_path / "base.end").read_text())


def test_a_start_that_was_not_finished_is_undone(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"stayer": STAY})

    async def starter_dies() -> None:
        rig.stay.set()  # the orders end before "detach"
        async with asyncio.timeout(20):
            await rig.supervisor.run(rig.orders(detach=False))

    run(starter_dies())

    assert processes.find(tmp_path) == []


def test_a_finished_start_outlives_its_orders(tmp_path: Path) -> None:
    async def act(rig: Rig) -> None:
        rig.stay.set()
        await asyncio.sleep(0.3)  # long enough for a mistake to show
        assert processes.living(rig.watched("stayer").process) is not None

    run(Rig(tmp_path, {"stayer": STAY}).while_running(act))


def test_a_program_without_heartbeat_is_killed_and_restarted(tmp_path: Path) -> None:
    limits = Limits(stop_s=5.0, watch_every_s=0.05, watch_after_s=0.0, n_misses=2)
    rig = Rig(tmp_path, {"wedged": STAY}, limits=limits, silent=lambda: frozenset({"wedged"}))

    async def act(rig: Rig) -> None:
        await rig.until(lambda: "heartbeat" in rig.watched("wedged").last_exit)

    run(rig.while_running(act))


def test_nothing_is_killed_when_heartbeats_are_unknown(tmp_path: Path) -> None:
    limits = Limits(stop_s=5.0, watch_every_s=0.02, watch_after_s=0.0, n_misses=1)
    rig = Rig(tmp_path, {"stayer": STAY}, limits=limits, silent=lambda: None)

    async def act(rig: Rig) -> None:
        await asyncio.sleep(0.3)  # some fifteen looks
        assert rig.watched("stayer").restarts == 0

    run(rig.while_running(act))


def test_a_young_program_may_be_silent(tmp_path: Path) -> None:
    limits = Limits(stop_s=5.0, watch_every_s=0.02, watch_after_s=60.0, n_misses=1)
    rig = Rig(tmp_path, {"stayer": STAY}, limits=limits, silent=lambda: frozenset({"stayer"}))

    async def act(rig: Rig) -> None:
        await asyncio.sleep(0.3)  # some fifteen looks
        assert rig.watched("stayer").restarts == 0

    run(rig.while_running(act))


def test_a_log_that_grew_too_large_is_set_aside(tmp_path: Path) -> None:
    log = Home(folder=tmp_path).log("stayer")
    log.parent.mkdir()
    log.write_text("x" * 100)
    rig = Rig(tmp_path, {"stayer": STAY}, limits=Limits(stop_s=5.0, log_size_bytes=50))
    run(rig.while_running(lambda rig: rig.until(lambda: True)))

    assert log.with_suffix(".old.log").read_text() == "x" * 100


@given(st.integers(min_value=1, max_value=10_000))
def test_the_pause_never_shrinks_and_has_a_cap(n_crashes: int) -> None:
    backoff = Backoff()

    assert backoff.pause_s(n_crashes) <= backoff.pause_s(n_crashes + 1) <= backoff.longest_s
