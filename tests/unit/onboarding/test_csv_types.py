"""A column of text gets a type only if every value keeps its meaning and its digits."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.onboarding.csv_types import infer
from tidemill.onboarding.names import TableName, quoted


def type_of(*texts: str | None) -> str:
    return infer(pa.chunked_array([pa.array(texts, pa.string())])).sql_type


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("0", "-12"), "bigint"),
        (("007", "1"), "text"),
        (("1", "1.5", "1e-3", ".5"), "double precision"),
        (("0.1234567890123456789",), "numeric"),
        (("99999999999999999999",), "numeric"),
        (("True", "false"), "boolean"),
        (("t", "f"), "text"),
        (("2024-02-29",), "date"),
        (("2023-02-29",), "text"),
        (("1900-02-29",), "text"),
        (("2000-02-29",), "date"),
        (("2024-01-01", "2024-01-01 10:00"), "timestamp"),
        (("2024-01-01 10:00:00+01",), "timestamptz"),
        (("2024-01-01 10:00:00+01", "2024-01-01 10:00:00"), "text"),
        (("05/31/2024",), "text"),
        (("NA", None, ""), "text"),
        (("NA", "4", None), "bigint"),
        ((".", "1"), "text"),
    ],
)
def test_type_of_a_column(texts: tuple[str | None, ...], expected: str) -> None:
    assert type_of(*texts) == expected


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_float_column_keeps_every_value(values: list[float]) -> None:
    typed = infer(pa.chunked_array([[repr(value) for value in values]]))
    assert [float(text) for text in typed.values.to_pylist()] == values


@given(st.integers(1, 9999), st.integers(1, 12), st.integers(1, 31))
def test_days_are_those_of_the_calendar(year: int, month: int, day: int) -> None:
    try:
        expected = "date" if date(year, month, day) else ""
    except ValueError:
        expected = "text"
    assert type_of(f"{year:04}-{month:02}-{day:02}") == expected


def test_names_are_read_as_written() -> None:
    name = TableName.parse('"Sales"."Customer Order"')
    assert (name.schema, name.name, str(name)) == ("Sales", "Customer Order", '"Sales"."Customer Order"')
    assert str(TableName.parse('shop."a.b"')) == 'shop."a.b"'
    assert quoted('say "x"') == '"say ""x"""'
