"""A Postgres that exists for the length of a block, for simulations and tests."""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.errors import StackError
from tidemill.machine.accounts import run_as
from tidemill.machine.files import last_lines
from tidemill.machine.polling import until
from tidemill.machine.ports import free_port
from tidemill.postgres.cluster import (
    SYSTEM_FOLDER,
    Cluster,
    initialise,
    place,
    server_arguments,
    server_environment,
)
from tidemill.postgres.server import Server

__all__ = ["remove_dead_servers", "throwaway_server"]

_LOCK = "temporary.lock"
_START_TIMEOUT_S = 30  # seconds until Postgres answers; it takes one
_QUICK = {
    "fsync": "off",  # like the next two, for data that need not outlive a crash
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "scram_iterations": "1",  # more make a login slow, and only a guessable password safer: these are random
}


@contextmanager
def throwaway_server(folder: Path) -> Iterator[Server]:
    """Start a Postgres with all roles and empty databases; the end of the block removes everything.

    Parameters
    ----------
    folder : Path
        An empty, private folder for its data, passwords and logs.

    Raises
    ------
    StackError
        If it does not start, or the package with its programs is not installed.
    """
    cluster, log = place(folder), folder / "postgres.log"
    with _outside_folder(cluster):
        initialise(cluster, folder, folder / "initdb.log")
        server = Server(port=free_port(), passwords=folder)
        process = _start(cluster, server.port, log)
        try:
            if not until(server.is_ready, _START_TIMEOUT_S):
                raise StackError(
                    f"A temporary Postgres did not start:\n{last_lines(log)}\n", "Check the free memory and disk space."
                )
            server.create_databases()
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown: the server closes all sessions at once
            process.wait()


def remove_dead_servers() -> list[Path]:
    """Remove and return the data that root's killed temporary servers left outside their folders."""
    removed = []
    for path in SYSTEM_FOLDER.glob(f"*/{_LOCK}") if os.geteuid() == 0 else ():
        with suppress(FileNotFoundError, BlockingIOError), path.open("r+") as lock:  # removed, or its owner is alive
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent)
            removed.append(path.parent)
    return removed


def _start(cluster: Cluster, port: int, log: Path) -> subprocess.Popen[bytes]:
    settings = [part for name, value in _QUICK.items() for part in ("-c", f"{name}={value}")]
    with log.open("ab") as stream:
        return subprocess.Popen(
            [*server_arguments(cluster, port), *settings],
            env=server_environment(cluster, os.environ),
            cwd=cluster.data,
            stderr=stream,
            start_new_session=True,  # Ctrl-C reaches this process, which then stops the server
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            **run_as(cluster.uid, cluster.gid),
        )


@contextmanager
def _outside_folder(cluster: Cluster) -> Iterator[None]:
    """Own the data of root's Postgres, which are outside the folder, and remove them at the end."""
    if cluster.uid is None:
        yield
        return
    remove_dead_servers()
    parent = cluster.data.parent
    parent.mkdir(mode=0o700, parents=True)
    with (parent / f"{_LOCK}.new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released by the system when this process is killed
        Path(lock.name).rename(parent / _LOCK)  # other processes find it by this name, and see that it is locked
        try:
            yield
        finally:
            shutil.rmtree(parent)


def _end_with_parent() -> None:
    """Ask the kernel to stop the server when this process is killed before it can."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # 1: PR_SET_PDEATHSIG
