"""The process that keeps the stack's programs running, and ends all of them when it is told to stop.

It starts programs on order, waits for their ends, restarts crashed ones after a growing pause, and writes a log and a
record. It does not know what the programs are: ``components`` does.
"""

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from tidemill.local.home import Home
from tidemill.local.supervision import processes
from tidemill.local.supervision.component import Component
from tidemill.local.supervision.processes import Identity
from tidemill.machine.accounts import run_as
from tidemill.machine.files import write_private
from tidemill.records import Record

__all__ = ["DETACH", "START", "Backoff", "Limits", "Supervisor", "SupervisorRecord", "Watched"]

log = logging.getLogger("tidemill.supervisor")

START = "start "
"""Order: start the component named after it."""
DETACH = "detach"
"""Order: the start is complete; outlive the process that gave the orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before a crashed program is started again."""

    first_s: float = 1.0
    """Seconds after the first crash."""
    longest_s: float = 60.0
    """Seconds after many crashes."""
    forgiven_after_s: float = 120.0
    """Seconds of life after which a crash counts as the first again."""

    def pause_s(self, n_crashes: int) -> float:
        """Return the pause in seconds, which doubles with each consecutive crash up to the longest.

        Examples
        --------
        >>> [Backoff().pause_s(n) for n in (1, 2, 3, 9)]
        [1.0, 2.0, 4.0, 60.0]
        """
        return float(min(self.longest_s, self.first_s * 2 ** min(n_crashes - 1, 30)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The supervisor's time and size limits."""

    stop_s: float = 20.0
    """Seconds for programs to stop in order, and the same again for Postgres."""
    watch_every_s: float = 10.0
    """Seconds between two checks of the heartbeats."""
    watch_after_s: float = 90.0
    """Seconds of life before a program's heartbeat counts: a slow start is not a hang."""
    n_misses: int = 3
    """Consecutive checks without a heartbeat before a program is killed."""
    log_size_bytes: int = 20_000_000
    """Size above which a log is renamed at the next start of its program; one old log is kept."""


@dataclass(slots=True, kw_only=True)
class Watched(Record):
    """The state of one program."""

    state: str = "starting"
    """``starting``, ``running``, ``restarting`` (in its pause) or ``stopped``."""
    process: Identity | None = None
    """The program's own process, which leads its group."""
    restarts: int = 0
    """Restarts since the stack was started."""
    last_exit: str = ""
    """Why it last ended without being told to."""


@dataclass(slots=True, kw_only=True)
class SupervisorRecord(Record):
    """What the supervisor reports through a file."""

    process: Identity
    """The supervisor itself."""
    components: dict[str, Watched]
    """By name, in the order of their start."""
    detached: bool = False
    """Whether the start was completed, so that the stack outlives it."""


class Supervisor:
    """Keeps programs running until it is told to stop.

    Parameters
    ----------
    home : Home
        The stack's home: the mark of its processes, and the place of logs and record.
    components : iterable of Component
        All programs that it may be told to start.
    silent : callable, optional
        Returns the components whose heartbeat is too old, or None if that is unknown.
    """

    def __init__(
        self,
        home: Home,
        components: Iterable[Component],
        *,
        backoff: Backoff | None = None,
        limits: Limits | None = None,
        silent: Callable[[], frozenset[str] | None] | None = None,
    ) -> None:
        self._home = home
        self._components = {component.name: component for component in components}
        self._backoff = backoff or Backoff()
        self._limits = limits or Limits()
        self._silent = silent
        identity = processes.identify(os.getpid())
        assert identity is not None  # this process runs
        self._record = SupervisorRecord(process=identity, components={})
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._wedged: dict[str, str] = {}
        self._stopping = asyncio.Event()

    async def run(self, orders: AsyncIterator[str]) -> None:
        """Obey orders until told to stop, then leave no process behind.

        Parameters
        ----------
        orders : async iterator of str
            ``start NAME`` and ``detach``. If they end before ``detach``, the starting process has died, and everything
            is stopped.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._write()
        log.info("supervisor %d started", os.getpid())
        helpers = [asyncio.create_task(self._obey(orders)), asyncio.create_task(self._watch())]
        await self._stopping.wait()
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await self._stop_everything()

    def stop(self) -> None:
        """Begin to stop; ``run`` returns when every program has ended."""
        self._stopping.set()

    async def _obey(self, orders: AsyncIterator[str]) -> None:
        async for order in orders:
            if order == DETACH:
                self._record.detached = True
                self._write()
                log.info("the start is complete")
            elif order.startswith(START):
                component = self._components[order.removeprefix(START)]
                self._record.components[component.name] = Watched()
                keeper = asyncio.create_task(self._keep(component))
                keeper.add_done_callback(self._note_end)
                self._keepers[component.name] = keeper
        if not self._record.detached:
            log.warning("the command that started the stack ended before it was done: stopping")
            self.stop()

    def _note_end(self, keeper: asyncio.Task[None]) -> None:
        # A defect of the supervisor must not leave a program that nobody watches.
        if not keeper.cancelled() and keeper.exception() is not None:
            log.error("a keeper failed: stopping", exc_info=keeper.exception())
            self.stop()

    async def _keep(self, component: Component) -> None:
        watched = self._record.components[component.name]
        n_crashes = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            reason = await self._live(component, watched)
            if self._stopping.is_set():
                log.info("%s stopped: %s", component.name, reason)
                break
            lived_s = time.monotonic() - began
            n_crashes = 1 if lived_s > self._backoff.forgiven_after_s else n_crashes + 1
            pause_s = self._backoff.pause_s(n_crashes)
            watched.state, watched.restarts = "restarting", watched.restarts + 1
            watched.last_exit = f"{reason} after {lived_s:.0f} s"
            self._write()
            log.error(
                "%s ended: %s; restart %d in %.0f s", component.name, watched.last_exit, watched.restarts, pause_s
            )
            # Workers and tasks outlive a killed scheduler, and would run beside those of the new one.
            await self._end_remains(component.name, watched.process, timeout_s=5.0)
            watched.process = None
            await self._pause(pause_s)
        watched.state, watched.process = "stopped", None
        self._write()

    async def _live(self, component: Component, watched: Watched) -> str:
        # One life of a program, from its start to its end; returns the reason of the end.
        try:
            process = await self._start(component)
        except OSError as error:
            return f"could not be started ({error})"
        watched.state, watched.process = "running", processes.identify(process.pid)
        self._write()
        log.info("%s started as process %d", component.name, process.pid)
        returncode = await process.wait()
        return self._wedged.pop(component.name, _reason(returncode))

    async def _start(self, component: Component) -> asyncio.subprocess.Process:
        path = self._home.log(component.name)
        if path.exists() and path.stat().st_size > self._limits.log_size_bytes:
            path.replace(path.with_suffix(".old.log"))
        with path.open("ab") as stream:
            return await asyncio.create_subprocess_exec(
                *component.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=component.folder,
                env=dict(component.environment),
                start_new_session=True,  # its own process group, and no terminal
                **run_as(component.uid, component.gid),
            )

    async def _end_remains(self, name: str, leader: Identity | None, timeout_s: float) -> None:
        # Tasks lead their own groups, so signals to their component's group do not reach them.
        remains = processes.find(self._home.folder, name, [leader])
        if remains:
            log.warning("%s left %d processes behind: ending them", name, len(remains))
            await asyncio.to_thread(processes.end, remains, timeout_s=timeout_s)

    async def _watch(self) -> None:
        misses: dict[str, int] = {}
        while self._silent is not None and not self._stopping.is_set():
            await self._pause(self._limits.watch_every_s)
            silent = await asyncio.to_thread(self._silent)
            if silent is None:  # unknown: the API server or Postgres is away, which proves nothing
                misses.clear()
                continue
            misses = {name: misses.get(name, 0) + 1 for name in silent if self._is_settled(name)}
            for name in [name for name, n_misses in misses.items() if n_misses >= self._limits.n_misses]:
                self._kill_wedged(name)
                del misses[name]

    def _is_settled(self, name: str) -> bool:
        watched = self._record.components.get(name)
        if watched is None or watched.process is None:
            return False
        return processes.age_s(watched.process) > self._limits.watch_after_s

    def _kill_wedged(self, name: str) -> None:
        process = processes.living(self._record.components[name].process)
        if process is not None:
            log.error("%s runs but has no heartbeat: killing process %d", name, process.pid)
            self._wedged[name] = "killed because it had no heartbeat"
            process.kill()  # it would not obey a gentler signal; its keeper restarts it

    async def _pause(self, seconds: float) -> None:
        # Unlike a sleep, this ends at once when the stack is told to stop.
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _stop_everything(self) -> None:
        log.info("stopping")
        started = [self._components[name] for name in self._record.components]
        for last in (False, True):
            group = [component for component in started if component.stop_last is last]
            leaders = {component.name: self._record.components[component.name].process for component in group}
            await self._stop_group(group)
            for name, leader in leaders.items():
                await self._end_remains(name, leader, timeout_s=2.0)
        log.info("stopped; %d processes left", len(processes.find(self._home.folder)))
        self._home.record.unlink(missing_ok=True)

    async def _stop_group(self, components: list[Component]) -> None:
        for component in components:
            self._signal(component, component.stop_signal, group=component.stop_group)
        keepers = {self._keepers[component.name]: component for component in components}
        if not keepers:
            return
        _, late = await asyncio.wait(keepers, timeout=self._limits.stop_s)
        for component in (keepers[keeper] for keeper in late):
            log.warning("%s did not stop within %.0f s: killing it", component.name, self._limits.stop_s)
            self._signal(component, signal.SIGKILL, group=True)
        await asyncio.gather(*keepers, return_exceptions=True)

    def _signal(self, component: Component, number: signal.Signals, *, group: bool) -> None:
        process = processes.living(self._record.components[component.name].process)
        if process is None:
            return
        try:
            # The program leads its session, so its process number is also its group's.
            os.killpg(process.pid, number) if group else process.send_signal(number)
        except ProcessLookupError:
            return

    def _write(self) -> None:
        try:
            write_private(self._home.record, json.dumps(self._record.to_dict(), indent=2))
        except OSError as error:  # a full disk must not end the programs too
            log.error("the record could not be written: %s", error)


def _reason(returncode: int) -> str:
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    return f"exit code {returncode}"
