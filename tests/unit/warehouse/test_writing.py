"""The binary COPY format, field by field; what Postgres makes of it is in tests/integration/test_writing.py."""

import struct
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.warehouse.writing import CHUNK_ROWS, BinaryRows, encode

HEADER, TRAILER = 19, 2  # bytes


def table(keys: list[str | None], times: list[datetime | None], scores: list[float | None]) -> pa.Table:
    return pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "at": pa.array(times, pa.timestamp("us", "UTC")),
            "score": pa.array(scores, pa.float64()),
        }
    )


def slow(keys: list[str | None], times: list[datetime | None], scores: list[float | None]) -> bytes:
    """The same, as the manual says it, one field after the other."""
    start, out = datetime(2000, 1, 1, tzinfo=UTC), [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for key, at, score in zip(keys, times, scores, strict=True):
        since = None if at is None else at - start
        fields = [
            None if key is None else key.encode(),
            None
            if since is None
            else struct.pack(">q", (since.days * 86400 + since.seconds) * 10**6 + since.microseconds),
            None if score is None else struct.pack(">d", score),
        ]
        out.append(struct.pack(">h", len(fields)))
        out += [struct.pack(">i", -1) if field is None else struct.pack(">i", len(field)) + field for field in fields]
    return b"".join([*out, struct.pack(">h", -1)])


ROW = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.none() | st.integers(-2_000_000_000, 7_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    st.none() | st.floats(),
)


@given(st.lists(ROW, max_size=8))
def test_stream_equals_the_slow_one(rows: list[tuple[str | None, datetime | None, float | None]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    assert b"".join(encode(table(*columns).to_batches())) == slow(*columns)


def test_no_chunk_is_empty() -> None:
    """An empty one is the end of the stream to psycopg2, and COPY would succeed short."""
    assert all(encode(table([""], [None], [None]).to_batches()))
    assert all(encode(table([], [], []).to_batches()))


def test_table_without_rows_is_header_and_trailer() -> None:
    assert len(b"".join(encode(table([], [], []).to_batches()))) == HEADER + TRAILER


def test_chunks_are_bounded() -> None:
    n_rows = CHUNK_ROWS * 2 + 1
    rows = table(["k"] * n_rows, [datetime(2024, 1, 1, tzinfo=UTC)] * n_rows, [0.5] * n_rows)
    row_bytes = 2 + 5 + 12 + 12
    assert [len(chunk) // row_bytes for chunk in encode(rows.to_batches())] == [0, CHUNK_ROWS, CHUNK_ROWS, 1, 0]


def test_chunked_and_sliced_columns_give_the_same_bytes() -> None:
    whole = table(["a", "b", "c", "d"], [None] * 4, [0.1, 0.2, None, 0.4])
    parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert b"".join(encode(parts.to_batches())) == b"".join(encode(whole.to_batches()))
    assert b"".join(encode(whole.slice(1, 2).to_batches())) == slow(["b", "c"], [None] * 2, [0.2, None])


def test_reader_ends_with_empty_bytes() -> None:
    reader = BinaryRows(encode(table(["a"], [None], [0.5]).to_batches()))
    read = [reader.read(8192) for _ in range(5)]
    assert [bool(chunk) for chunk in read] == [True, True, True, False, False]


@pytest.mark.parametrize("column", [pa.array([1]), pa.array([b"x"]), pa.array([0], pa.timestamp("us"))])
def test_other_types_are_refused(column: pa.Array) -> None:
    with pytest.raises(TypeError, match="cannot be written"):
        list(encode(pa.table({"column": column}).to_batches()))
