import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.modeling.metrics import METRICS, point_value
from tidemill.monitoring.values import realised_value_quality

NUMBERS = st.floats(-1e6, 1e6)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.floats(0, 100)), min_size=1, max_size=40)


def _figures(y_true, y_pred, low=None, high=None, **arguments):
    found = realised_value_quality(y_true, y_pred, low, high, **{"label_coverage": 1.0, **arguments})
    return {metric.name: metric for metric in found}


@pytest.mark.parametrize("name", METRICS["regression"])
@given(rows=ROWS)
def test_realised_figure_is_that_of_acceptance(name, rows):
    truth, predicted, width = (np.array(column) for column in zip(*rows, strict=True))
    interval = (predicted - width, predicted + width)
    expected = point_value(name, truth, predicted, None, task="regression", interval=interval)
    found = _figures(truth, predicted, *interval)[name].value
    assert found == pytest.approx(expected, nan_ok=True, rel=1e-6)


@given(ROWS, st.booleans())
def test_every_interval_holds_its_figure(rows, in_blocks):
    truth, predicted, width = (np.array(column) for column in zip(*rows, strict=True))
    blocks = np.arange(len(rows)) // 5 if in_blocks else None
    for metric in _figures(truth, predicted, predicted - width, predicted + width, blocks=blocks).values():
        assert metric.low is None or metric.low - 1e-6 <= metric.value <= metric.high + 1e-6


@pytest.mark.parametrize("name", ["mean_absolute_error", "root_mean_squared_error", "r2_score", "interval_coverage"])
def test_intervals_cover_the_truth_about_19_times_in_20(name):
    rng = np.random.default_rng(4)

    def sample(n):
        truth = rng.normal(150, 40, n)
        predicted = truth + rng.normal(2, 12, n)
        return truth, predicted, predicted - 15, predicted + 15

    target = _figures(*sample(200_000))[name].value
    covered = [figure.low <= target <= figure.high for figure in (_figures(*sample(400))[name] for _ in range(300))]
    assert 0.91 <= np.mean(covered) <= 0.985


def test_rows_without_an_interval_do_not_count_in_its_coverage():
    figures = _figures([1.0, 1.0], [1.0, 1.0], [0.0, math.nan], [2.0, math.nan])
    assert (figures["interval_coverage"].value, figures["interval_width"].value) == (1.0, 2.0)


def test_without_any_interval_its_figures_are_left_out():
    assert "interval_coverage" not in _figures([1.0], [1.0], [math.nan], [math.nan])


def test_equal_values_explain_no_variance():
    assert math.isnan(_figures([5.0] * 4, [4.0, 5.0, 6.0, 5.0])["r2_score"].value)


def test_a_prediction_that_is_nan_makes_no_error_look_fine():
    figures = _figures([1.0, 2.0, 3.0], [1.0, math.nan, 3.0])
    errors = [
        figures[name].value for name in ("mean_absolute_error", "root_mean_squared_error", "r2_score", "mean_error")
    ]
    assert np.isnan([*errors, figures["median_absolute_error"].value]).all()


def test_without_rows_every_figure_is_nan():
    figures = _figures([], [], [], [], label_coverage=0.0)
    assert {name for name, metric in figures.items() if not math.isnan(metric.value)} == {"label_coverage"}


def test_a_label_that_hardly_varies_has_an_interval_all_the_same():
    truth, predicted = np.array([0.0, 0.0, 2e-127]), np.array([0.0, 0.0, 1.0])
    figures = _figures(truth, predicted)
    assert figures["r2_score"].value < -1e250
    assert all(figure.low is None or figure.low <= figure.value <= figure.high for figure in figures.values())
