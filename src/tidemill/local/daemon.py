"""The supervisor's process: detached from the process that started it, and the only one in its home.

Run as ``python -m tidemill.local.daemon HOME``, with orders as lines on its standard input.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tidemill.local.components import build_components
from tidemill.local.config import load_config
from tidemill.local.health import airflow_health, silent_components
from tidemill.local.home import Home, held
from tidemill.local.supervision.supervisor import Supervisor

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Detach, then supervise the stack of a home until told to stop.

    Parameters
    ----------
    arguments : list of str
        The program's name and the home folder.
    """
    # The caller waits for the first process, so the supervisor has no parent and never becomes a zombie.
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = Home(folder=Path(arguments[1]))
    with held(home.supervisor_lock):
        asyncio.run(_supervise(home))


async def _supervise(home: Home) -> None:
    config = load_config(home)
    components = build_components(home, config)
    supervisor = Supervisor(home, components, silent=lambda: silent_components(airflow_health(config)))
    await supervisor.run(_orders())


async def _orders() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield line.decode().strip()


if __name__ == "__main__":
    main(sys.argv)
