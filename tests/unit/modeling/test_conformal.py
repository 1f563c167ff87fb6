import numpy as np

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
