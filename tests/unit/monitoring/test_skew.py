import math

import pyarrow as pa
import pytest

from tidemill.monitoring.skew import compare_rows

SERVED = pa.table(
    {
        "id": ["a", "b", "c", "d"],
        "temp": [1.0, None, math.nan, 4.0],
        "carrier": ["UA", "", None, "DL"],
        "n": [1, 2, 3, 4],
    }
)
COLUMNS = ("temp", "carrier", "n")


def shares(recomputed: pa.Table) -> dict[str | None, float]:
    return {item.feature: item.value for item in compare_rows(SERVED, recomputed, "id", COLUMNS)}


def replaced(name: str, values: list[object]) -> pa.Table:
    return SERVED.set_column(SERVED.schema.get_field_index(name), name, pa.array(values, SERVED[name].type))


def test_the_same_rows_do_not_differ_in_any_order() -> None:
    assert shares(SERVED.take([3, 1, 0, 2])) == {"temp": 0.0, "carrier": 0.0, "n": 0.0, None: 0.0}


def test_a_value_that_came_later_is_named_by_its_column() -> None:
    assert shares(replaced("n", [1, 2, 9, 4])) == {"temp": 0.0, "carrier": 0.0, "n": 0.25, None: 0.0}


@pytest.mark.parametrize("values", [["UA", None, None, "DL"], ["UA", "", "", "DL"]])
def test_null_is_not_the_empty_text(values: list[str | None]) -> None:
    assert shares(replaced("carrier", values))["carrier"] == 0.25


def test_a_number_where_there_was_none_differs() -> None:
    assert shares(replaced("temp", [1.0, 2.0, 3.0, 4.0]))["temp"] == 0.5


def test_rows_that_only_one_has_are_counted() -> None:
    assert shares(SERVED.slice(1))[None] == 0.25


def test_a_column_of_another_type_differs_whole() -> None:
    other = SERVED.set_column(3, "n", pa.array([1.0, 2.0, 3.0, 4.0]))
    assert shares(other)["n"] == 1.0


def test_no_rows_tell_nothing() -> None:
    empty = SERVED.slice(0, 0)
    assert all(math.isnan(item.value) for item in compare_rows(empty, empty, "id", COLUMNS))
