"""Prefetching: threads process the next items while the caller handles one.

It saves time where the work runs outside Python's global lock: in XGBoost, in scikit-learn's trees, in Arrow, in Postgres.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

__all__ = ["ahead"]

Item = TypeVar("Item")
Made = TypeVar("Made")


@contextmanager
def ahead(make: Callable[[Item], Made], items: Iterable[Item], n_threads: int) -> Iterator[Iterator[Made]]:
    """Return an iterator of a function's results in item order; an error is raised at its item's position.

    Parameters
    ----------
    make : callable
        Called from several threads at once.
    items : iterable
        Iterated in the caller's thread, one more item ahead than there are threads.
    n_threads : int
        Threads; with 0 each result is computed on demand in the caller's thread.

    Examples
    --------
    >>> with ahead(str.upper, "abc", 2) as letters:
    ...     "".join(letters)
    'ABC'
    """
    if not n_threads:
        yield map(make, items)
        return
    with ThreadPoolExecutor(n_threads, thread_name_prefix="ahead") as pool:
        try:
            yield _in_order(pool, make, iter(items), n_threads + 1)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # running work is awaited at the end of the block


def _in_order(
    pool: ThreadPoolExecutor, make: Callable[[Item], Made], items: Iterator[Item], depth: int
) -> Iterator[Made]:
    waiting: deque[Future[Made]] = deque(pool.submit(make, item) for item in islice(items, depth))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(pool.submit(make, item) for item in islice(items, 1))
