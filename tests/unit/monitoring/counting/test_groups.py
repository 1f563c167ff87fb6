import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.counting.groups import category_groups, group_counts, quantile_groups

INNER = st.lists(st.integers(0, 1_000), max_size=200)


@given(INNER)
def test_a_number_never_has_more_than_ten_groups_within_its_range(inner):
    groups = quantile_groups([0, *inner, 0])
    assert len(set(groups[1 : len(inner) + 1])) <= 10


@given(INNER)
def test_groups_of_a_number_keep_the_order_of_its_bins(inner):
    assert (np.diff(quantile_groups([0, *inner, 0])) >= 0).all()


@given(INNER)
def test_groups_are_numbered_without_gaps(inner):
    groups = quantile_groups([0, *inner, 0])
    assert set(groups) == set(range(groups.max() + 1))


def test_a_fine_number_falls_into_tenths():
    groups = quantile_groups([0, *[5] * 200, 0])
    assert group_counts(groups, [0, *[5] * 200, 0, 0, 0])[1:-2].tolist() == [100] * 10


def test_values_beyond_the_range_have_groups_of_their_own():
    groups = quantile_groups([0, 7, 0])
    assert len({groups[0], groups[1], groups[2], groups[-1]}) == 4


def test_a_number_without_any_value_has_a_group_for_values_and_one_for_null():
    assert quantile_groups([0]).tolist() == [0, 1, 1]


def test_frequent_levels_have_groups_of_their_own_and_rare_ones_share_one():
    assert category_groups([500, 490, 5, 5, 0]).tolist() == [0, 1, 2, 2, 2, 3, 4]


def test_unseen_levels_are_not_grouped_with_rare_ones():
    *_, others, unseen, null = category_groups([500, 4])
    assert len({others, unseen, null}) == 3


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=101))
def test_grouping_loses_no_row(counts):
    frequencies = [*counts, 3, 4]
    assert group_counts(category_groups(counts), frequencies).sum() == sum(frequencies)
