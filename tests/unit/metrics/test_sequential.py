import math

import numpy as np
import pytest
from scipy import integrate, stats

from tidemill.metrics.sequential import LEAST, LEVEL, PRIOR, RESEMBLANCE, confidence_sequence

VALUES = np.random.default_rng(3).normal(0.004, 0.01, size=40)


def e_value(values, mean):
    """Average the likelihood ratio of Student's statistic over the prior of the effect, which is how it is defined."""
    n = len(values)
    statistic = math.sqrt(n) * (np.mean(values) - mean) / np.std(values, ddof=1)

    def weighted(effect):
        return stats.nct.pdf(statistic, n - 1, math.sqrt(n) * effect) * stats.norm.pdf(effect, scale=PRIOR**-0.5)

    return integrate.quad(weighted, -4, 4, limit=200)[0] / stats.t.pdf(statistic, n - 1)


@pytest.mark.parametrize("n", [7, 14, 40])
def test_ends_without_the_allowance_are_where_the_e_value_reaches_twenty(n):
    values = VALUES[:n]
    low, high = confidence_sequence(values)
    allowance = math.sqrt((1 + RESEMBLANCE) / (1 - RESEMBLANCE))
    half = (high - low) / 2 / allowance
    for end in (values.mean() - half, values.mean() + half):
        assert e_value(values, end) == pytest.approx(1 / LEVEL, rel=1e-4)


def test_interval_is_around_the_mean_and_turns_with_the_sign():
    low, high = confidence_sequence(VALUES)
    assert (low + high) / 2 == pytest.approx(VALUES.mean())
    assert confidence_sequence(-VALUES) == pytest.approx((-high, -low))


def test_interval_is_in_the_unit_of_the_values():
    assert np.multiply(confidence_sequence(VALUES), 1000) == pytest.approx(confidence_sequence(1000 * VALUES))


def test_few_blocks_conclude_nothing():
    assert confidence_sequence(VALUES[: LEAST - 1]) == (-math.inf, math.inf)


def test_blocks_that_are_all_equal_leave_no_doubt():
    assert confidence_sequence([0.01] * LEAST) == pytest.approx((0.01, 0.01))


def test_it_is_wider_than_an_interval_of_one_look():
    low, high = confidence_sequence(VALUES)
    alone = stats.t.interval(0.95, len(VALUES) - 1, loc=VALUES.mean(), scale=stats.sem(VALUES))
    assert low < alone[0] < alone[1] < high
