import pytest
from scipy.stats import t

from tidemill.metrics.student import half_width, student_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 6, 13, 89, 10_000])
def test_quantile_equals_scipys_within_two_per_mille(freedom):
    assert student_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=2e-3)


def test_the_interval_of_a_mean_is_scipys():
    low, high = t.interval(0.95, 4, loc=3, scale=1.5811388 / 5**0.5)
    assert half_width([1, 2, 3, 4, 5]) == pytest.approx((high - low) / 2, rel=2e-3)


@pytest.mark.parametrize("freedom", [2.2, 2.5, 3.5, 4.9, 6.3, 11.8])
def test_quantile_of_fractions_equals_scipys_within_two_per_cent(freedom):
    assert student_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=2e-2)
