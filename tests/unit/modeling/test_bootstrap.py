import numpy as np
import pytest

from tidemill.modeling.bootstrap import index_blocks, percentile_interval, replicate


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
    assert percentile_interval(values, 14) == pytest.approx((0.025, 0.975))
