import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.modeling.calibration import METHODS, Calibration, newer_half


def overconfident(n_samples, random_state):
    """Scores that are too extreme for the labels that come of them."""
    rng = np.random.default_rng(random_state)
    probability = rng.beta(2, 5, n_samples)
    y = (rng.random(n_samples) < probability).astype(int)
    logit = np.log(probability / (1 - probability))
    return y, 1 / (1 + np.exp(-2.5 * logit))


def calibration_error(y, score):
    bins = np.minimum((score * 10).astype(int), 9)
    return sum(abs((y - score)[bins == one].sum()) for one in range(10)) / len(y)


@pytest.mark.parametrize("method", METHODS)
def test_it_corrects_extreme_scores_on_rows_that_it_has_not_seen(method):
    curve = Calibration.fit(method, *overconfident(4000, 1))
    y, score = overconfident(4000, 2)
    assert calibration_error(y, curve.apply(score)) < calibration_error(y, score) / 3


@pytest.mark.parametrize("method", METHODS)
def test_a_curve_never_turns_the_order_of_two_rows_round(method):
    curve = Calibration.fit(method, *overconfident(500, 1))
    bent = curve.apply(np.linspace(0, 1, 1001))
    assert (np.diff(bent) >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_curve_survives_the_way_to_json_and_back_bit_by_bit(method):
    curve = Calibration.fit(method, *overconfident(500, 1))
    score = np.random.default_rng(0).random(1000)
    again = Calibration.from_dict(curve.to_dict())
    assert np.array_equal(again.apply(score), curve.apply(score))


@pytest.mark.parametrize("method", METHODS)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_what_comes_out_is_a_probability(method, scores):
    bent = CURVES[method].apply(np.array(scores))
    assert ((bent >= 0) & (bent <= 1)).all()


CURVES = {method: Calibration.fit(method, *overconfident(500, 3)) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("y", [[], [0, 0], [1, 1]])
def test_a_single_class_teaches_no_curve(method, y):
    assert Calibration.fit(method, y, [0.3] * len(y)) is None


def test_an_unknown_method_is_a_mistake_of_programming():
    with pytest.raises(ValueError, match="isotonic"):
        Calibration.fit("isotone", [0, 1], [0.1, 0.2])


def test_the_newer_half_of_the_days_is_what_is_fitted_on():
    days = np.array(["2013-07-04", "2013-07-02", "2013-07-03", "2013-07-01"], dtype=object)
    assert newer_half(days).tolist() == [True, False, True, False]


def test_no_row_has_no_half():
    assert newer_half([]).tolist() == []


def test_of_a_single_block_half_of_the_rows_stop_boosting():
    assert newer_half(["2013-07"] * 4).tolist() == [False, True, False, True]


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_fall_with_the_label_teach_no_curve(method):
    y, score = overconfident(500, 4)
    assert Calibration.fit(method, y, 1 - score) is None


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=2, max_size=40))
def test_no_isotonic_probability_is_0_or_1_and_none_falls(rows):
    y, score = zip(*rows, strict=True)
    curve = Calibration.fit("isotonic", y, score)
    if curve is not None:
        assert 0 < min(curve.y) <= max(curve.y) < 1
        assert (np.diff(curve.y) >= 0).all()


def test_a_positive_where_no_row_was_one_costs_little():
    rng = np.random.default_rng(5)
    score = rng.random(400)
    curve = Calibration.fit("isotonic", (rng.random(400) < np.clip(2 * score - 0.8, 0, 1)).astype(int), score)
    assert -np.log(curve.apply(np.array([0.05]))[0]) < 8  # it was infinite, or 36 where losses are clipped
