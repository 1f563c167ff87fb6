import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import SchemaChanged
from tidemill.monitoring.profile import ColumnKind, ColumnProfile, build_profile, count_into, count_table, merge

NUMBERS = st.lists(st.none() | st.floats() | st.integers(-3, 3).map(float), max_size=300)
LEVELS = st.lists(st.none() | st.sampled_from("abcdefgh"), max_size=100)


def _numeric(values, **arguments):
    (profile,) = build_profile(pa.table({"x": pa.array(values, pa.float64())}), ["x"], [], **arguments)
    return profile


def _categorical(values):
    (profile,) = build_profile(pa.table({"x": pa.array(values, pa.string())}), [], ["x"])
    return profile


def _column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind or pa.float64())])


@given(NUMBERS)
def test_frequencies_of_a_number_add_up_to_its_rows(values):
    assert sum(_numeric(values).frequencies) == len(values)


@given(LEVELS)
def test_frequencies_of_a_category_add_up_to_its_rows(values):
    assert sum(_categorical(values).frequencies) == len(values)


@given(NUMBERS)
def test_counting_the_reference_again_gives_the_reference(values):
    profile = _numeric(values)
    assert count_into(profile, _column(values)) == profile


@given(NUMBERS, NUMBERS)
def test_bins_hold_what_their_edges_say(values, others):
    reference = _numeric(values)
    counted = count_into(reference, _column(others))
    valid = [x for x in others if x is not None and not math.isnan(x)]
    edges = [-math.inf, *reference.edges, math.inf]
    expected = [
        sum(low <= x and (x < high or (high == math.inf and x >= low)) for x in valid) for low, high in pairwise(edges)
    ]
    assert list(counted.counts) == expected


@given(NUMBERS)
def test_no_finite_value_of_the_reference_lies_outside_its_range(values):
    profile = _numeric(values)
    outside = profile.counts[0] + profile.counts[-1] if profile.edges else sum(profile.counts)
    assert outside == profile.n_infinite


@given(NUMBERS, NUMBERS, NUMBERS)
def test_merged_chunks_of_a_number_equal_the_whole(values, first, second):
    reference = _numeric(values)
    merged = merge(count_into(reference, _column(first)), count_into(reference, _column(second)))
    whole = count_into(reference, _column(first + second))
    assert (merged.frequencies, merged.minimum, merged.maximum) == (whole.frequencies, whole.minimum, whole.maximum)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_merged_moments_equal_those_of_the_whole(first, second):
    reference = _numeric(first)
    merged = merge(reference, count_into(reference, _column(second)))
    both = np.array(first + second)
    assert (merged.mean, merged.std) == (
        pytest.approx(both.mean(), abs=1e-6),
        pytest.approx(both.std(), rel=1e-6, abs=1e-3),
    )


@given(LEVELS, LEVELS, LEVELS)
def test_merged_chunks_of_a_category_equal_the_whole(values, first, second):
    reference = _categorical(values)
    merged = merge(*(count_into(reference, _column(part, pa.string())) for part in (first, second)))
    assert merged == count_into(reference, _column(first + second, pa.string()))


@given(NUMBERS, LEVELS)
def test_profile_survives_the_trip_through_json_types(numbers, levels):
    profiles = (_numeric(numbers), _categorical(levels))
    again = tuple(ColumnProfile.from_dict(profile.to_dict()) for profile in profiles)
    assert [p.to_dict() for p in again] == [p.to_dict() for p in profiles]


def test_few_values_have_a_bin_each():
    profile = _numeric([7.0, 6.0, 6.0, 9.0])
    assert (profile.edges[:-1], profile.counts) == ((6.0, 7.0, 9.0), (0, 2, 1, 1, 0))


def test_many_values_have_200_bins_of_about_the_same_size():
    profile = _numeric(np.random.default_rng(0).normal(size=20_000))
    assert len(profile.counts) == 202
    assert set(profile.counts[1:-1]) == {100}


def test_ties_take_one_bin_and_not_several():
    rng = np.random.default_rng(0)
    profile = _numeric(np.where(np.arange(10_000) < 9_000, 0.0, rng.exponential(size=10_000)))
    assert max(profile.counts) >= 9_000
    assert len(set(profile.edges)) == len(profile.edges)


def test_nan_counts_as_null():
    assert _numeric([1.0, math.nan, None]).n_null == 2


def test_infinite_numbers_lie_in_the_outer_bins_and_are_counted():
    profile = _numeric([1.0, math.inf, -math.inf])
    assert (profile.counts, profile.n_infinite, profile.maximum) == ((1, 1, 1), 2, 1.0)


def test_booleans_are_profiled_as_0_and_1():
    (profile,) = build_profile(pa.table({"x": [True, False, True]}), ["x"], [])
    assert (profile.edges[:2], profile.counts) == ((0.0, 1.0), (0, 1, 2, 0))


def test_a_column_of_only_nulls_has_a_profile():
    (profile,) = build_profile(pa.table({"x": pa.nulls(3)}), ["x"], [])
    assert (profile.n, profile.n_null, profile.mean) == (3, 3, None)


def test_levels_beyond_the_hundredth_are_counted_together():
    levels = [f"v{i:03}" for i in range(150)]
    profile = _categorical([*levels, *levels[:100]])
    assert (len(profile.categories), profile.counts[-1], len(profile.rare)) == (100, 50, 50)


def test_a_rare_level_of_the_reference_is_not_unseen():
    reference = _categorical([f"v{i:03}" for i in range(150)])
    counted = count_into(reference, _column(["v149", "new"], pa.string()))
    assert (counted.counts[-1], counted.n_unseen) == (1, 1)


def test_beyond_ten_thousand_levels_unseen_ones_count_as_others():
    reference = _categorical([str(i) for i in range(10_001)])
    counted = count_into(reference, _column(["new"], pa.string()))
    assert (reference.all_levels_known, counted.counts[-1], counted.n_unseen) == (False, 1, 0)


def test_a_dictionary_column_is_counted_like_its_texts():
    reference = _categorical(["a", "b", None])
    column = pa.chunked_array([pa.array(["b", "c", None]).dictionary_encode()])
    assert count_into(reference, column) == count_into(reference, _column(["b", "c", None], pa.string()))


def test_blocks_teach_the_profile_what_was_usual():
    weekday = np.repeat(np.arange(28) % 7, 50).astype(float)
    profile = _numeric(weekday, blocks=np.repeat(np.arange(28), 50))
    assert (profile.n_blocks, profile.psi_quantile > 3, profile.null_share_quantile) == (28, True, 0.0)


def test_blocks_are_learned_of_for_categories_too():
    carrier = np.repeat(np.array(list("abcdefg"))[np.arange(28) % 7], 50)
    table = pa.table({"x": pa.array(carrier.tolist())})
    (profile,) = build_profile(table, [], ["x"], blocks=np.repeat(np.arange(28), 50))
    assert profile.psi_quantile > 3


def test_without_blocks_nothing_is_reported_about_the_past():
    assert _numeric([1.0]).psi_quantile is None


def test_counted_rows_know_nothing_of_the_past():
    reference = _numeric(np.arange(28.0), blocks=np.arange(28))
    assert count_into(reference, _column([1.0])).psi_quantile is None


def test_blocks_of_another_length_are_refused():
    with pytest.raises(ValueError, match="3 entries for 2 rows"):
        _numeric([1.0, 2.0], blocks=np.arange(3))


def test_profile_of_no_rows_with_blocks_is_empty():
    assert _numeric([], blocks=np.empty(0, np.int64)).n_blocks == 0


def test_all_missing_columns_are_named_at_once():
    with pytest.raises(SchemaChanged, match=r"\['y', 'z'\]"):
        build_profile(pa.table({"x": [1]}), ["x", "y"], ["z"])


def test_a_text_is_refused_as_a_number():
    with pytest.raises(SchemaChanged, match=r"\['x'\].*numbers"):
        build_profile(pa.table({"x": ["a"]}), ["x"], [])


def test_a_column_that_has_become_text_is_refused_when_counted():
    with pytest.raises(SchemaChanged, match="numbers"):
        count_into(_numeric([1.0]), _column(["a"], pa.string()))


def test_a_column_that_is_missing_when_counted_is_named():
    with pytest.raises(SchemaChanged, match=r"\['x'\]"):
        count_table([_numeric([1.0])], pa.table({"y": [1.0]}))


def test_profiles_in_other_bins_are_not_merged():
    with pytest.raises(ValueError, match="other bins"):
        merge(_numeric([1.0]), _numeric([2.0]))


def test_kind_is_recorded():
    assert (_numeric([1.0]).kind, _categorical(["a"]).kind) == (ColumnKind.NUMERIC, ColumnKind.CATEGORICAL)
