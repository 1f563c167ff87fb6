"""The pulse: a separate session on which a running step sends a sign of life every second.

The server ends the session when the process dies, and sees how long a frozen process has been silent. So the database's
clock shows, on any machine, whether the process of a step is alive. The peak of its memory is in the ledger even after the
process has died. ``lost_runs`` evaluates this.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import psycopg2

from tidemill.errors import TidemillError
from tidemill.warehouse.connections import Cursor, connect
from tidemill.warehouse.statements import execute

__all__ = ["Pulse"]

BEAT_S = 1.0  # seconds between two signs; a shorter step sends none and needs no login
STOP_S = 2.0  # seconds that the end of a step waits for the last sign, even if the server hangs
_TOLD_AGAIN = 1.02  # minimum growth of the peak for an UPDATE


class Pulse:
    """Signs of life for the length of a block. A failing pulse never fails the step.

    Parameters
    ----------
    url : str
        Connection of the role ``tidemill_writer``.
    run_id : int
        The step's row in ``tidemill.run``.
    measure : callable
        Returns the peak resident set of the process and its memory limit, in bytes.
    """

    def __init__(self, url: str, run_id: int, measure: Callable[[], tuple[int, int]]) -> None:
        self._url, self._run_id, self._measure = url, run_id, measure
        self._ended, self._told = threading.Event(), 0
        self._thread = threading.Thread(target=self._beat, name=f"pulse-{run_id}", daemon=True)

    def __enter__(self) -> None:
        with suppress(RuntimeError):  # no memory for another thread: the step itself reports that
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with suppress(TidemillError, psycopg2.Error):  # no connection now: the next beat opens a new one
                self._beat_while_connected()

    def _beat_while_connected(self) -> None:
        with connect(self._url, "tidemill-pulse") as connection, connection.cursor() as cursor:
            connection.autocommit = True
            self._say(cursor)
            while not self._ended.wait(BEAT_S):
                self._say(cursor)

    def _say(self, cursor: Cursor) -> None:
        peak, limit = self._measure()
        if peak < self._told * _TOLD_AGAIN:
            execute(cursor, "sign_of_life")
            return
        execute(cursor, "note_memory", peak_rss_bytes=peak, memory_limit_bytes=limit, run_id=self._run_id)
        self._told = peak
