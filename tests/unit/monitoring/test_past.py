import numpy as np
import pytest

from tidemill.monitoring.distances import population_stability_index
from tidemill.monitoring.past import psi_of_past_blocks, usual_null_share, usual_psi


def _rows(n_blocks, of_block):
    blocks = np.repeat(np.arange(n_blocks), 100)
    return np.concatenate([of_block(i) for i in range(n_blocks)]), blocks


def test_each_block_is_held_against_all_blocks_before_it():
    groups, blocks = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2])
    first, second = psi_of_past_blocks(groups, blocks, n_groups=2)
    assert (first, second) == (
        population_stability_index([2, 0], [0, 2]),
        population_stability_index([2, 2], [1, 1]),
    )


def test_blocks_that_resemble_each_other_were_never_far_apart():
    groups, blocks = _rows(40, lambda _: np.arange(100) % 10)
    assert usual_psi(groups, blocks, n_groups=10) == pytest.approx(0, abs=1e-12)


def test_a_feature_that_is_constant_within_a_day_was_always_far_apart():
    groups, blocks = _rows(40, lambda i: np.full(100, i % 7))
    assert usual_psi(groups, blocks, n_groups=7) > 3


def test_a_single_block_says_nothing_of_the_past():
    groups, blocks = _rows(1, lambda i: np.arange(100) % 7)
    assert usual_psi(groups, blocks, n_groups=7) is None


@pytest.mark.parametrize("n_reference", [7, 10, 13])
def test_with_fewer_than_14_blocks_quiet_days_rarely_exceed_the_usual_index(n_reference):
    rng = np.random.default_rng(0)
    n_over = 0
    for _ in range(40):
        of_days = 0.6 * rng.normal(size=n_reference + 20)[:, None] + rng.normal(size=(n_reference + 20, 900))
        edges = np.quantile(of_days[:n_reference], np.linspace(0.1, 0.9, 9))
        groups = np.searchsorted(edges, of_days)
        usual = usual_psi(groups[:n_reference].ravel(), np.repeat(np.arange(n_reference), 900), n_groups=10)
        before = np.bincount(groups[:n_reference].ravel(), minlength=10)
        n_over += sum(
            population_stability_index(before, np.bincount(day, minlength=10)) > usual for day in groups[n_reference:]
        )
    assert n_over / 800 < 0.1


def test_the_order_of_rows_within_the_table_does_not_matter():
    groups, blocks = _rows(20, lambda i: np.arange(100) * i % 7)
    order = np.random.default_rng(0).permutation(groups.size)
    assert usual_psi(groups[order], blocks[order], n_groups=7) == usual_psi(groups, blocks, n_groups=7)


def test_days_without_a_value_are_usual_where_they_have_been():
    is_null, blocks = _rows(40, lambda i: np.full(100, i % 4 == 0))
    assert usual_null_share(is_null, blocks) == 1.0


def test_fewer_than_14_blocks_say_nothing_of_nulls():
    is_null, blocks = _rows(13, lambda i: np.full(100, i % 4 == 0))
    assert usual_null_share(is_null, blocks) is None
