"""Expectations about single values or rows: which of them break it.

Each function takes the columns of an expectation and its other arguments. It returns which rows are judged and which
of them break it, as masks.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.arrow import is_category, is_number, is_text, to_texts
from tidemill.checks.values import Column, flag, known, literals, none_of, only, outside, unjudgeable

__all__ = ["ROW_WISE", "Masks"]

Masks = tuple[Column, Column]
Arguments = Mapping[str, Any]

_NAMES_OF_TYPES = {
    "bool": {"bool", "boolean", "bool_"},
    "int16": {"int", "int16", "smallint", "integer"},
    "int32": {"int", "int32", "integer", "int4"},
    "int64": {"int", "int64", "bigint", "int8", "integer"},
    "float": {"float", "float32", "real", "float4"},
    "double": {"float", "float64", "double", "double precision", "numeric", "float8"},
    "string": {"str", "string", "text", "varchar", "object", "uuid"},
    "date32[day]": {"date", "object"},
    "timestamp[us, tz=UTC]": {"timestamptz", "timestamp", "datetime", "datetime64[us, utc]"},
}
"""Names of a type in Arrow, numpy, Python and SQL, in lower case."""


def _of_values(broken_of: Callable[[Column, Arguments], Column]) -> Callable[[Sequence[Column], Arguments], Masks]:
    """Judge the values of one column that are not missing."""

    def masks(columns: Sequence[Column], arguments: Arguments) -> Masks:
        column = known(columns[0])
        return pc.is_valid(column), pc.fill_null(broken_of(column, arguments), False)

    return masks


def _null(columns: Sequence[Column], arguments: Arguments) -> Masks:
    only(arguments)
    return _everywhere(columns[0]), pc.is_null(known(columns[0]))


def _not_null(columns: Sequence[Column], arguments: Arguments) -> Masks:
    only(arguments)
    return _everywhere(columns[0]), pc.is_valid(known(columns[0]))


def _repeated(column: Column, arguments: Arguments) -> Column:
    only(arguments)
    if _rise_together([column]) or pc.count_distinct(column).as_py() == len(column) - column.null_count:
        return none_of(column)
    counts = pc.value_counts(column.combine_chunks())
    return pc.is_in(column, value_set=counts.field("values").filter(pc.greater(counts.field("counts"), 1)))


def _rise_together(columns: Sequence[Column]) -> bool:
    """Whether each row is beyond the one before, as a snapshot's are; then no table of all values is needed.

    The first column in which two rows differ decides.
    """
    if any(pa.types.is_boolean(column.type) for column in columns):
        return False
    ahead = None
    for column in reversed(columns):
        before, after = column.slice(0, max(len(column) - 1, 0)), column.slice(1)
        further = pc.less(before, after)
        ahead = further if ahead is None else pc.or_(further, pc.and_(pc.equal(before, after), ahead))
    return pc.all(ahead, skip_nulls=False).as_py() is True


def _in_set(column: Column, arguments: Arguments) -> Column:
    values = only(arguments, "value_set").get("value_set")
    if values == [""] and not is_text(column.type):  # asked of every key; only a text can be empty
        return none_of(column)
    return pc.is_in(column, value_set=literals(values, column.type))


def _outside_set(column: Column, arguments: Arguments) -> Column:
    return pc.invert(_in_set(column, arguments))


def _outside_range(column: Column, arguments: Arguments) -> Column:
    return outside(column, only(arguments, "min_value", "max_value", "strict_min", "strict_max"))


def _of_other_length(column: Column, arguments: Arguments) -> Column:
    length = only(arguments, "value").get("value")
    return outside(_lengths(column), {"min_value": length, "max_value": length})


def _length_outside_range(column: Column, arguments: Arguments) -> Column:
    return outside(_lengths(column), only(arguments, "min_value", "max_value", "strict_min", "strict_max"))


def _lengths(column: Column) -> Column:
    if not is_text(column.type):
        raise unjudgeable(f"values of type {column.type} have no length")
    return pc.utf8_length(to_texts(column)).cast(pa.int64())


def _unlike(column: Column, arguments: Arguments) -> Column:
    return pc.invert(_like(column, arguments))


def _like(column: Column, arguments: Arguments) -> Column:
    """Search in each different value once, with Python's own expressions, which Arrow's are not."""
    pattern = only(arguments, "regex").get("regex")
    if not is_category(column.type):
        raise unjudgeable(f"values of type {column.type} are not texts to search in")
    try:
        search = re.compile(str(pattern)).search
    except re.error as error:
        raise unjudgeable(f"regex {pattern!r} is not a regular expression: {error}") from None
    texts = to_texts(column).combine_chunks().dictionary_encode()
    found = pa.array([search(text) is not None for text in texts.dictionary.to_pylist()], pa.bool_())
    return pa.chunked_array([found.take(texts.indices)])


def _falling(column: Column, arguments: Arguments) -> Column:
    return _against_order(column, arguments, (pc.less, pc.less_equal))


def _rising(column: Column, arguments: Arguments) -> Column:
    return _against_order(column, arguments, (pc.greater, pc.greater_equal))


def _against_order(column: Column, arguments: Arguments, breaks: tuple[Any, Any]) -> Column:
    """Compare each value with the one before it, missing ones left out."""
    if pa.types.is_boolean(column.type):
        raise unjudgeable("booleans have no order")
    broken_by = breaks[flag(only(arguments, "strictly"), "strictly")]
    there = pc.is_valid(column)
    values = column.filter(there)
    if not len(values):
        return none_of(column)
    later = broken_by(values.slice(0, len(values) - 1), values.slice(1))
    broken = pa.concat_arrays([pa.array([False]), *later.chunks])
    places = pc.subtract(pc.cumulative_sum(there.cast(pa.int64())), 1)
    return pc.and_(there, pa.chunked_array([broken.take(pc.max_element_wise(places, 0).combine_chunks())]))


def _of_other_type(column: Column, arguments: Arguments) -> Column:
    wanted = only(arguments, "type_", "type_list")
    names = wanted.get("type_list") or [wanted.get("type_")]
    if not isinstance(names, list | tuple):
        raise unjudgeable("type_list is not a list")
    known_names = {str(column.type), *_NAMES_OF_TYPES.get(str(column.type), set())}
    fits = any(str(name).lower() in known_names for name in names)
    return none_of(column) if fits else pc.is_valid(column)


def _pair_not_equal(columns: Sequence[Column], arguments: Arguments) -> Masks:
    return _pair(columns, only(arguments, "ignore_row_if"), pc.equal)


def _pair_not_greater(columns: Sequence[Column], arguments: Arguments) -> Masks:
    or_equal = flag(only(arguments, "ignore_row_if", "or_equal"), "or_equal")
    return _pair(columns, arguments, pc.greater_equal if or_equal else pc.greater)


def _pair(columns: Sequence[Column], arguments: Arguments, compare: Any) -> Masks:
    one, other = _alike(*map(known, (columns[0], columns[-1])))  # a column may be compared with itself
    ignored = {
        "both_values_are_missing": pc.and_(pc.is_null(one), pc.is_null(other)),
        "either_value_is_missing": pc.or_(pc.is_null(one), pc.is_null(other)),
        "neither": none_of(one),
    }
    judged = pc.invert(_chosen(ignored, arguments, "both_values_are_missing"))
    return judged, pc.invert(pc.fill_null(compare(one, other), False))


def _alike(one: Column, other: Column) -> tuple[Column, Column]:
    """Return two columns as one type in which nothing is rounded."""
    if one.type == other.type:
        return one, other
    types = pa.types
    if types.is_integer(one.type) and types.is_integer(other.type):
        return one.cast(pa.decimal128(20, 0)), other.cast(pa.decimal128(20, 0))
    if is_text(one.type) and is_text(other.type):
        return to_texts(one), to_texts(other)
    if is_number(one.type) and is_number(other.type) and not types.is_boolean(one.type) | types.is_boolean(other.type):
        try:
            return one.cast(pa.float64()), other.cast(pa.float64())
        except pa.ArrowInvalid:
            raise unjudgeable("whole numbers beyond 2**53 cannot be compared with floats") from None
    raise unjudgeable(f"values of type {one.type} cannot be compared with values of type {other.type}")


def _compound_repeated(columns: Sequence[Column], arguments: Arguments) -> Masks:
    names = [str(place) for place in range(len(columns))]
    table = pa.table(dict(zip(names, map(known, columns), strict=True)))
    missing = [pc.is_null(column) for column in table.columns]
    ignored = {
        "all_values_are_missing": missing[0],
        "any_value_is_missing": missing[0],
        "never": none_of(table.column(0)),
    }
    for mask in missing[1:]:
        ignored["all_values_are_missing"] = pc.and_(ignored["all_values_are_missing"], mask)
        ignored["any_value_is_missing"] = pc.or_(ignored["any_value_is_missing"], mask)
    judged = pc.invert(_chosen(ignored, only(arguments, "ignore_row_if"), "all_values_are_missing"))
    if _rise_together(table.columns):
        return judged, none_of(table.column(0))
    rows = table.append_column("row", pa.array(range(table.num_rows), pa.int64())).filter(judged)
    groups = rows.group_by(names).aggregate([("row", "list"), ("row", "count")])
    twice = groups.filter(pc.greater(groups["row_count"], 1))["row_list"]
    repeated = pc.list_flatten(twice) if len(twice) else pa.array([], pa.int64())
    return judged, pc.is_in(pa.chunked_array([pa.array(range(table.num_rows), pa.int64())]), value_set=repeated)


def _chosen(ignored: Mapping[str, Column], arguments: Arguments, default: str) -> Column:
    name = arguments.get("ignore_row_if", default)
    if not isinstance(name, str) or name not in ignored:
        raise unjudgeable(f"ignore_row_if is {name!r}, none of {', '.join(ignored)}")
    return ignored[name]


def _everywhere(column: Column) -> Column:
    return pa.chunked_array([pa.repeat(True, len(column))], pa.bool_())


ROW_WISE: dict[str, Callable[[Sequence[Column], Arguments], Masks]] = {
    "expect_column_values_to_not_be_null": _null,
    "expect_column_values_to_be_null": _not_null,
    "expect_column_values_to_be_unique": _of_values(_repeated),
    "expect_column_values_to_be_in_set": _of_values(_outside_set),
    "expect_column_values_to_not_be_in_set": _of_values(_in_set),
    "expect_column_values_to_be_between": _of_values(_outside_range),
    "expect_column_value_lengths_to_equal": _of_values(_of_other_length),
    "expect_column_value_lengths_to_be_between": _of_values(_length_outside_range),
    "expect_column_values_to_match_regex": _of_values(_unlike),
    "expect_column_values_to_not_match_regex": _of_values(_like),
    "expect_column_values_to_be_increasing": _of_values(_rising),
    "expect_column_values_to_be_decreasing": _of_values(_falling),
    "expect_column_values_to_be_of_type": _of_values(_of_other_type),
    "expect_column_values_to_be_in_type_list": _of_values(_of_other_type),
    "expect_column_pair_values_to_be_equal": _pair_not_equal,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair_not_greater,
    "expect_compound_columns_to_be_unique": _compound_repeated,
}
"""What breaks each expectation, by its name."""
