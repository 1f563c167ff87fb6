"""Expectations about a column or the table as a whole: one observed value, or a set of them.

Sums and means of whole numbers are exact. Missing values count for nothing, as in SQL.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.checks.values import Column, known, literals, only, outside, unjudgeable

__all__ = ["AGGREGATES", "DISTINCT", "breaks_range", "row_count", "unexpected_values"]

_ENDS = ("min_value", "max_value", "strict_min", "strict_max")
_ROW_COUNTS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "expect_table_row_count_to_equal": lambda given: {"min_value": given.get("value"), "max_value": given.get("value")},
    "expect_table_row_count_to_be_between": lambda given: given,
}


def row_count(name: str, n_rows: int, arguments: Mapping[str, Any]) -> tuple[bool, int] | None:
    """Return whether the number of rows is as expected, and the number; None if the expectation is about something else.

    Raises
    ------
    SpecError
        If the arguments name no range of numbers.
    """
    if name not in _ROW_COUNTS:
        return None
    return not breaks_range(n_rows, pa.int64(), _ROW_COUNTS[name](only(arguments, "value", *_ENDS))), n_rows


def breaks_range(value: Any, kind: pa.DataType, arguments: Mapping[str, Any]) -> bool:
    """Whether one observed value lies outside the range of the arguments.

    Raises
    ------
    SpecError
        If there is no range, or the value cannot be compared with it.
    """
    return bool(outside(pa.chunked_array([pa.array([value], kind)]), only(arguments, *_ENDS))[0].as_py())


def unexpected_values(name: str, column: Column, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the different values that a column has too many or too few, as text.

    Raises
    ------
    SpecError
        If the column's type has no such values.
    """
    wanted = literals(only(arguments, "value_set").get("value_set"), column.type)
    found = pc.unique(known(column).drop_null())
    extra = found.filter(pc.invert(pc.is_in(found, value_set=wanted)))
    lacking = wanted.filter(pc.invert(pc.is_in(wanted, value_set=found)))
    values = [value for part in DISTINCT[name](extra, lacking) for value in part.to_pylist()]
    return tuple(str(value)[:100] for value in sorted(values))


def _sum(column: Column) -> Any:
    """Add without overflow and, where the values are whole, without rounding."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_integer(column.type):
        return pc.sum(column.cast(pa.decimal128(20, 0))).as_py()
    if not pa.types.is_floating(column.type):
        raise unjudgeable(f"values of type {column.type} have no sum")
    return pc.sum(column).as_py()


def _total(column: Column) -> tuple[Any, pa.DataType]:
    value = _sum(column)
    return None if value is None else float(value), pa.float64()


def _mean(column: Column) -> tuple[Any, pa.DataType]:
    value = _sum(column)
    return None if value is None else float(value / (len(column) - column.null_count)), pa.float64()


def _middle(column: Column) -> tuple[Any, pa.DataType]:
    _sum(column.slice(0, 0))  # refuses values that are not numbers
    return pc.quantile(column.cast(pa.float64(), safe=False), 0.5)[0].as_py(), pa.float64()


def _spread(column: Column) -> tuple[Any, pa.DataType]:
    _sum(column.slice(0, 0))
    return pc.stddev(column.cast(pa.float64(), safe=False), ddof=1).as_py(), pa.float64()


def _least(column: Column) -> tuple[Any, pa.DataType]:
    return pc.min(column).as_py(), column.type


def _most(column: Column) -> tuple[Any, pa.DataType]:
    return pc.max(column).as_py(), column.type


def _n_different(column: Column) -> tuple[Any, pa.DataType]:
    return pc.count_distinct(column, mode="only_valid").as_py(), pa.int64()


def _share_different(column: Column) -> tuple[Any, pa.DataType]:
    n_known = len(column) - column.null_count
    return (_n_different(column)[0] / n_known if n_known else None), pa.float64()


AGGREGATES: dict[str, Callable[[Column], tuple[Any, pa.DataType]]] = {
    "expect_column_sum_to_be_between": _total,
    "expect_column_mean_to_be_between": _mean,
    "expect_column_median_to_be_between": _middle,
    "expect_column_stdev_to_be_between": _spread,
    "expect_column_min_to_be_between": _least,
    "expect_column_max_to_be_between": _most,
    "expect_column_unique_value_count_to_be_between": _n_different,
    "expect_column_proportion_of_unique_values_to_be_between": _share_different,
}
"""What is observed of a column, and of which type it is; None where there is no value."""

DISTINCT: dict[str, Callable[[Any, Any], tuple[Any, ...]]] = {
    "expect_column_distinct_values_to_be_in_set": lambda extra, lacking: (extra,),
    "expect_column_distinct_values_to_contain_set": lambda extra, lacking: (lacking,),
    "expect_column_distinct_values_to_equal_set": lambda extra, lacking: (extra, lacking),
}
"""Which values break each expectation, of those that the column has beyond the set and those that it lacks."""
