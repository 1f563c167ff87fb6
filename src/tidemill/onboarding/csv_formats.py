"""Dates and numbers in a CSV file that are not written as SQL writes them. Pure functions on columns of text."""

from collections.abc import Iterator
from itertools import product

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["rewrite"]

_DAYS = {
    "day.month.year": ("%d.%m.%Y", "%d.%m.%y"),
    "day/month/year": ("%d/%m/%Y", "%d/%m/%y"),
    "day-month-year": ("%d-%m-%Y", "%d-%b-%Y", "%d-%b-%y"),
    "day month year": ("%d %b %Y",),
    "month/day/year": ("%m/%d/%Y", "%m/%d/%y"),
    "month-day-year": ("%m-%d-%Y",),
    "year/month/day": ("%Y/%m/%d",),
}
"""Form of a day in words: its formats."""
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_HEAD_ROWS = 1_000  # that rule out most formats
_DATE_LIKE = r"^\d{1,4}[./ -](\d{1,2}|[A-Za-z]{3})[./ -]\d{2,4}( |$)"
_GROUPED = {
    "a comma for thousands": (r"^-?(0|[1-9]\d{0,2}(,\d{3})+|[1-9]\d*)(\.\d+)?$", ",", "."),
    "a decimal comma": (r"^-?(0|[1-9]\d{0,2}(\.\d{3})+|[1-9]\d*)(,\d+)?$", ".", ","),
}
"""Form, sign of thousands and decimal sign of a number."""


def rewrite(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str] | None:
    """Return a column as SQL writes its values, and how they are written; None if it has no date or number, or several.

    ``03/04/2024`` could be in March or in April, and ``1,234`` a little more than 1: without another value that decides, the
    column stays text.

    Examples
    --------
    >>> [column, how] = rewrite(pa.chunked_array([["31.12.2023", "1.5.2024"]]))
    >>> column.to_pylist(), how
    (['2023-12-31', '2024-05-01'], 'day.month.year')
    >>> rewrite(pa.chunked_array([["03/04/2024", "05/06/2024"]])) is None
    True
    """
    if values.null_count == len(values):
        return None
    head = values.drop_null().slice(0, _HEAD_ROWS)
    is_date = pc.all(pc.match_substring_regex(head, _DATE_LIKE)).as_py()
    found = list(_dates(values, head) if is_date else _numbers(values))
    return found[0] if found and all(column == found[0][0] for column, _ in found) else None


def _dates(values: pa.ChunkedArray, head: pa.ChunkedArray) -> Iterator[tuple[pa.ChunkedArray, str]]:
    days = [(how, day) for how, formats in _DAYS.items() for day in formats]
    for (how, day), time in product(days, _TIMES):
        if _parsed(head, day + time) is not None and (parsed := _parsed(values, day + time)) is not None:
            texts = parsed.dt.strftime("%Y-%m-%d %H:%M:%S" if time else "%Y-%m-%d")
            yield pa.chunked_array([pa.array(texts, pa.string(), from_pandas=True)]), how


def _parsed(values: pa.ChunkedArray, form: str) -> pd.Series | None:
    """Return the times, or None if a value has another form."""
    texts = pd.Series(values.to_pylist(), dtype=object)
    parsed = pd.to_datetime(texts, format=form, errors="coerce")
    return parsed if parsed.notna().sum() == texts.notna().sum() else None


def _numbers(values: pa.ChunkedArray) -> Iterator[tuple[pa.ChunkedArray, str]]:
    for how, (form, thousands, decimal) in _GROUPED.items():
        if pc.all(pc.match_substring_regex(values, form)).as_py():
            plain = pc.replace_substring(pc.replace_substring(values, thousands, ""), decimal, ".")
            yield plain, how
