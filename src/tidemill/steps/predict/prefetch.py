"""Working ahead: threads make something of the next items while the caller is busy with one.

It gains where the time goes by outside of Python's lock: in XGBoost, in scikit-learn's trees, in Arrow, in Postgres.
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
    """Return what a function makes of each item, in the items' order; an error comes where its item would have come.

    Parameters
    ----------
    make : callable
        Called in several threads at once.
    items : iterable
        Asked for in the caller's thread, one more than there are threads ahead.
    n_threads : int
        Threads; 0 makes each when it is asked for, in the caller's thread.

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
            pool.shutdown(wait=False, cancel_futures=True)  # what is in the making is waited for at the block's end


def _in_order(
    pool: ThreadPoolExecutor, make: Callable[[Item], Made], items: Iterator[Item], depth: int
) -> Iterator[Made]:
    waiting: deque[Future[Made]] = deque(pool.submit(make, item) for item in islice(items, depth))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(pool.submit(make, item) for item in islice(items, 1))
