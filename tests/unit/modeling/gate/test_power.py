import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.modeling.gate.power import LEVEL, POWER, harmed, shortfall


def test_so_many_days_decide_in_four_of_five_trials():
    gap, sd_of_a_day, present = 0.01, 0.02, 10
    missing = shortfall(gap, sd_of_a_day / np.sqrt(present), present, 1000)
    n = present + missing.n_blocks
    days = np.random.default_rng(0).normal(gap, sd_of_a_day, size=(20_000, n))
    from scipy import stats

    low = days.mean(axis=1) - stats.t.ppf(1 - LEVEL, n - 1) * days.std(axis=1, ddof=1) / np.sqrt(n)
    assert (low > 0).mean() == pytest.approx(POWER, abs=0.03)


@given(st.floats(1e-4, 1), st.floats(1e-4, 1), st.integers(5, 100))
def test_a_wider_gap_never_needs_more(gap, error, n_blocks):
    narrow, wide = shortfall(gap, error, n_blocks, 100), shortfall(2 * gap, error, n_blocks, 100)
    assert wide.n_blocks <= narrow.n_blocks


def test_a_gap_that_is_nearly_none_ends_the_search():
    assert shortfall(1e-12, 1.0, 14, 1400).n_blocks > 900_000


def test_of_many_sound_slices_one_is_named_as_seldom_as_of_one():
    rng = np.random.default_rng(1)
    n_slices, n_days, trials = 20, 14, 2000
    days = rng.normal(0.0, 0.05, size=(trials, n_slices, n_days))
    named = sum(
        any(harmed(one.mean(axis=1), one.std(axis=1, ddof=1) / np.sqrt(n_days), [n_days] * n_slices, 0.0))
        for one in days
    )
    assert named / trials == pytest.approx(LEVEL, abs=0.01)


def test_a_slice_that_is_surely_worse_is_found_among_many():
    gains = [0.0] * 19 + [-0.2]
    assert harmed(gains, [0.02] * 20, [14] * 20, 0.005) == (*[False] * 19, True)


def test_slices_without_spread_are_judged_by_their_value():
    assert harmed([0.0, -0.1], [0.0, 0.0], [14, 14], 0.005) == (False, True)


def test_no_slice_is_no_harm():
    assert harmed([], [], [], 0.005) == ()
