import numpy as np
import pytest
from scipy.stats import norm

from tidemill.metrics.calibration_error import calibration_error


def expected(gaps, variances):
    """Return the mean of the debiased gaps if these are the truth: one half's gap times the other half's sign."""
    return np.abs(gaps) * (2 * norm.cdf(np.abs(gaps) / np.sqrt(2 * variances)) - 1)


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.5, 4.0])
def test_the_influence_has_the_variance_that_the_debiased_figure_has(truth):
    rng, n = np.random.default_rng(0), 400
    p = np.full(n, 0.55) + truth * np.sqrt(0.25 / n)
    found = [calibration_error((rng.random(n) < 0.55).astype(float), p) for _ in range(800)]
    spread = np.var([one.value for one in found])
    assert np.mean([(one.influence() ** 2).sum() for one in found]) == pytest.approx(spread, rel=0.35)


def test_the_influence_is_the_derivative_of_what_the_figure_is_on_average():
    rng, n = np.random.default_rng(1), 60
    p = rng.random(n) * 0.4 + 0.3
    y = (rng.random(n) < 0.5).astype(float)
    bins = (p * 10).astype(int)

    def mean_figure(weights):
        gaps, variances = (np.bincount(bins, weights=weights * term, minlength=10) for term in (y - p, p * (1 - p)))
        return expected(gaps, np.maximum(variances, 1e-300)).sum()

    step = 1e-6 * np.eye(n)
    slope = np.array([(mean_figure(1 + one) - mean_figure(1 - one)) / 2e-6 for one in step]) / n
    assert calibration_error(y, p).influence() == pytest.approx(slope - slope.mean(), rel=1e-5, abs=1e-9)
