import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from tidemill.modeling.conformal import residual_quantiles
from tidemill.modeling.metrics import METRICS, by_slice, evaluate, paired_difference, point_value

ORACLES = {
    "mean_absolute_error": oracle.mean_absolute_error,
    "root_mean_squared_error": oracle.root_mean_squared_error,
    "median_absolute_error": oracle.median_absolute_error,
    "r2_score": oracle.r2_score,
    "mean_error": lambda y, s: np.mean(s - y),
}
NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda number: round(number, 3))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=50).filter(
    lambda rows: np.ptp([label for label, _ in rows]) > 0.01
)


def sample(n_samples=900, random_state=0):
    rng = np.random.default_rng(random_state)
    y = 100 + rng.normal(scale=10, size=n_samples)
    return y, y + rng.normal(1, 5, n_samples), np.arange(n_samples) * 14 // n_samples


def value(metric, y, score, **options):
    return point_value(metric, y, score, task="regression", **options)


@pytest.mark.parametrize("metric", ORACLES)
@given(rows=ROWS)
def test_a_metric_equals_scikit_learns(metric, rows):
    y, score = (np.array(column) for column in zip(*rows, strict=True))
    assert value(metric, y, score) == pytest.approx(ORACLES[metric](y, score), rel=1e-6, abs=1e-6)


def test_every_metric_of_a_point_has_an_oracle():
    assert set(METRICS["regression"]) - set(ORACLES) == {"interval_coverage", "interval_width"}


def test_an_interval_is_measured_by_coverage_and_width():
    y, low, high = np.array([1.0, 2.0, 3.0, 9.0]), np.array([0.0, 2.0, 4.0, 8.0]), np.array([1.0, 3.0, 5.0, 9.5])
    figures = evaluate("regression", y, y, interval=(low, high))
    found = {figure.name: figure.value for figure in figures}
    assert found["interval_coverage"] == 0.75
    assert found["interval_width"] == pytest.approx(1.125)


def test_without_an_interval_its_metrics_are_left_out():
    names = [figure.name for figure in evaluate("regression", [1.0, 2.0], [1.0, 2.0])]
    assert names == list(ORACLES)


def test_an_interval_that_is_not_known_is_nan_in_its_metrics_alone():
    nothing = np.full(2, np.nan)
    found = {f.name: f.value for f in evaluate("regression", [1.0, 2.0], [1.0, 3.0], interval=(nothing, nothing))}
    assert np.isnan([found["interval_coverage"], found["interval_width"]]).all()
    assert found["mean_absolute_error"] == 0.5


@pytest.mark.parametrize("metric", METRICS["regression"])
def test_weights_of_a_replicate_are_the_same_as_repeated_rows(metric):
    y, score, blocks = sample(90)
    ends = score - 4, score + 6
    figure = evaluate(
        "regression", y, score, blocks=blocks, metrics=(metric,), n_replicates=1, random_state=5, interval=ends
    )[0]
    drawn = np.random.default_rng(5).integers(0, 14, size=14)
    again = np.concatenate([np.flatnonzero(blocks == block) for block in drawn])
    expected = value(metric, y[again], score[again], interval=(ends[0][again], ends[1][again]))
    assert figure.low == pytest.approx(expected)


@pytest.mark.parametrize("metric", ORACLES)
def test_the_interval_holds_the_value(metric):
    y, score, blocks = sample()
    figure = evaluate("regression", y, score, blocks=blocks, metrics=(metric,))[0]
    assert figure.low < figure.value < figure.high


@pytest.mark.parametrize("metric", METRICS["regression"])
def test_no_row_is_nan(metric):
    assert np.isnan(value(metric, [], []))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", ORACLES)
def test_one_number_that_is_not_finite_makes_every_metric_nan(metric, bad):
    assert np.isnan(value(metric, [1.0, 2.0], [1.0, bad]))
    assert np.isnan(value(metric, [1.0, bad], [1.0, 2.0]))


@pytest.mark.parametrize("label", [0.0, 0.1, 1e6])
def test_variance_explained_of_equal_labels_is_nan(label):
    assert np.isnan(value("r2_score", [label] * 3, [label, label + 1, label]))


def test_numbers_near_the_end_of_their_range_are_nan_and_no_warning():
    assert np.isnan(value("r2_score", [1e200, -1e200], [1e200, 1e200]))


def test_a_difference_is_the_difference_of_the_values():
    y, a, blocks = sample()
    b = a + 3
    difference = paired_difference("mean_absolute_error", y, a, b, blocks, task="regression")
    assert difference.value == pytest.approx(value("mean_absolute_error", y, a) - value("mean_absolute_error", y, b))
    assert difference.low < difference.value < difference.high < 0


def test_a_slice_is_given_its_part_of_the_interval():
    y, score, _ = sample()
    half = np.arange(len(y)) % 2
    ends = np.where(half, score - 99, score), np.where(half, score + 99, score)
    figures = by_slice(y, score, {"half": half}, task="regression", interval=ends, metrics=("interval_coverage",))
    assert [figure.value for figure in figures] == [0.0, 1.0]


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
