"""Arrow columns as numpy arrays and level counts, without loading pandas.

``Array.to_numpy``, ``pa.array`` and every Arrow function that takes a Python scalar import pandas, which takes each task
1.5 seconds. Buffers, ``cast``, ``value_counts`` and ``to_pylist`` do not, so this file uses only these. A test in a
fresh process checks this.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidemill.arrow import to_texts

__all__ = ["level_counts", "level_indices", "to_floats"]


def to_floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column of numbers as floats.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of shape (n_rows,)
        Integers, floats, decimals or booleans.

    Returns
    -------
    numpy.ndarray of shape (n_rows,)
        Null becomes NaN. Integers beyond 2**53 are rounded.

    Examples
    --------
    >>> to_floats(pa.chunked_array([[1, None], [3]])).tolist()
    [1.0, nan, 3.0]
    """
    parts = [_chunk_floats(chunk) for chunk in _chunks(_cast(column, pa.float64()))]
    return np.concatenate(parts) if parts else np.empty(0)


def level_counts(column: pa.ChunkedArray) -> tuple[Counter[str], int]:
    """Count the rows of each level.

    Returns
    -------
    counts : Counter
        Rows of each level, by its text.
    n_null : int
        Rows without a value.

    Examples
    --------
    >>> level_counts(pa.chunked_array([["EWR", None], ["JFK", "EWR"]]))
    (Counter({'EWR': 2, 'JFK': 1}), 1)
    """
    counts: Counter[str] = Counter()
    n_null = 0
    for chunk in _chunks(_as_levels(column)):
        found = pc.value_counts(chunk)
        for level, n in zip(
            to_texts(found.field("values")).to_pylist(), found.field("counts").to_pylist(), strict=True
        ):
            if level is None:
                n_null += n
            else:
                counts[level] += n
    return counts, n_null


def level_indices(column: pa.ChunkedArray, index_of: dict[str, int], *, missing: int, null: int) -> NDArray[np.int64]:
    """Return each row's index in a fixed list of levels.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of shape (n_rows,)
        Levels.
    index_of : dict
        Index of each known level.
    missing : int
        Index for a level that is not in the list.
    null : int
        Index for a row without a value.

    Returns
    -------
    numpy.ndarray of shape (n_rows,)

    Examples
    --------
    >>> level_indices(pa.chunked_array([["b", None, "z"]]), {"a": 0, "b": 1}, missing=2, null=3).tolist()
    [1, 3, 2]
    """
    parts = [np.empty(0, np.int64)]
    for chunk in _chunks(_as_levels(column)):
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        levels = to_texts(encoded.dictionary).to_pylist()
        table = np.array([null if v is None else index_of.get(v, missing) for v in levels] + [null], np.int64)
        indices = encoded.indices.cast(pa.int64())
        # The buffer value of a null row is arbitrary: map it to the last entry of the table.
        parts.append(table[np.where(_validity(indices), _buffer(indices, np.int64), len(levels))])
    return np.concatenate(parts)


def _as_levels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _cast(column, pa.string()) if pa.types.is_null(column.type) else column


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind, safe=False)


def _chunks(column: pa.ChunkedArray) -> Iterator[Any]:
    return (chunk for chunk in column.chunks if len(chunk))


def _chunk_floats(chunk: pa.Array) -> NDArray[np.float64]:
    values = _buffer(chunk, np.float64)
    return np.where(_validity(chunk), values, np.nan) if chunk.null_count else values


def _buffer(array: pa.Array, dtype: type[np.generic]) -> NDArray[Any]:
    """Return an Arrow array's values without a copy; values of null rows are arbitrary."""
    width = np.dtype(dtype).itemsize  # bytes of one value
    return np.frombuffer(array.buffers()[1], dtype, count=len(array), offset=width * array.offset)


def _validity(array: pa.Array) -> NDArray[np.bool_]:
    """Return True where an Arrow array has a value."""
    bitmap = array.buffers()[0]
    if bitmap is None:
        return np.ones(len(array), bool)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(bool)
