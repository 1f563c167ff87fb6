import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.counting.columns import level_counts, level_indices, to_floats


def _nan_as_none(values):
    return [None if value != value else value for value in values]


@given(st.lists(st.none() | st.floats(allow_nan=False)), st.data())
def test_floats_come_back_whatever_the_chunks_and_offsets(values, data):
    cut = data.draw(st.integers(0, len(values)))
    array = pa.array(values, pa.float64())
    column = pa.chunked_array([array.slice(0, cut), array.slice(cut)])
    assert _nan_as_none(to_floats(column).tolist()) == values


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint16(), pa.float32(), pa.bool_(), pa.decimal128(5, 2)])
def test_every_kind_of_number_becomes_floats(kind):
    column = pa.chunked_array([pa.array([1, 0, None], pa.int8()).cast(kind)])
    assert _nan_as_none(to_floats(column).tolist()) == [1.0, 0.0, None]


def test_a_column_of_only_nulls_becomes_nan():
    assert _nan_as_none(to_floats(pa.chunked_array([pa.nulls(2)])).tolist()) == [None, None]


def test_a_column_without_rows_becomes_an_empty_array():
    assert to_floats(pa.chunked_array([], pa.int64())).size == 0


@given(st.lists(st.none() | st.sampled_from(["EWR", "JFK", "LGA", ""])), st.booleans())
def test_level_counts_equal_counting_by_hand(values, encoded):
    array = pa.array(values, pa.string())
    column = pa.chunked_array([array.dictionary_encode() if encoded else array])
    counts, n_null = level_counts(column)
    assert (dict(counts), n_null) == (
        {level: values.count(level) for level in set(values) - {None}},
        values.count(None),
    )


def test_chunks_with_dictionaries_of_their_own_are_counted_by_level():
    column = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()])
    assert dict(level_counts(column)[0]) == {"a": 1, "b": 2, "c": 1}


@given(st.lists(st.none() | st.sampled_from(["a", "b", "z"])), st.booleans(), st.data())
def test_level_indices_equal_looking_up_by_hand(values, encoded, data):
    start = data.draw(st.integers(0, len(values)))
    array = pa.array(values, pa.string())
    column = pa.chunked_array([(array.dictionary_encode() if encoded else array).slice(start)])
    expected = {"a": 0, "b": 1, "z": 2, None: 3}
    assert level_indices(column, {"a": 0, "b": 1}, missing=2, null=3).tolist() == [expected[v] for v in values[start:]]


@pytest.mark.parametrize(
    ("values", "levels"),
    [([2**60 + 1, None, 2**60 + 1], {str(2**60 + 1): 2}), ([True, False, None], {"true": 1, "false": 1})],
)
def test_levels_have_the_text_that_the_model_knows_them_by(values, levels):
    column = pa.chunked_array([values])
    counts, n_null = level_counts(column)
    assert (dict(counts), n_null) == (levels, 1)
    assert level_indices(column, {level: 7 for level in levels}, missing=0, null=1).tolist() == [
        1 if value is None else 7 for value in values
    ]
