import numpy as np
import pytest

from tidemill.modeling.conformal import residual_quantiles


def test_conformal_intervals_cover_at_least_what_they_say():
    rng = np.random.default_rng(0)
    noise = rng.gamma(1.0, 1.0, (2000, 2, 60))  # skewed, as delays are
    covered = []
    for validation, fresh in noise:
        low, high = residual_quantiles(validation, 0.8)
        covered.append(np.mean((low <= fresh) & (fresh <= high)))
    assert 0.80 <= np.mean(covered) <= 0.83


def test_too_few_residuals_give_no_interval():
    assert residual_quantiles(np.arange(8), 0.8) is None
    assert residual_quantiles(np.arange(9), 0.8) == (0.0, 8.0)


def test_residuals_that_are_not_finite_give_no_interval():
    assert residual_quantiles([np.nan] * 20, 0.8) is None


@pytest.mark.parametrize("n_days", [7, 14])
def test_days_that_differ_are_covered_too(n_days):
    rng, covered, of_rows = np.random.default_rng(1), [], []
    day = np.repeat(np.arange(n_days), 60)
    for _ in range(150):
        residuals = rng.normal(size=n_days)[day] + rng.normal(size=len(day))
        fresh = rng.normal(size=200)[:, None] + rng.normal(size=(200, 5))  # 200 new days
        for found, (low, high) in (
            (covered, residual_quantiles(residuals, 0.8, day)),
            (of_rows, residual_quantiles(residuals, 0.8)),
        ):
            found.append(np.mean((low <= fresh) & (fresh <= high)))
    assert np.mean(of_rows) < 0.785  # what rows alone promise
    assert 0.785 < np.mean(covered) < 0.825


def test_days_that_do_not_differ_change_nothing():
    residuals = np.tile(np.linspace(-1, 1, 50), 8)
    assert residual_quantiles(residuals, 0.8, np.repeat(np.arange(8), 50)) == residual_quantiles(residuals, 0.8)


def test_too_few_days_are_taken_as_rows():
    residuals = np.random.default_rng(2).normal(size=80)
    assert residual_quantiles(residuals, 0.8, np.arange(80) % 4) == residual_quantiles(residuals, 0.8)
