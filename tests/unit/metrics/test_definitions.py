import numpy as np
import pytest

from tidemill.errors import SpecError
from tidemill.metrics.definitions import DECIDABLE, DEFINITIONS, METRICS, definition_of, greater_is_better
from tidemill.metrics.evaluation import evaluate, point_value, statistic_of
from tidemill.metrics.rows import read_rows
from tidemill.monitoring.estimate import PREFIX, estimate_binary, estimate_multiclass
from tidemill.monitoring.performance import realised_quality

from .samples import ALL, CLASSES, OF_ANOTHER_SCALE, ORACLES, rows_of

BY_SLOW_DEFINITION = {("binary", "expected_calibration_error"), ("multiclass", "expected_calibration_error")}
BAD = {"binary": (np.nan, np.inf, -0.1, 1.1), "multiclass": (np.nan, np.inf, -0.1, 1.1), "regression": (np.nan, np.inf)}


def test_every_metric_has_an_oracle():
    assert set(ALL) == set(ORACLES) | BY_SLOW_DEFINITION


@pytest.mark.parametrize(("task", "metric"), ORACLES)
def test_a_metric_equals_scikit_learns(task, metric):
    rng = np.random.default_rng(0)
    for _ in range(30):
        y, score, about = rows_of(task, rng, int(rng.integers(5, 300)))
        about = about if task == "regression" else {}
        expected = ORACLES[task, metric](y, score)
        assert point_value(metric, y, score, task=task, **about) == pytest.approx(
            expected, rel=1e-9, abs=1e-12, nan_ok=True
        )


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_acceptance_and_monitoring_agree_to_the_last_digits(task, metric):
    rng = np.random.default_rng(1)
    for _ in range(20):
        y, score, about = rows_of(task, rng, int(rng.integers(5, 300)))
        accepted = evaluate(task, y, score, metrics=(metric,), blocks=np.arange(len(y)) % 7, **about)[0].value
        realised = {one.name: one.value for one in realised_quality(y, score, label_coverage=1.0, task=task, **about)}
        assert realised[metric] == pytest.approx(accepted, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_influence_is_the_derivative_in_the_weights(task, metric):
    if metric in OF_ANOTHER_SCALE:
        pytest.skip(OF_ANOTHER_SCALE[metric])
    y, score, about = rows_of(task, np.random.default_rng(2), 80)
    rows = read_rows(task, y, score, about)
    assert rows is not None
    statistic, step = statistic_of(task, metric, rows), 1e-6 * np.eye(80)
    slope = (statistic.values(1 + step) - statistic.values(1 - step)) / 2e-6
    assert statistic.influence() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("metric", DECIDABLE["regression"])
def test_an_error_in_the_labels_unit_grows_with_the_unit(metric):
    y, score, _ = rows_of("regression", np.random.default_rng(4), 60)
    unit = 100 if definition_of("regression", metric).in_label_unit else 1
    of_metres = point_value(metric, y, score, task="regression")
    assert point_value(metric, 100 * y, 100 * score, task="regression") == pytest.approx(unit * of_metres)


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_a_weight_of_two_is_a_row_that_comes_twice(task, metric):
    y, score, about = rows_of(task, np.random.default_rng(3), 60)
    twice = np.append(np.arange(60), np.arange(0, 60, 3))
    rows = read_rows(task, y, score, about)
    again = read_rows(task, y[twice], score[twice], {k: tuple(end[twice] for end in v) for k, v in about.items()})
    assert rows is not None
    assert again is not None
    weighted = statistic_of(task, metric, rows).values(np.bincount(twice).astype(float)[None, :])[0]
    assert weighted == pytest.approx(statistic_of(task, metric, again).value)


@pytest.mark.parametrize("metric", DEFINITIONS["binary"])
def test_a_metric_that_reads_the_threshold_says_so(metric):
    y, score, _ = rows_of("binary", np.random.default_rng(5), 200)
    low, high = (point_value(metric, y, score, threshold, task="binary") for threshold in (0.3, 0.5))
    assert (low != high) == DEFINITIONS["binary"][metric].by_threshold


@pytest.mark.parametrize("task", DECIDABLE)
def test_every_metric_that_may_decide_is_realised_and_estimated_or_says_that_it_is_not(task):
    y, score, about = rows_of(task, np.random.default_rng(4), 200)
    realised = {one.name for one in realised_quality(y, score, label_coverage=1.0, task=task, **about)}
    estimates = {
        "binary": lambda: estimate_binary(score, score),
        "multiclass": lambda: estimate_multiclass(score, score),
        "regression": lambda: (),
    }[task]()
    estimated = {one.name.removeprefix(PREFIX) for one in estimates}
    assert set(DECIDABLE[task]) <= realised
    assert estimated & set(DECIDABLE[task]) == {name for name in DECIDABLE[task] if DEFINITIONS[task][name].estimated}


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_without_rows_a_metric_is_nan(task, metric):
    empty = np.empty((0, 3)) if task == "multiclass" else []
    figure = evaluate(task, [], empty, metrics=(metric,))[0]
    assert np.isnan([figure.value, figure.low, figure.high]).all()
    assert figure.n == 0


@pytest.mark.parametrize(("task", "bad"), [(task, value) for task, values in BAD.items() for value in values])
def test_one_score_that_is_not_finite_makes_every_metric_nan(task, bad):
    y, score, about = rows_of(task, np.random.default_rng(5), 40)
    score.flat[7] = bad
    assert np.isnan(
        [figure.value for figure in evaluate(task, y, score, metrics=tuple(DEFINITIONS[task]), **about)]
    ).all()


@pytest.mark.parametrize("task", DEFINITIONS)
def test_one_missing_label_makes_every_metric_nan(task):
    y, score, about = rows_of(task, np.random.default_rng(6), 40)
    labels = np.append(np.asarray(y, dtype=object)[:-1], None)
    labels = labels if task == "multiclass" else labels.astype(float)
    assert np.isnan([figure.value for figure in evaluate(task, labels, score, **about)]).all()


@pytest.mark.parametrize("task", DEFINITIONS)
def test_scores_that_do_not_fit_the_labels_are_the_callers_mistake(task):
    y, score, _ = rows_of(task, np.random.default_rng(7), 40)
    with pytest.raises(ValueError, match="39 labels"):
        evaluate(task, y[1:], score)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_ranking_a_single_class_is_nan(metric, label):
    assert np.isnan(point_value(metric, [label] * 3, [0.1, 0.2, 0.3]))


def test_ranking_is_averaged_over_the_classes_that_the_rows_hold():
    y, score, _ = rows_of("multiclass", np.random.default_rng(8), 200)
    some = y != 2
    expected = np.mean([point_value("roc_auc", y[some] == code, score[some, code]) for code in (0, 1)])
    assert point_value("roc_auc_ovr", y[some], score[some], task="multiclass") == pytest.approx(expected)


def test_names_of_classes_count_as_their_columns():
    y, score, _ = rows_of("multiclass", np.random.default_rng(9), 40)
    named = point_value("log_loss", np.array(CLASSES, dtype=object)[y], score, task="multiclass", classes=CLASSES)
    assert named == point_value("log_loss", y, score, task="multiclass")


def test_a_class_that_the_model_does_not_know_is_wrong_with_probability_0():
    score, y = np.array([[1.0, 0.0, 0.0]] * 2), ["early", "diverted"]
    metrics = ("accuracy", "balanced_accuracy", "brier_score", "log_loss")
    found = [point_value(metric, y, score, task="multiclass", classes=CLASSES) for metric in metrics]
    assert found == [0.5, 0.5, 1.0, pytest.approx(-np.log(np.finfo(float).eps) / 2)]


@pytest.mark.parametrize("label", [0.0, 0.1, 1e6])
def test_variance_explained_of_equal_labels_is_nan(label):
    assert np.isnan(point_value("r2_score", [label] * 3, [label, label + 1, label], task="regression"))


def test_numbers_near_the_end_of_their_range_are_nan_and_no_warning():
    assert np.isnan(point_value("r2_score", [1e200, -1e200], [1e200, 1e200], task="regression"))


def test_rows_without_an_interval_do_not_count_in_its_coverage():
    ends = [0.0, np.nan], [2.0, np.nan]
    found = {f.name: f.value for f in evaluate("regression", [1.0, 1.0], [1.0, 1.0], interval=ends)}
    assert (found["interval_coverage"], found["interval_width"]) == (1.0, 2.0)


def test_without_an_interval_its_metrics_are_left_out():
    names = {figure.name for figure in evaluate("regression", [1.0, 2.0], [1.0, 2.0])}
    realised = {figure.name for figure in realised_quality([1.0], [1.0], task="regression", label_coverage=1.0)}
    assert not {"interval_coverage", "interval_width"} & (names | realised)
    assert names < set(METRICS["regression"])


def test_metrics_of_the_data_have_no_direction():
    with pytest.raises(SpecError, match="cannot be decided on"):
        greater_is_better("base_rate")


def test_an_unknown_metric_is_refused_with_the_valid_ones():
    with pytest.raises(
        SpecError, match=r"'rocauc' cannot be decided on. Did you mean 'roc_auc'\? Choose one of roc_auc"
    ):
        greater_is_better("rocauc")
    with pytest.raises(SpecError, match=r"'roc_auc' is unknown\. Choose one of log_loss, accuracy"):
        point_value("roc_auc", [0], np.ones((1, 1)), task="multiclass")
