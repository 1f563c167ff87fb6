from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from tidemill.arrow import is_category, is_number, is_text, to_frame, to_texts
from tidemill.modeling.alignment import align
from tidemill.modeling.schema import FeatureSchema

BIG = 2**60 + 1
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.string(), pa.list_(pa.int64()), pa.date32()])
def test_times_texts_and_lists_are_no_numbers(kind):
    assert not is_number(kind)


@pytest.mark.parametrize("kind", [*INTEGERS, pa.bool_(), pa.float16(), pa.decimal128(9, 2), pa.null()])
def test_integers_booleans_floats_decimals_and_nothing_are_numbers(kind):
    assert is_number(kind)


@pytest.mark.parametrize("kind", [pa.float64(), pa.timestamp("us"), pa.list_(pa.string()), pa.decimal128(9, 2)])
def test_floats_decimals_times_and_lists_are_no_categories(kind):
    assert not is_category(kind)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_layout_of_text_is_text_and_a_category(kind):
    assert is_text(kind)
    assert is_category(kind)


@pytest.mark.parametrize("kind", INTEGERS)
def test_an_integer_beside_a_null_keeps_its_digits_in_a_frame(kind):
    most = 2 ** (kind.bit_width - (0 if str(kind).startswith("u") else 1)) - 1
    frame = to_frame(pa.table({"x": pa.array([most, 1, None], kind)}))
    assert frame["x"].tolist()[:2] == [most, 1]
    assert frame["x"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([BIG, None], pa.int64()), [str(BIG), None]),
        (pa.array([2**64 - 1, None], pa.uint64()), [str(2**64 - 1), None]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array([BIG, None, BIG]).dictionary_encode(), [str(BIG), None, str(BIG)]),
        (pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None])), ["a", None, None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_the_text_of_a_category_is_the_one_that_aligning_a_frame_gives(column, expected):
    assert to_texts(column).to_pylist() == expected
    aligned = align(to_frame(pa.table({"x": column})), FeatureSchema(categorical=("x",)))["x"]
    pd.testing.assert_series_equal(aligned, pd.Series(expected, dtype="str", name="x"))


def test_a_decimal_category_is_spelt_by_all_its_digits():
    column = pa.array([Decimal(BIG), None], pa.decimal128(20, 0))
    aligned = align(to_frame(pa.table({"x": column})), FeatureSchema(categorical=("x",)))["x"]
    assert aligned[0] == str(BIG)
