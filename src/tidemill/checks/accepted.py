"""Which expectations Great Expectations accepts, as far as that can be told without importing it, which takes seconds."""

import math
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from tidemill.spec import Expectation

__all__ = ["surely_accepted"]

_Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**53  # a larger one may be rounded


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_set(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and (all(map(_is_text, value)) or all(map(_is_number, value)))


def _is_pattern(value: Any) -> bool:
    try:
        return _is_text(value) and re.compile(value) is not None
    except re.error:
        return False


_COLUMN: Mapping[str, _Check] = {"column": _is_text}
_MOSTLY: Mapping[str, _Check] = {"mostly": _is_share}
_STRICT: Mapping[str, _Check] = {"strict_min": _is_flag, "strict_max": _is_flag}
_RANGE: Mapping[str, _Check] = {"min_value": _is_number, "max_value": _is_number, **_STRICT}
_WHOLE_RANGE: Mapping[str, _Check] = {"min_value": _is_whole, "max_value": _is_whole, **_STRICT}
_SET: Mapping[str, _Check] = {"value_set": _is_set}
_AGGREGATES = ("sum", "mean", "median", "stdev", "min", "max")

_ACCEPTED: Mapping[str, tuple[Mapping[str, _Check], Mapping[str, _Check]]] = {
    "expect_column_to_exist": (_COLUMN, {}),
    "expect_column_values_to_be_null": (_COLUMN, _MOSTLY),
    "expect_column_values_to_not_be_null": (_COLUMN, _MOSTLY),
    "expect_column_values_to_be_unique": (_COLUMN, _MOSTLY),
    "expect_column_values_to_be_in_set": ({**_COLUMN, **_SET}, _MOSTLY),
    "expect_column_values_to_not_be_in_set": ({**_COLUMN, **_SET}, _MOSTLY),
    "expect_column_values_to_be_between": (_COLUMN, {**_RANGE, **_MOSTLY}),
    "expect_column_value_lengths_to_equal": ({**_COLUMN, "value": _is_whole}, _MOSTLY),
    "expect_column_value_lengths_to_be_between": (_COLUMN, {**_WHOLE_RANGE, **_MOSTLY}),
    "expect_column_values_to_match_regex": ({**_COLUMN, "regex": _is_pattern}, _MOSTLY),
    "expect_column_values_to_not_match_regex": ({**_COLUMN, "regex": _is_pattern}, _MOSTLY),
    "expect_column_distinct_values_to_be_in_set": ({**_COLUMN, **_SET}, {}),
    "expect_column_distinct_values_to_contain_set": ({**_COLUMN, **_SET}, {}),
    "expect_column_distinct_values_to_equal_set": ({**_COLUMN, **_SET}, {}),
    "expect_table_row_count_to_equal": ({"value": _is_whole}, {}),
    "expect_table_row_count_to_be_between": ({}, _WHOLE_RANGE),
    **{f"expect_column_{name}_to_be_between": (_COLUMN, _RANGE) for name in _AGGREGATES},
}
"""Required and optional arguments of each expectation, with the values that are surely accepted."""


def surely_accepted(expectation: Expectation) -> bool:
    """Whether Great Expectations knows an expectation and takes its arguments; False means that it must be asked.

    Examples
    --------
    >>> surely_accepted(Expectation(name="expect_column_to_exist", arguments={"column": "origin"}))
    True
    >>> surely_accepted(Expectation(name="expect_column_to_exist", arguments={"name": "origin"}))
    False
    """
    required, optional = _ACCEPTED.get(expectation.name, ({"": _is_text}, {}))
    given, allowed = expectation.arguments, {**required, **optional}
    if not (required.keys() <= given.keys() <= allowed.keys()):
        return False
    if not all(allowed[name](value) for name, value in given.items()):
        return False
    ends = [given[name] for name in ("min_value", "max_value") if name in given]
    return "min_value" not in allowed or (bool(ends) and all(low <= high for low, high in pairwise(ends)))
