"""Values of a contract as values of a column's type, compared as SQL compares them.

A text is compared with texts, a number with numbers of any type, without rounding: ``0.1`` is the ``real`` 0.1 to a
column of ``real``. Dates and times are written in ISO 8601; a time without a zone is in UTC.
"""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.arrow import is_text
from tidemill.errors import SpecError

__all__ = [
    "N_CASES",
    "Column",
    "flag",
    "known",
    "literal",
    "literals",
    "none_of",
    "only",
    "outside",
    "places_of",
    "shown",
    "unjudgeable",
]

N_CASES = 10
"""Failing values shown per expectation."""

Column = Any  # a pyarrow.ChunkedArray; pyarrow has no types for mypy


def unjudgeable(why: str) -> SpecError:
    """Return the error of an expectation that has no meaning for the type of its column."""
    return SpecError(why, "Change the expectation, or the type of its column.")


def known(column: Column) -> Column:
    """Return a column in which NaN is NULL and -0.0 is 0.0, as they are to SQL and to pandas."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), pc.add(column, pa.scalar(0.0, column.type)))


def literal(value: Any, kind: pa.DataType) -> Any:
    """Return a value of the contract as one of the column's type.

    Raises
    ------
    SpecError
        If the column's type has no such value.
    """
    types = pa.types
    number = isinstance(value, int | float) and not isinstance(value, bool) and value == value  # NaN is not a number
    if is_text(kind) and isinstance(value, str):
        return _sound(value)
    if types.is_boolean(kind) and isinstance(value, bool):
        return value
    if types.is_integer(kind) and number:
        return value
    if types.is_floating(kind) and number:
        return _double(value)
    if types.is_date(kind) and (found := _date(value)) is not None:
        return found
    if types.is_timestamp(kind) and (instant := _instant(value)) is not None:
        return instant
    raise unjudgeable(f"{value!r} cannot be compared with values of type {kind}")


def literals(values: Any, kind: pa.DataType) -> pa.Array:
    """Return a set of the contract as values of the column's type; numbers that it cannot hold are left out.

    Raises
    ------
    SpecError
        If the column's type has no such value.
    """
    if not isinstance(values, list | tuple | set):
        raise unjudgeable("value_set is not a list")
    wanted = [literal(value, kind) for value in values if value is not None]
    if pa.types.is_integer(kind):
        low, high = _range(kind)
        wanted = [int(value) for value in wanted if low <= value <= high and value == math.floor(value)]
    if pa.types.is_floating(kind):
        wanted = [value + 0.0 for value in wanted]
    return pa.array(wanted, kind)


def outside(column: Column, arguments: Mapping[str, Any]) -> Column:
    """Return which values lie outside the range of ``min_value``, ``max_value``, ``strict_min`` and ``strict_max``.

    Raises
    ------
    SpecError
        If there is no end, or one that the column's type cannot be compared with.
    """
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None and high is None:
        raise unjudgeable("neither min_value nor max_value is given")
    if pa.types.is_boolean(column.type):
        raise unjudgeable("booleans have no range")
    below = _beyond(column, low, "min", strict=flag(arguments, "strict_min"))
    above = _beyond(column, high, "max", strict=flag(arguments, "strict_max"))
    return pc.or_(below, above)


def _beyond(column: Column, end: Any, side: str, *, strict: bool) -> Column:
    if end is None:
        return none_of(column)
    value, kind = literal(end, column.type), column.type
    if pa.types.is_integer(kind) and value not in (math.inf, -math.inf):
        # The nearest whole number that is allowed, so that nothing is rounded on the way to a float.
        value = (
            math.ceil(value) + (strict and value == math.ceil(value))
            if side == "min"
            else (math.floor(value) - (strict and value == math.floor(value)))
        )
        strict = False
    if pa.types.is_integer(kind):
        least, most = _range(kind)
        if not least <= value <= most:
            all_beyond = value > most if side == "min" else value < least
            return pa.chunked_array([pa.repeat(all_beyond, len(column))], pa.bool_())
    compare = {
        ("min", False): pc.less, ("min", True): pc.less_equal, ("max", False): pc.greater, ("max", True): pc.greater_equal,
    }  # fmt: skip
    return compare[side, strict](column, pa.scalar(value, kind))


def flag(arguments: Mapping[str, Any], name: str) -> bool:
    """Return an argument that is true or false; false if it is left out.

    Raises
    ------
    SpecError
        If it is neither.
    """
    value = arguments.get(name) or False
    if not isinstance(value, bool):
        raise unjudgeable(f"{name} is {value!r}, neither true nor false")
    return value


def none_of(column: Column) -> Column:
    """Return a mask that marks no value."""
    return pa.chunked_array([pa.repeat(False, len(column))], pa.bool_())


def only(arguments: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the arguments, which are among some names.

    Raises
    ------
    SpecError
        If another one is given.
    """
    other = sorted(set(arguments) - set(names))
    if other:
        raise unjudgeable(f"argument {', '.join(other)} is not supported")
    return arguments


def shown(column: Column, broken: Column) -> tuple[str, ...]:
    """Return the first values that are marked, each once, as text."""
    values = column.take(pa.array(places_of(broken)[:N_CASES]))
    return tuple(dict.fromkeys(str(value)[:100] for value in values.to_pylist()))


def places_of(mask: Column) -> npt.NDArray[np.int64]:
    """Return the positions that a mask without nulls marks; pyarrow's own function crashes on a mask without chunks."""
    return np.flatnonzero(mask.to_numpy())


def _range(kind: pa.DataType) -> tuple[int, int]:
    if pa.types.is_unsigned_integer(kind):
        return 0, 2**kind.bit_width - 1
    return -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1


def _double(value: float) -> float:
    """Return the nearest double, or infinity for a whole number beyond the range of doubles."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _sound(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise unjudgeable(f"{value!r} holds half of a surrogate pair, which no text of a database does") from None
    return value


def _date(value: Any) -> date | None:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _instant(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
