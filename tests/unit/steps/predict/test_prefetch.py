"""Working ahead: the same items in the same order, errors where they belong, and no thread is left."""

import threading
from collections.abc import Iterator

import pytest

from tidemill.steps.predict.prefetch import ahead


def twice(number: int) -> int:
    if number == 3:
        raise ZeroDivisionError(number)
    return 2 * number


def numbers(until: int, seen: list[int]) -> Iterator[int]:
    for number in range(until):
        seen.append(number)
        yield number


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize("n_threads", [0, 1, 2, 7])
def test_items_are_the_same_in_the_same_order(n_threads: int) -> None:
    with ahead(str, range(100), n_threads) as items:
        assert list(items) == [str(number) for number in range(100)]


@pytest.mark.parametrize("n_threads", [0, 1, 2, 7])
def test_error_comes_after_the_items_before_it(n_threads: int) -> None:
    with ahead(twice, range(5), n_threads) as items:
        assert [next(items), next(items), next(items)] == [0, 2, 4]
        with pytest.raises(ZeroDivisionError):
            next(items)


@pytest.mark.parametrize("n_threads", [0, 2])
def test_error_of_the_items_themselves_comes_too(n_threads: int) -> None:
    with ahead(str, map(twice, range(5)), n_threads) as items, pytest.raises(ZeroDivisionError):
        list(items)


def test_only_so_many_are_taken_ahead() -> None:
    seen: list[int] = []
    with ahead(str, numbers(100, seen), 3) as items:
        next(items)
    assert len(seen) <= 5


def test_threads_end_with_the_block_when_nobody_asked_for_the_rest() -> None:
    with ahead(str, range(100), 2) as items:
        next(items)
        assert threads()
    assert not threads()


def test_none_is_an_item_like_others() -> None:
    with ahead(lambda item: item, [None, None], 2) as items:
        assert list(items) == [None, None]
