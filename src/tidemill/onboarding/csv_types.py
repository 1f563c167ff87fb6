"""Types of a CSV file's columns, from all of its values. Pure functions on columns of text.

A column gets a type only if every value has that type's form and keeps its digits: ``007`` stays text. Dates and numbers in
the forms of a country are rewritten first. Where one value in a hundred or fewer differs, a note says which.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.onboarding.csv_formats import rewrite

__all__ = ["Typed", "infer"]

_TIME = r"[ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_FORMS = {
    "boolean": r"(?i)^(true|false)$",
    "bigint": r"^-?(0|[1-9]\d{0,17})$",
    "double precision": r"^[-+]?(0|[1-9]\d*)?(\.\d*)?([eE][-+]?\d{1,3})?$",
    "numeric": r"^-?(0|[1-9]\d*)(\.\d+)?$",
    "date": rf"^{_DAY}$",
    "timestamp": rf"^{_DAY}({_TIME})?$",
    "timestamptz": rf"^{_DAY}{_TIME}(Z|[+-]\d\d(:?\d\d)?)$",
}
"""Forms of the types, the narrowest first."""
_DIGITS_OF_DOUBLE = 15  # significant digits that every double keeps
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None"]
_FEW = 0.01  # share of values that differ from which a column is meant to be text


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A column with the type that all of its values have."""

    sql_type: str
    values: pa.ChunkedArray
    """Texts that Postgres reads as that type; NULL where missing."""
    written: str = ""
    """How the file writes the values, if not as SQL does."""
    odd_row: int | None = None
    """Row, from 0, of the first of a few values because of which the column stays text."""
    odd_type: str = ""
    """Type that all other values have."""


def infer(values: pa.ChunkedArray) -> Typed:
    """Return the narrowest type that represents every value of a column exactly.

    Examples
    --------
    >>> [infer(pa.chunked_array([texts])).sql_type for texts in (["1", "NA"], ["007"], ["1.50"], ["2024-02-30"])]
    ['bigint', 'text', 'double precision', 'text']
    """
    exact = _infer_exact(values)
    if exact.sql_type != "text" or not (rewritten := rewrite(_without_missing(values))):
        return exact
    typed = _infer_exact(rewritten[0])
    return exact if typed.sql_type == "text" else replace(typed, written=rewritten[1])


def _without_missing(values: pa.ChunkedArray) -> pa.ChunkedArray:
    missing = pc.is_in(values, value_set=pa.array(_MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), values)


def _infer_exact(values: pa.ChunkedArray) -> Typed:
    blank = _without_missing(values)
    n = len(blank) - blank.null_count
    if not n:
        return Typed(sql_type="text", values=values)
    best: tuple[int, str, pa.ChunkedArray] = (n, "", blank)
    for sql_type in _FORMS:
        fits = _fits(blank, sql_type)
        n_odd = n - (pc.sum(fits).as_py() or 0)
        if not n_odd:
            return Typed(sql_type=sql_type, values=blank)
        if n_odd < best[0]:
            best = (n_odd, sql_type, fits)
    if best[0] > n * _FEW:
        return Typed(sql_type="text", values=values)
    return Typed(sql_type="text", values=values, odd_row=pc.index(best[2], False).as_py(), odd_type=best[1])


def _fits(values: pa.ChunkedArray, sql_type: str) -> pa.ChunkedArray:
    fits = pc.match_substring_regex(values, _FORMS[sql_type])
    if sql_type == "double precision":
        mantissa = pc.replace_substring_regex(values, r"[eE].*$", "")
        n_digits = pc.binary_length(pc.replace_substring_regex(mantissa, r"^[-+]?0*\.?0*|[-+.]", ""))
        has_digit = pc.match_substring_regex(mantissa, r"\d")
        fits = pc.and_(fits, has_digit)
        long = pc.fill_null(pc.and_(fits, pc.greater(n_digits, _DIGITS_OF_DOUBLE)), False)
        return pc.and_(fits, _is_double(values, long)) if pc.any(long).as_py() else fits
    if sql_type in ("date", "timestamp", "timestamptz"):
        return pc.and_(fits, _is_calendar_day(values, fits))
    return fits


def _is_double(values: pa.ChunkedArray, long: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether the nearest double, written in its shortest form, is the same number; only long ones are looked at."""
    kept = (
        not is_long or Decimal(repr(float(text))) == Decimal(text)
        for text, is_long in zip(values.to_pylist(), long.to_pylist(), strict=True)
    )
    return pa.chunked_array([pa.array(kept, pa.bool_())])


def _is_calendar_day(values: pa.ChunkedArray, fits: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether the first ten characters are a day that exists; only where they have a day's form."""
    days = pc.if_else(fits, pc.utf8_slice_codeunits(values, 0, 10), pa.scalar(None, pa.string()))
    year, month, day = (pc.cast(pc.utf8_slice_codeunits(days, *at), pa.int64()) for at in ((0, 4), (5, 7), (8, 10)))
    leap = pc.and_(_divides(year, 4), pc.or_(pc.invert(_divides(year, 100)), _divides(year, 400)))
    february = pc.if_else(leap, 29, 28)
    short = pc.is_in(month, value_set=pa.array([4, 6, 9, 11]))
    length = pc.if_else(pc.equal(month, 2), february, pc.if_else(short, 30, 31))
    return pc.fill_null(pc.and_(pc.less_equal(day, length), pc.greater(year, 0)), False)


def _divides(values: pa.ChunkedArray, by: int) -> pa.ChunkedArray:
    return pc.equal(pc.subtract(values, pc.multiply(pc.divide(values, by), by)), 0)
