"""The contract's plain expectations, judged on Arrow columns: one column in memory at a time, no frame, no start-up.

Most contracts say that values are there, lie in a set or a range, have a length or are unique. That is arithmetic on one
column, and the verdicts here are Great Expectations' own, figure by figure, which a test holds for random columns.
Whatever is not plain (other expectations, other arguments, types that would have to be turned into others) is left to
``contracts``, which asks Great Expectations itself.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.intervals import Interval
from tidemill.records import CheckResult
from tidemill.spec import Expectation, ModelSpec

__all__ = ["N_CASES", "columns_of", "in_words", "judge", "of_no_rows", "whole_contract"]

N_CASES = 10
"""Failing values shown an expectation."""

_EXACT = 2**53  # whole numbers up to here are doubles without loss
_Broken = Callable[[pa.ChunkedArray, dict[str, Any]], pa.ChunkedArray | None]


def whole_contract(spec: ModelSpec, interval: Interval) -> tuple[Expectation, ...]:
    """Return the expectations of a model: those that hold for every model first, then the spec's own.

    A row has a key that no other row has, and belongs to the interval that was asked for.
    """
    key, time = {"column": spec.entity_key}, {"column": spec.event_time}
    inside = {"min_value": interval.start, "max_value": interval.end, "strict_max": True}
    return (
        Expectation(name="expect_column_values_to_not_be_null", arguments=key),
        Expectation(name="expect_column_values_to_be_unique", arguments=key),
        Expectation(name="expect_column_values_to_not_be_in_set", arguments=key | {"value_set": [""]}),
        Expectation(name="expect_column_values_to_not_be_null", arguments=time),
        Expectation(name="expect_column_values_to_be_between", arguments=time | inside),
        *spec.contract,
    )


def columns_of(contract: Sequence[Expectation]) -> list[str]:
    """Return the columns that a contract speaks of, each once, in order."""
    names = [
        value
        for expectation in contract
        for argument, value in expectation.arguments.items()
        if argument in ("column", "column_A", "column_B")
    ]
    lists = [item for expectation in contract for item in expectation.arguments.get("column_list", ())]
    return list(dict.fromkeys(names + lists))


def of_no_rows(contract: Sequence[Expectation]) -> tuple[Expectation, ...]:
    """Return the expectations that say something about a snapshot without rows: those about the table.

    What a column's values are to be holds for none of them, and an aggregate over none is not defined. Whoever expects
    rows says so: ``expect_table_row_count_to_be_between`` is about the table.
    """
    return tuple(item for item in contract if not columns_of((item,)) or item.name == "expect_column_to_exist")


def in_words(expectation: Expectation) -> str:
    """Write an expectation with its arguments, without its column."""
    arguments = {name: value for name, value in expectation.arguments.items() if name != "column"}
    if not arguments:
        return expectation.name
    inner = ", ".join(f"{name}={json.dumps(value, default=str)}" for name, value in arguments.items())
    return f"{expectation.name}({inner})"


def judge(expectation: Expectation, column: pa.ChunkedArray) -> CheckResult | None:
    """Hold one expectation against one column, as Great Expectations does.

    Parameters
    ----------
    expectation : Expectation
        About one column.
    column : pyarrow.ChunkedArray
        At least one value.

    Returns
    -------
    CheckResult or None
        None if this is not plain enough: it is Great Expectations' to say.
    """
    arguments = {name: value for name, value in expectation.arguments.items() if name not in ("column", "mostly")}
    mostly = expectation.arguments.get("mostly", 1.0)
    broken_of = _PLAIN.get(expectation.name)
    if broken_of is None or not len(column) or not _is_number(mostly) or not 0 <= mostly <= 1:
        return None
    absent = pc.is_null(column, nan_is_null=True)
    broken = broken_of(column, arguments)
    if broken is None:
        return None
    counts_absent = broken_of is _absent
    if not counts_absent:  # what is not there breaks nothing else
        broken = pc.and_(pc.fill_null(broken, False), pc.invert(absent))
    n_broken = pc.sum(broken).as_py() or 0
    judged = len(column) if counts_absent else len(column) - pc.sum(absent).as_py()
    return CheckResult(
        expectation=in_words(expectation),
        column=expectation.arguments["column"],
        severity=expectation.severity,
        success=not judged or (judged - n_broken) / judged >= mostly,
        observed=f"{n_broken:,} of {len(column):,} values break it",
        n_unexpected=n_broken,
        failure_cases=() if counts_absent or not n_broken else _cases(column, broken),
    )


def _cases(column: pa.ChunkedArray, broken: pa.ChunkedArray) -> tuple[str, ...]:
    found = pc.indices_nonzero(broken)[:N_CASES]
    values = column.take(found)
    if column.null_count and pa.types.is_integer(column.type):  # as pandas has them
        values = values.cast(pa.float64())
    return tuple(dict.fromkeys(str(value)[:100] for value in values.to_pylist()))


def _absent(column: pa.ChunkedArray, arguments: dict[str, Any]) -> pa.ChunkedArray | None:
    return None if arguments else pc.is_null(column, nan_is_null=True)


def _twice(column: pa.ChunkedArray, arguments: dict[str, Any]) -> pa.ChunkedArray | None:
    if arguments or not (_is_text(column) or pa.types.is_integer(column.type)):
        return None
    if _rises(column) or pc.count_distinct(column).as_py() == len(column) - column.null_count:
        return pa.chunked_array([pa.repeat(False, len(column))])
    counts = pc.value_counts(column.combine_chunks())
    return pc.is_in(column, value_set=counts.field("values").filter(pc.greater(counts.field("counts"), 1)))


def _rises(column: pa.ChunkedArray) -> bool:
    """Return whether each value is beyond the one before, as a snapshot's keys are: no table of all has to be made then."""
    ahead = pc.less(column.slice(0, len(column) - 1), column.slice(1))
    return pc.all(ahead, skip_nulls=False).as_py() is True


def _in_set(column: pa.ChunkedArray, arguments: dict[str, Any]) -> pa.ChunkedArray | None:
    values = arguments.get("value_set")
    if set(arguments) != {"value_set"} or not isinstance(values, list) or not values:
        return None
    if _is_text(column) and all(isinstance(value, str) for value in values):
        return pc.is_in(column, value_set=pa.array(values, column.type))
    if pa.types.is_integer(column.type) and values == [""]:  # what every key is asked; no number is an empty text
        return pa.chunked_array([pa.repeat(False, len(column))])
    if all(map(_is_number, values)) and (numbers := _doubles(column)) is not None:
        # Zero has two signs, which are one number to pandas and two to Arrow; adding 0 leaves one.
        return pc.is_in(pc.add(numbers, 0.0), value_set=pa.array([value + 0.0 for value in values], pa.float64()))
    return None


def _outside_set(column: pa.ChunkedArray, arguments: dict[str, Any]) -> pa.ChunkedArray | None:
    inside = _in_set(column, arguments)
    return None if inside is None else pc.invert(inside)


def _outside_range(column: pa.ChunkedArray, arguments: dict[str, Any]) -> pa.ChunkedArray | None:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    strict = [arguments.get(name, False) for name in ("strict_min", "strict_max")]
    known = set(arguments) <= {"min_value", "max_value", "strict_min", "strict_max"}
    ends = [end for end in (low, high) if end is not None]
    if not known or not ends or not all(isinstance(one, bool) for one in strict):
        return None
    if all(map(_is_number, ends)):
        values, kind = _doubles(column), pa.float64()
    elif all(isinstance(end, datetime) and end.tzinfo for end in ends) and column.type == pa.timestamp("us", "UTC"):
        values, kind = column, column.type
    else:
        return None
    if values is None or (len(ends) == 2 and ends[0] > ends[1]):
        return None
    broken = pa.chunked_array([pa.repeat(False, len(column))])
    if low is not None:
        broken = pc.or_(broken, (pc.less_equal if strict[0] else pc.less)(values, pa.scalar(low, kind)))
    if high is not None:
        broken = pc.or_(broken, (pc.greater_equal if strict[1] else pc.greater)(values, pa.scalar(high, kind)))
    return broken


def _of_other_length(column: pa.ChunkedArray, arguments: dict[str, Any]) -> pa.ChunkedArray | None:
    length = arguments.get("value")
    if set(arguments) != {"value"} or type(length) is not int or not _is_text(column):
        return None
    return pc.not_equal(pc.utf8_length(column), length)


_PLAIN: dict[str, _Broken] = {
    "expect_column_values_to_not_be_null": _absent,
    "expect_column_values_to_be_unique": _twice,
    "expect_column_values_to_be_in_set": _outside_set,
    "expect_column_values_to_not_be_in_set": _in_set,
    "expect_column_values_to_be_between": _outside_range,
    "expect_column_value_lengths_to_equal": _of_other_length,
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _EXACT


def _is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type))


def _doubles(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Give doubles that say the same; None if there are none. Singles are not: pandas compares them as singles."""
    if column.type == pa.float64():
        return column
    if not pa.types.is_signed_integer(column.type):
        return None
    ends = pc.min_max(column).as_py()
    far = max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > _EXACT
    return None if far else column.cast(pa.float64())
