import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from tidemill.errors import SpecError
from tidemill.modeling.metrics import (
    METRICS,
    Pair,
    by_slice,
    evaluate,
    greater_is_better,
    mean_difference,
    paired_difference,
    point_value,
)

BINARY_METRICS = METRICS["binary"]
ORACLES = {
    "roc_auc": oracle.roc_auc_score,
    "average_precision": oracle.average_precision_score,
    "log_loss": lambda y, s: oracle.log_loss(y, s, labels=[0, 1]),
    "brier_score": oracle.brier_score_loss,
    "accuracy": lambda y, s: oracle.accuracy_score(y, s >= 0.5),
    "precision": lambda y, s: oracle.precision_score(y, s >= 0.5, zero_division=np.nan),
    "recall": lambda y, s: oracle.recall_score(y, s >= 0.5),
    "f1": lambda y, s: oracle.f1_score(y, s >= 0.5),
    "base_rate": lambda y, s: np.mean(y),
}
ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.floats(0, 1))),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({label for label, _ in rows}) == 2)


def sample(n_samples=2000, random_state=0):
    rng = np.random.default_rng(random_state)
    y = rng.random(n_samples) < 0.3
    score = np.clip(0.3 + 0.2 * y + 0.15 * rng.normal(size=n_samples), 0, 1)
    return y, score, np.arange(n_samples) * 14 // n_samples


@pytest.mark.parametrize("metric", ORACLES)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work shares the cores
@given(rows=ROWS)
def test_a_metric_equals_scikit_learns(metric, rows):
    y, score = (np.array(column) for column in zip(*rows, strict=True))
    assert point_value(metric, y, score) == pytest.approx(ORACLES[metric](y, score), nan_ok=True)


def test_calibration_error_equals_its_slow_definition():
    y, score, _ = sample()
    bins = np.minimum((score * 10).astype(int), 9)
    expected = sum((bins == b).mean() * abs(y[bins == b].mean() - score[bins == b].mean()) for b in np.unique(bins))
    assert point_value("expected_calibration_error", y, score) == pytest.approx(expected)


@pytest.mark.parametrize("metric", BINARY_METRICS)
def test_weights_of_a_replicate_are_the_same_as_repeated_rows(metric):
    y, score, blocks = sample(60)
    figure = evaluate("binary", y, score, blocks=blocks, metrics=(metric,), n_replicates=1, random_state=5)[0]
    drawn = np.random.default_rng(5).integers(0, 14, size=14)
    rows = np.concatenate([np.flatnonzero(blocks == block) for block in drawn])
    assert figure.low == pytest.approx(point_value(metric, y[rows], score[rows]), nan_ok=True)


@pytest.mark.parametrize("metric", BINARY_METRICS)
def test_the_interval_holds_the_value(metric):
    y, score, blocks = sample()
    figure = evaluate("binary", y, score, blocks=blocks, metrics=(metric,), threshold=0.4)[0]
    assert figure.low < figure.value < figure.high or metric == "expected_calibration_error"


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        y = rng.random((20, 30)) < np.clip(0.3 + 0.1 * rng.normal(size=(20, 1)), 0, 1)  # days differ
        figure = evaluate(
            "binary",
            y.ravel(),
            np.full(600, 0.5),
            blocks=np.repeat(np.arange(20), 30),
            metrics=("base_rate",),
            random_state=seed,
        )[0]
        covered += figure.low <= 0.3 <= figure.high
    assert covered >= 170  # 190 are due; percentile intervals of 20 blocks are somewhat short


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_ranking_a_single_class_is_nan(metric, label):
    assert np.isnan(point_value(metric, [label] * 3, [0.1, 0.2, 0.3]))


@pytest.mark.parametrize("metric", BINARY_METRICS)
def test_no_row_is_nan_with_n_0(metric):
    figure = evaluate("binary", [], [], metrics=(metric,))[0]
    assert np.isnan([figure.value, figure.low, figure.high]).all()
    assert figure.n == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.1])
@pytest.mark.parametrize("metric", BINARY_METRICS)
def test_one_score_that_is_no_probability_makes_every_metric_nan(metric, bad):
    assert np.isnan(point_value(metric, [0, 1, 1], [0.1, 0.9, bad]))


def test_an_unlabelled_row_makes_every_metric_nan():
    assert np.isnan([figure.value for figure in evaluate("binary", [0, 1, np.nan], [0.1, 0.9, 0.5])]).all()


def test_fewer_than_five_blocks_have_a_value_but_no_interval():
    y, score, _ = sample()
    figure = evaluate("binary", y, score, blocks=np.arange(2000) % 4, metrics=("roc_auc",))[0]
    assert np.isfinite(figure.value)
    assert np.isnan([figure.low, figure.high]).all()


def test_the_same_seed_gives_the_same_interval():
    y, score, blocks = sample()
    assert evaluate("binary", y, score, blocks=blocks) == evaluate("binary", y, score, blocks=blocks)


def test_the_order_of_rows_does_not_change_a_value():
    y, score, _ = sample()
    order = np.random.default_rng(1).permutation(len(y))
    values = [
        [f.value for f in evaluate("binary", a, b, n_replicates=1)] for a, b in ((y, score), (y[order], score[order]))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_a_difference_is_the_difference_of_the_values():
    y, a, blocks = sample()
    b = np.clip(a + 0.1 * np.random.default_rng(1).normal(size=len(a)), 0, 1)
    difference = paired_difference("roc_auc", y, a, b, blocks)
    assert difference.value == pytest.approx(point_value("roc_auc", y, a) - point_value("roc_auc", y, b))


def test_a_model_does_not_differ_from_itself():
    y, score, blocks = sample()
    difference = paired_difference("roc_auc", y, score, score, blocks)
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_pairing_makes_the_interval_narrower_than_that_of_the_metric():
    y, a, blocks = sample()
    b = np.clip(a + 0.02 * np.random.default_rng(1).normal(size=len(a)), 0, 1)
    difference = paired_difference("roc_auc", y, a, b, blocks)
    alone = evaluate("binary", y, a, blocks=blocks, metrics=("roc_auc",))[0]
    assert difference.high - difference.low < alone.high - alone.low


def test_a_difference_on_a_single_class_is_nan():
    assert np.isnan(paired_difference("roc_auc", [1] * 20, [0.1] * 20, [0.2] * 20, None).value)


def test_a_difference_uses_the_threshold_of_each_model():
    y, score, blocks = sample()
    difference = paired_difference("f1", y, score, score, blocks, threshold_a=0.4, threshold_b=0.9)
    assert difference.value == pytest.approx(point_value("f1", y, score, 0.4) - point_value("f1", y, score, 0.9))


def test_a_slice_has_the_value_of_its_rows():
    y, score, blocks = sample()
    origin = np.where(np.arange(len(y)) % 3 == 0, "EWR", "JFK")
    figures = by_slice(y, score, {"origin": origin}, blocks=blocks, metrics=("roc_auc",))
    assert [figure.slice for figure in figures] == ["origin=EWR", "origin=JFK"]
    assert figures[0].value == pytest.approx(point_value("roc_auc", y[origin == "EWR"], score[origin == "EWR"]))


def test_missing_values_are_a_slice_of_their_own():
    figures = by_slice([0, 1, 1], [0.1, 0.2, 0.3], {"origin": ["EWR", None, np.nan]}, metrics=("base_rate",))
    assert {figure.slice: figure.n for figure in figures} == {"origin=EWR": 1, "origin=missing": 2}


def test_only_the_twenty_most_frequent_values_are_reported():
    y, score, _ = sample(600)
    values = [str(row % 30) for row in range(600)]
    assert len(by_slice(y, score, {"dest": values}, metrics=("base_rate",), n_replicates=2)) == 20


def test_metrics_of_the_data_have_no_direction():
    with pytest.raises(SpecError, match="cannot be decided on"):
        greater_is_better("base_rate")


def test_an_unknown_metric_is_refused_with_the_valid_ones():
    with pytest.raises(SpecError, match=r"'rocauc' cannot be decided on. Is it 'roc_auc'\? Choose one of roc_auc"):
        greater_is_better("rocauc")


def test_all_metrics_of_12000_rows_take_under_three_seconds():
    y, score, blocks = sample(12_000)
    started = time.process_time()
    evaluate("binary", y, score, blocks=blocks)
    assert time.process_time() - started < 3


def test_a_mean_difference_of_one_set_is_the_paired_difference():
    rng = np.random.default_rng(3)
    y, a, b, blocks = rng.integers(0, 2, 400), rng.random(400), rng.random(400), np.repeat(np.arange(8), 50)
    one = mean_difference("roc_auc", (Pair(y_true=y, score_a=a, score_b=b, blocks=blocks),), random_state=5)
    assert one == paired_difference("roc_auc", y, a, b, blocks, random_state=5)


def test_a_mean_difference_does_not_mix_the_scores_of_its_sets():
    y, good, bad = [0, 1] * 50, [0.2, 0.7] * 50, [0.5] * 100
    shifted = [score + 0.3 for score in good]  # as the scores of another model would be
    sets = [Pair(y_true=y, score_a=scores, score_b=bad, blocks=None) for scores in (good, shifted)]
    assert mean_difference("roc_auc", sets).value == 0.5


def test_blocks_of_all_sets_count_for_the_interval():
    y, a, b = [0, 1] * 30, [0.2, 0.7] * 30, [0.5, 0.4] * 30
    sets = [
        Pair(y_true=y, score_a=a, score_b=b, blocks=[f"{half} {day}" for day in range(3) for _ in range(20)])
        for half in "ab"
    ]
    assert np.isnan(mean_difference("roc_auc", sets[:1]).low)
    assert np.isfinite(mean_difference("roc_auc", sets).low)


def test_a_mean_difference_is_not_defined_where_one_set_has_a_single_class():
    sets = [
        Pair(y_true=y, score_a=[0.2, 0.7] * 30, score_b=[0.5] * 60, blocks=None) for y in ([0, 1] * 30, [1, 1] * 30)
    ]
    assert np.isnan(mean_difference("roc_auc", sets).value)
