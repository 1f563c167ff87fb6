"""Working ahead: the same items in the same order, errors where they belong, and no thread is left."""

import threading
from collections.abc import Iterator

import pytest

from tidemill.steps.ahead import ahead


def letters(until: int = 5, broken: int | None = None, seen: list[int] | None = None) -> Iterator[int]:
    for number in range(until):
        if number == broken:
            raise ZeroDivisionError(number)
        if seen is not None:
            seen.append(number)
        yield number


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_items_are_the_same_in_the_same_order(depth: int) -> None:
    with ahead(letters(), depth) as items:
        assert list(items) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_error_comes_after_the_items_before_it(depth: int) -> None:
    with ahead(letters(broken=3), depth) as items:
        assert [next(items), next(items), next(items)] == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            next(items)


def test_no_more_are_made_than_are_asked_for_and_the_depth() -> None:
    seen: list[int] = []
    with ahead(letters(until=100, seen=seen), 3) as items:
        next(items)
    assert len(seen) <= 4


def test_thread_ends_with_the_block_when_nobody_asked_for_the_rest() -> None:
    with ahead(letters(until=100)) as items:
        next(items)
        assert threads()
    assert not threads()


def test_none_is_an_item_like_others() -> None:
    with ahead(iter([None, None])) as items:
        assert list(items) == [None, None]
