import numpy as np
import pytest

from tidemill.metrics.calibration_error import calibration_error

N, SCORE = 400, 0.55
ERROR = np.sqrt(SCORE * (1 - SCORE) / N)


def of_outcomes(n_positive):
    return calibration_error(np.repeat([1.0, 0.0], [n_positive, N - n_positive]), np.full(N, SCORE))


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 5])
def test_the_error_of_a_debiased_gap_is_that_of_many_draws(gap):
    share = SCORE + gap * ERROR
    drawn = [of_outcomes(n).value for n in np.random.default_rng(gap).binomial(N, share, 1500)]
    error = np.sqrt((of_outcomes(round(N * share)).influence() ** 2).sum())
    assert np.std(drawn) == pytest.approx(error, rel=0.08)
