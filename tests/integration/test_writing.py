"""Binary COPY against Postgres: what arrives is what Postgres makes of the same values itself."""

import json
import math
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, cast

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.warehouse.writing import CHUNK_ROWS, BinaryRows, encode

ROWS = [
    ("plain", datetime(2024, 3, 10, 7, 30, tzinfo=UTC), 0.1),
    ("", datetime(2000, 1, 1, tzinfo=UTC), 0.0),
    ("🛫 שלום 'quoted', \\back\tslash\n", datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 1.0),
    (None, datetime(1900, 1, 1, tzinfo=UTC), -0.0),
    ("no time", None, 5e-324),
    ("no score", datetime(2200, 1, 1, tzinfo=UTC), None),
    (None, None, None),
    ("far", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 1.7976931348623157e308),
    ("third", datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC), 1 / 3),
]


@pytest.fixture
def cursor(warehouse: Any) -> Iterator[Any]:
    connection = psycopg2.connect(warehouse.url("tidemill_owner"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SET timezone TO 'UTC'; CREATE TEMP TABLE copied (n serial, key text, at timestamptz, score float8)"
        )
        yield cursor
    connection.close()


def send(cursor: Any, rows: pa.Table) -> int:
    cursor.execute("TRUNCATE copied")
    cursor.copy_expert(
        "COPY copied (key, at, score) FROM STDIN (FORMAT binary)",
        cast(IO[bytes], BinaryRows(encode(rows.to_batches()))),
    )
    return int(cursor.rowcount)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    types = (pa.string(), pa.timestamp("us", "UTC"), pa.float64())
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], ["key", "at", "score"]
    )


def test_values_are_those_that_postgres_makes_of_them(cursor: Any) -> None:
    assert send(cursor, table(ROWS)) == len(ROWS)
    cursor.execute("CREATE TEMP TABLE inserted (LIKE copied INCLUDING ALL)")
    for key, at, score in ROWS:  # as text, for psycopg2's own literal loses the sign of -0.0
        text = None if score is None else repr(score)
        cursor.execute("INSERT INTO inserted (key, at, score) VALUES (%s, %s, %s::text::float8)", (key, at, text))
    bits = "SELECT key, encode(timestamptz_send(at), 'hex'), encode(float8send(score), 'hex') FROM {} ORDER BY n"
    cursor.execute(bits.format("copied"))
    copied = cursor.fetchall()
    cursor.execute(bits.format("inserted"))
    assert copied == cursor.fetchall()


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_arrive_unchanged(cursor: Any, score: float) -> None:
    send(cursor, table([("a", None, score)]))
    cursor.execute("SELECT score::text FROM copied")
    assert cursor.fetchone() == ({"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(score)],)


@pytest.mark.parametrize("n_rows", [0, 1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS])
def test_all_rows_arrive(cursor: Any, n_rows: int) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    assert send(cursor, table([(f"k{number}", at, number / 7) for number in range(n_rows)])) == n_rows
    cursor.execute("SELECT count(*), count(DISTINCT key) FROM copied")
    assert cursor.fetchone() == (n_rows, n_rows)


def test_byte_that_postgres_cannot_store_is_refused(cursor: Any) -> None:
    with pytest.raises(psycopg2.DataError, match="0x00"):
        send(cursor, table([("a\0b", None, 0.5)]))


# --- nullable columns and JSON, of any content

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ANSWERS = st.tuples(
    st.none() | TEXTS, st.none() | JSON.map(json.dumps), st.none() | st.floats(), st.none() | st.floats()
)


@pytest.fixture(scope="module")
def answers(warehouse: Any) -> Iterator[Any]:
    connection = psycopg2.connect(warehouse.url("tidemill_owner"))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE answers (n serial, predicted text, probabilities jsonb, low float8, high float8)"
        )
        yield cursor
    connection.close()


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ANSWERS, max_size=8))
def test_any_answer_arrives_as_postgres_reads_it(answers: Any, rows: list[tuple[Any, ...]]) -> None:
    predicted, documents, low, high = zip(*rows, strict=True) if rows else ([], [], [], [])
    table = pa.table(
        {
            "predicted": pa.array(predicted, pa.string()),
            "probabilities": pa.ExtensionArray.from_storage(pa.json_(), pa.array(documents, pa.string())),
            "low": pa.array(low, pa.float64()),
            "high": pa.array(high, pa.float64()),
        }
    )
    answers.execute("TRUNCATE answers")
    answers.copy_expert(
        "COPY answers (predicted, probabilities, low, high) FROM STDIN (FORMAT binary)",
        cast(IO[bytes], BinaryRows(encode(table.to_batches()))),
    )
    answers.execute(
        "SELECT predicted, probabilities::text, encode(float8send(low), 'hex'), encode(float8send(high), 'hex')"
        " FROM answers ORDER BY n"
    )
    arrived = answers.fetchall()
    expected = []
    for text, document, *numbers in rows:
        answers.execute("SELECT %s::text, %s::jsonb::text", (text, document))
        expected.append((*answers.fetchone(), *(None if x is None else struct.pack(">d", x).hex() for x in numbers)))
    assert arrived == expected
