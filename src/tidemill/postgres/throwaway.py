"""A Postgres that exists only as long as a block, for simulations and tests."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidemill.errors import StackError
from tidemill.machine.accounts import run_as
from tidemill.machine.files import last_lines
from tidemill.machine.polling import until
from tidemill.machine.ports import free_port
from tidemill.postgres.cluster import initialise, place, server_arguments, server_environment
from tidemill.postgres.server import Server

__all__ = ["throwaway_server"]

_START_TIMEOUT_S = 30  # seconds until Postgres answers; it takes one
_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # nothing here outlives a crash


@contextmanager
def throwaway_server(folder: Path) -> Iterator[Server]:
    """Start a Postgres with all roles and empty databases; at the end of the block nothing of it is left.

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
    initialise(cluster, folder, folder / "initdb.log")
    server = Server(port=free_port(), passwords=folder)
    settings = [part for name, value in _UNSAFE.items() for part in ("-c", f"{name}={value}")]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [*server_arguments(cluster, server.port), *settings],
            env=server_environment(cluster, os.environ),
            cwd=cluster.data,
            stderr=stream,
            start_new_session=True,  # Ctrl-C reaches this process, which then stops the server
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            **run_as(cluster.uid, cluster.gid),
        )
    try:
        if not until(server.is_ready, _START_TIMEOUT_S):
            raise StackError(
                f"A temporary Postgres did not start:\n{last_lines(log)}\n", "Check the free memory and disk space."
            )
        server.create_databases()
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: the server closes all sessions and waits for none
        process.wait()
        if cluster.uid is not None:  # root's Postgres keeps its data outside the folder
            shutil.rmtree(cluster.data.parent)


def _end_with_parent() -> None:
    """Ask the kernel to stop the server when this process is killed before it can."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # 1: PR_SET_PDEATHSIG
