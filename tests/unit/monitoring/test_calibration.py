import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from tidemill.monitoring.calibration import CalibrationCurve, fit_curve, log_odds


def test_many_rows_give_the_curve_of_a_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    score = expit(rng.normal(-1, 1, 60_000))
    label = rng.random(score.size) < expit(0.3 + 0.7 * log_odds(score))
    curve = fit_curve(label, score)
    oracle = LogisticRegression(C=np.inf).fit(log_odds(score)[:, None], label)
    at = np.linspace(0.05, 0.9, 30)
    assert curve is not None
    assert curve.probability(at) == pytest.approx(oracle.predict_proba(log_odds(at)[:, None])[:, 1], abs=0.012)


def test_the_error_of_the_curve_is_that_of_repeated_fits() -> None:
    rng = np.random.default_rng(1)
    fitted = []
    for _ in range(200):
        score = expit(rng.normal(-1, 1, 1_000))
        curve = fit_curve(rng.random(1_000) < score, score)
        assert curve is not None
        fitted.append(log_odds(curve.probability([0.2]))[0])
    assert np.sqrt((curve.deviations([0.2]) ** 2).sum()) == pytest.approx(np.std(fitted), rel=0.25)


def test_separable_classes_have_a_finite_curve() -> None:
    curve = fit_curve([False] * 50 + [True] * 50, [0.1] * 50 + [0.9] * 50)
    assert curve is not None
    assert np.isfinite(curve.probability([0.0, 0.5, 1.0])).all()
    assert curve.probability([0.1])[0] < 0.05


@pytest.mark.parametrize("score", [np.zeros(100), np.ones(100), np.full(100, 0.4), np.r_[np.zeros(50), np.ones(50)]])
def test_scores_of_one_or_two_values_can_be_calibrated(score: np.ndarray) -> None:
    curve = fit_curve(np.arange(100) % 4 == 0, score)
    assert curve is not None
    assert curve.probability(score).mean() == pytest.approx(0.25, abs=0.02)


def test_one_positive_row_has_no_curve() -> None:
    assert fit_curve([True] + [False] * 99, np.linspace(0, 1, 100)) is None


def test_a_curve_survives_the_way_through_json() -> None:
    curve = fit_curve([0, 0, 1, 0, 1, 1] * 50, [0.1, 0.2, 0.3, 0.6, 0.7, 0.9] * 50)
    assert curve is not None
    assert CalibrationCurve.from_json(curve.to_dict()) == curve
