import numpy as np
import pytest

from tidemill.modeling.bootstrap import estimate, index_blocks, percentile_interval, replicate


def test_each_replicate_draws_as_many_blocks_as_there_are():
    counts = replicate(lambda drawn: drawn.astype(float), 14, 100, 0, 200)
    assert counts.shape == (200, 14)
    assert (counts.sum(axis=1) == 14).all()


def test_blocks_are_drawn_evenly():
    counts = replicate(lambda drawn: drawn.astype(float), 10, 100, 0, 20_000)
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.03)


def test_the_same_seed_draws_the_same_however_many_fit_in_memory():
    small = replicate(lambda drawn: drawn.astype(float), 7, 10, 3, 50)
    large = replicate(lambda drawn: drawn.astype(float), 7, 3_000_000, 3, 50)
    assert np.array_equal(small, large)


def test_a_missing_block_is_refused():
    with pytest.raises(ValueError, match="every row needs a block"):
        index_blocks(["a", None], 2)


def test_an_interval_needs_nine_of_ten_replicates():
    values = np.append(np.zeros(85), np.full(15, np.nan))
    assert np.isnan(percentile_interval(values, 14)).all()


def test_a_few_undefined_replicates_are_left_out():
    values = np.append(np.linspace(0, 1, 95), np.full(5, np.nan))
    assert percentile_interval(values, 14) == pytest.approx((0.01248, 0.98752), abs=1e-5)


def mean_of(days):
    return lambda counts: (counts @ days / counts.sum(axis=1))[:, None]


def test_the_error_of_a_mean_of_independent_days_is_the_textbook_s():
    days = np.random.default_rng(8).permutation(np.linspace(0, 1, 200))
    found = estimate(mean_of(days), 200, 200)
    assert found.standard_error == pytest.approx(days.std(ddof=1) / np.sqrt(200), rel=0.05)


def test_the_interval_is_student_s():
    found = estimate(mean_of(np.array([1.0, -1.0] * 7)), 14, 14)
    assert (found.high - found.low) / found.standard_error == pytest.approx(2 * 2.1604, rel=1e-4)


def test_days_that_resemble_the_day_before_widen_the_interval():
    days = np.random.default_rng(3).normal(size=40)
    shuffled, sorted_days = estimate(mean_of(days), 40, 40), estimate(mean_of(np.sort(days)), 40, 40)
    assert sorted_days.standard_error > 2 * shuffled.standard_error


def test_many_blocks_are_drawn_instead_of_left_out():
    values = np.random.default_rng(3).normal(size=2000)
    found = estimate(mean_of(values), 2000, 2000)
    assert found.standard_error == pytest.approx(1 / np.sqrt(2000), rel=0.15)


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_too_few_blocks_have_a_value_and_no_interval(n_blocks):
    found = estimate(mean_of(np.ones(n_blocks)), n_blocks, n_blocks)
    assert found.value == 1.0
    assert np.isnan([found.low, found.high, found.standard_error]).all()


def test_two_equal_models_differ_by_nothing_and_surely():
    found = estimate(mean_of(np.zeros(14)), 14, 14)
    assert (found.low, found.high, found.standard_error) == (0.0, 0.0, 0.0)


def test_a_statistic_that_one_day_carries_alone_has_no_interval():
    found = estimate(lambda counts: np.where(counts[:, :1] > 0, 0.5, np.nan), 14, 14)
    assert np.isnan(found.low)
