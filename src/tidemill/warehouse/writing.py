"""Bulk writing: Arrow columns as Postgres' binary COPY format, in bounded chunks.

Binary, because Postgres then parses nothing, and every float arrives bit-identical. Arrow's ``binary_join_element_wise``
joins the fields of a row, so that the buffer of its result is the stream itself.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.faults import fault_point

__all__ = ["CHUNK_ROWS", "BinaryRows", "encode"]

CHUNK_ROWS = 32_768  # rows per chunk: at most 2 MB with keys of 20 bytes, so that memory stays flat and caches warm
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, no flags, no extension
_TRAILER = b"\xff\xff"  # a row of -1 fields
_NULL = b"\xff\xff\xff\xff"  # a field of length -1
_JSONB = b"\x01"  # version of jsonb's binary form: the text follows
_EPOCH_US = 946_684_800_000_000  # 2000-01-01 UTC, where Postgres' clock starts, in microseconds since 1970


class BinaryRows:
    """Chunks of binary COPY rows as a file, computed as it is read.

    Parameters
    ----------
    chunks : iterator of bytes
        From ``encode``.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._given = chunks, b""
        self.error: BaseException | None = None
        """What ended the chunks early; COPY replaces it by another error."""

    def read(self, size: int = -1) -> bytes:
        """Return the next chunk, of any length; empty only at the end, since COPY takes an empty chunk as the end."""
        if self._given not in (b"", _HEADER, _TRAILER):
            fault_point("write-in-copy")
        try:
            self._given = next(self._chunks, b"")
        except BaseException as error:
            self.error = error
            raise
        return self._given


def encode(rows: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    r"""Yield rows in Postgres' binary COPY format (PostgreSQL 18, COPY, "Binary Format").

    Parameters
    ----------
    rows : iterable of pyarrow.RecordBatch
        Columns of strings, JSON (``pyarrow.json_``, for jsonb), timestamps with a time zone, and doubles, in the order
        of COPY's column list; computed on demand.

    Yields
    ------
    bytes
        Never empty; the header first, then at most ``CHUNK_ROWS`` rows each, the trailer last.

    Raises
    ------
    TypeError
        If a column is of another type.

    Examples
    --------
    >>> b"".join(encode([pa.record_batch({"key": ["a"]})]))[19:]
    b'\x00\x01\x00\x00\x00\x01a\xff\xff'
    """
    yield _HEADER
    for batch in rows:
        count = pa.scalar(batch.num_columns.to_bytes(2, "big"), pa.large_binary())
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            fields = [part for column in batch.slice(start, CHUNK_ROWS).columns for part in _fields(column)]
            yield _joined(count, fields)
    yield _TRAILER


def _fields(column: pa.Array) -> tuple[pa.Array, ...]:
    """Return a column's fields: length and value of each, or the length of NULL."""
    if isinstance(column.type, pa.JsonType):
        return _texts(column.storage, _JSONB)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _texts(column)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        since_1970 = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        values = (since_1970.fill_null(0).to_numpy() - _EPOCH_US).astype(">i8")
    elif pa.types.is_float64(column.type):
        values = column.fill_null(0.0).to_numpy().astype(">f8")
    else:
        raise TypeError(
            f"a column of {column.type} cannot be written; expected string, JSON, timestamp with zone or double"
        )
    field = np.empty(len(column), dtype=[("length", ">i4"), ("value", values.dtype)])
    field["length"], field["value"] = 8, values
    encoded = _binary(field.view(np.uint8), 12)
    return (
        pc.if_else(column.is_valid(), encoded, pa.scalar(_NULL, pa.large_binary())) if column.null_count else encoded,
    )


def _texts(column: pa.Array, prefix: bytes = b"") -> tuple[pa.Array, ...]:
    lengths = pc.add(pc.binary_length(column), len(prefix)).fill_null(-1).to_numpy().astype(">i4")
    values = column.cast(pa.large_binary()).fill_null(b"")
    if not prefix:
        return _binary(lengths.view(np.uint8), 4), values
    before = pa.scalar(prefix, pa.large_binary())
    if column.null_count:  # NULL has neither content nor prefix
        before = pc.if_else(column.is_valid(), before, pa.scalar(b"", pa.large_binary()))
    return _binary(lengths.view(np.uint8), 4), before, values


def _binary(content: np.ndarray, width: int) -> pa.Array:
    """Wrap bytes as an array of values of equal length, without a copy."""
    offsets = np.arange(0, len(content) + 1, width, dtype=np.int64)
    return pa.Array.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )


def _joined(count: pa.Scalar, fields: list[pa.Array]) -> bytes:
    joined = pc.binary_join_element_wise(count, *fields, pa.scalar(b"", pa.large_binary()))
    return bytes(joined.buffers()[2])
