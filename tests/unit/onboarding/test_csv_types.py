"""A column of text gets a type only if every value keeps its meaning and its digits."""

from datetime import date, datetime

import pandas as pd
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
        (("05/31/2024", "1/2/2024"), "date"),
        (("05/06/2024",), "text"),  # in May or in June
        (("13/31/2024",), "text"),
        (("31.12.23", "01.01.24"), "date"),
        (("02-Feb-2018",), "date"),
        (("31.12.2023 23:59",), "timestamp"),
        (("1,5", "-1.234,25"), "double precision"),
        (("1,234.5", "-12"), "double precision"),
        (("1,234,567",), "bigint"),
        (("1,234",), "text"),  # a thousand, or a little more than 1
        (("0,123", "007"), "text"),
        (("NA", None, ""), "text"),
        (("NA", "4", None), "bigint"),
        ((".", "1"), "text"),
    ],
)
def test_type_of_a_column(texts: tuple[str | None, ...], expected: str) -> None:
    assert type_of(*texts) == expected


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %H:%M:%S", "%d-%b-%y"])
@given(st.datetimes(pd.Timestamp(1971, 1, 1), pd.Timestamp(2060, 1, 1)))
def test_a_rewritten_time_is_the_one_that_the_file_means(form: str, at: datetime) -> None:
    times = [at, pd.Timestamp(2001, 12, 31)]  # a day after the 12th decides the order
    typed = infer(pa.chunked_array([[f"{one:{form}}" for one in times]]))
    assert [f"{datetime.fromisoformat(text):{form}}" for text in typed.values.to_pylist()] == [
        f"{t:{form}}" for t in times
    ]


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
