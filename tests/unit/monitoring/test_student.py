import pytest
from scipy.stats import t

from tidemill.monitoring.student import student_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 6, 13, 89, 10_000])
def test_quantile_equals_scipy_within_two_per_mille(freedom):
    assert student_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=2e-3)
