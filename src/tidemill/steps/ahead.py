"""Working ahead: a thread makes the next items while the caller is busy with one.

It gains where both spend their time outside of Python's lock: in XGBoost, in Arrow, in Postgres.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

__all__ = ["ahead"]

Item = TypeVar("Item")


@contextmanager
def ahead(items: Iterator[Item], depth: int = 2) -> Iterator[Iterator[Item]]:
    """Give the same items in the same order, made by a thread; an error comes where its item would have come.

    Parameters
    ----------
    items : iterator
        What makes them.
    depth : int, default 2
        How many may be ready or in the making, from 1; 0 makes each when it is asked for, in the caller's thread.

    Examples
    --------
    >>> with ahead(iter("abc")) as letters:
    ...     "".join(letters)
    'abc'
    """
    if not depth:
        yield items
        return
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = deque(pool.submit(_next, items) for _ in range(depth))
        try:
            yield _in_order(pool, items, waiting)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # what is in the making is waited for at the block's end


def _next(items: Iterator[Item]) -> tuple[Item, ...]:
    return tuple(islice(items, 1))


def _in_order(
    pool: ThreadPoolExecutor, items: Iterator[Item], waiting: deque[Future[tuple[Item, ...]]]
) -> Iterator[Item]:
    while found := waiting.popleft().result():
        waiting.append(pool.submit(_next, items))
        yield found[0]
