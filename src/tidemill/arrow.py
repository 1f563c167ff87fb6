"""Arrow types and conversions that every room shares: what counts as a number, and how a value keeps its digits.

Importing this module loads neither pandas nor numpy's own conversions, so that light tasks can use it.
"""

import io
from typing import Any

import pyarrow as pa
from pyarrow import csv

__all__ = ["as_csv", "decoded", "is_category", "is_number", "is_text", "kind_of", "to_frame", "to_texts"]


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type is numeric; booleans count as 0 and 1.

    Examples
    --------
    >>> is_number(pa.int64()), is_number(pa.bool_()), is_number(pa.string())
    (True, True, False)
    """
    types = pa.types
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(test(kind) for test in tests)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, in any of Arrow's layouts.

    Examples
    --------
    >>> is_text(pa.large_string()), is_text(pa.dictionary(pa.int32(), pa.string())), is_text(pa.int64())
    (True, True, False)
    """
    kind = _of_values(kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_category(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a categorical feature: text, whole numbers and booleans.

    Examples
    --------
    >>> is_category(pa.int64()), is_category(pa.float64())
    (True, False)
    """
    kind = _of_values(kind)
    return is_text(kind) or any(test(kind) for test in (pa.types.is_integer, pa.types.is_boolean, pa.types.is_null))


def kind_of(kind: pa.DataType) -> str:
    """Return the kind of a type: ``number``, ``whole number``, ``boolean`` or ``text``; other types keep their name.

    Examples
    --------
    >>> kind_of(pa.int16()), kind_of(pa.float32()), kind_of(pa.bool_()), kind_of(pa.large_string()), kind_of(pa.date32())
    ('whole number', 'number', 'boolean', 'text', 'date32[day]')
    """
    kind, types = _of_values(kind), pa.types
    if types.is_integer(kind):
        return "whole number"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    return "boolean" if types.is_boolean(kind) else "text" if is_text(kind) else str(kind)


def to_texts(column: Any) -> Any:
    """Return the category of each value as text: whole numbers by all their digits, booleans as ``true`` and ``false``.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        Of a type for which `is_category` is true.

    Examples
    --------
    >>> to_texts(pa.array([2**60 + 1, None])).to_pylist()
    ['1152921504606846977', None]
    """
    return column if pa.types.is_string(column.type) else column.cast(_of_values(column.type)).cast(pa.string())


def decoded(rows: Any) -> Any:
    """Return rows in which columns that are stored as dictionaries have the type of their values.

    Examples
    --------
    >>> decoded(pa.table({"origin": pa.array(["EWR"]).dictionary_encode()})).schema.field("origin").type
    DataType(string)
    """
    if not any(pa.types.is_dictionary(field.type) for field in rows.schema):
        return rows
    return rows.cast(pa.schema([field.with_type(_of_values(field.type)) for field in rows.schema]))


def to_frame(rows: pa.Table | pa.RecordBatch) -> Any:
    """Return rows as a pandas frame in which whole numbers keep their digits, whether or not one of them is NULL.

    Arrow's own conversion makes floats of a column of integers with a NULL, and so depends on the rows around a row.

    Returns
    -------
    pandas.DataFrame
        Integers with a NULL are of pandas' nullable types, such as ``Int64``; dictionaries are their values.

    Examples
    --------
    >>> to_frame(pa.table({"id": [2**60 + 1, None]}))["id"].tolist()
    [1152921504606846977, <NA>]
    """
    rows = decoded(rows)
    with_null = {
        field.type
        for field, column in zip(rows.schema, rows.columns, strict=True)
        if pa.types.is_integer(field.type) and column.null_count
    }
    if not with_null:
        return rows.to_pandas()
    import pandas as pd  # a second and a half; callers that need a frame have loaded it already

    nullable = {kind: pd.api.types.pandas_dtype(_nullable_name(kind)) for kind in with_null}
    return rows.to_pandas(types_mapper=nullable.get)


def as_csv(rows: pa.Table | pa.RecordBatch) -> bytes:
    r"""Return rows as CSV without a header, as COPY reads it.

    Examples
    --------
    >>> as_csv(pa.table({"id": [1, None], "name": ["a", ""]}))
    b'1,"a"\n,""\n'
    """
    buffer = io.BytesIO()
    csv.write_csv(rows, buffer, csv.WriteOptions(include_header=False))
    return buffer.getvalue()


def _of_values(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _nullable_name(kind: pa.DataType) -> str:
    """Return pandas' name of a nullable type: ``int64`` is ``Int64``, and ``uint8`` is ``UInt8``."""
    return str(kind).replace("int", "Int").replace("u", "U")
