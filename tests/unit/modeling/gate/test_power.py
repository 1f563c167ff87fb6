import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tidemill.metrics.blocks import estimate, index_blocks
from tidemill.metrics.statistic import mean
from tidemill.metrics.student import degrees_of_freedom
from tidemill.modeling.gate.power import LEVEL, POWER, harmed, shortfall, widened


def test_so_many_days_decide_in_four_of_five_trials():
    gap, sd_of_a_day, present = 0.01, 0.02, 10
    missing = shortfall(gap, sd_of_a_day / np.sqrt(present), present, 1000)
    n = present + missing.n_blocks
    days, rng = index_blocks(np.arange(n), n), np.random.default_rng(0)
    n_decided = sum(estimate(mean(rng.normal(gap, sd_of_a_day, size=n)), days).low > 0 for _ in range(3000))
    assert n_decided / 3000 == pytest.approx(POWER, abs=0.04)


@given(st.floats(1e-4, 1), st.floats(1e-4, 1), st.integers(5, 100))
def test_a_wider_gap_never_needs_more(gap, error, n_blocks):
    narrow, wide = shortfall(gap, error, n_blocks, 100), shortfall(2 * gap, error, n_blocks, 100)
    assert wide.n_blocks <= narrow.n_blocks


def test_a_gap_that_is_nearly_none_ends_the_search():
    assert shortfall(1e-12, 1.0, 14, 1400).n_blocks > 900_000


def test_of_many_sound_slices_one_is_named_as_seldom_as_of_one():
    rng = np.random.default_rng(1)
    n_slices, n_days, trials = 20, 14, 1000
    blocks, named = index_blocks(np.arange(n_days), n_days), 0
    number = np.arange(n_days)
    likeness = np.linalg.cholesky(0.2 ** abs(np.subtract.outer(number, number)))  # for which the errors are exact
    for _ in range(trials):
        found = [estimate(mean(likeness @ rng.normal(0.0, 0.05, n_days)), blocks) for _ in range(n_slices)]
        errors = [one.standard_error for one in found]
        named += any(harmed([one.value for one in found], errors, [n_days] * n_slices, 0.0))
    assert named / trials == pytest.approx(LEVEL, abs=0.01)


def test_a_slice_that_is_surely_worse_is_found_among_many():
    gains = [0.0] * 19 + [-0.2]
    assert harmed(gains, [0.02] * 20, [14] * 20, 0.005) == (*[False] * 19, True)


def test_slices_without_spread_are_judged_by_their_value():
    assert harmed([0.0, -0.1], [0.0, 0.0], [14, 14], 0.005) == (False, True)


def test_no_slice_is_no_harm():
    assert harmed([], [], [], 0.005) == ()


@pytest.mark.parametrize("look", [1, 2, 26])
def test_half_width_of_a_look_is_that_of_its_share_of_the_error_rate(look):
    freedom = degrees_of_freedom(14)
    half_width = stats.t.ppf(0.975, freedom) * 0.004
    assert widened(half_width, look, 14) == pytest.approx(stats.t.isf(0.025 * 6 / (np.pi * look) ** 2, freedom) * 0.004)
