import numpy as np
import pytest

from tidemill.metrics.differences import Pair, mean_difference, paired_difference
from tidemill.metrics.evaluation import evaluate, point_value

from .samples import ALL, CLASSES, rows_of

POINTS = [(task, metric) for task, metric in ALL if not metric.startswith("interval")]


def pair_of(task, n=700):
    y, a, _ = rows_of(task, np.random.default_rng(0), n)
    b = np.roll(a, 1, axis=0) * 0.5 + a * 0.5
    return y, a, b, np.arange(n) * 14 // n


@pytest.mark.parametrize(("task", "metric"), POINTS)
def test_a_difference_is_the_difference_of_the_values(task, metric):
    y, a, b, blocks = pair_of(task)
    found = paired_difference(metric, y, a, b, blocks, task=task)
    expected = point_value(metric, y, a, task=task) - point_value(metric, y, b, task=task)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.low is None or not found.low > found.value
    assert found.high is None or not found.high < found.value


def test_pairing_makes_the_interval_narrower_than_that_of_the_metric():
    y, a, blocks = *rows_of("binary", np.random.default_rng(1), 2000)[:2], np.arange(2000) // 200
    b = np.clip(a + 0.02 * np.random.default_rng(1).normal(size=len(a)), 0, 1)
    found = paired_difference("roc_auc", y, a, b, blocks)
    alone = evaluate("binary", y, a, blocks=blocks, metrics=("roc_auc",))[0]
    assert found.high - found.low < alone.high - alone.low


def test_two_models_with_the_same_answers_differ_by_what_unseen_rows_could_show():
    y, score, _, blocks = pair_of("binary")
    found = paired_difference("recall", y, score, np.where(score < 0.5, score / 2, score), blocks)
    assert found.value == 0.0
    assert found.high == -found.low == pytest.approx(2.4 / y.sum(), rel=1e-3)


@pytest.mark.parametrize(("task", "metric"), POINTS)
def test_two_models_with_the_same_score_on_every_row_are_equal(task, metric):
    y, score, _, blocks = pair_of(task)
    found = paired_difference(metric, y, score, score.copy(), blocks, task=task)
    assert (found.value, found.low, found.high, found.standard_error) == (0, 0, 0, 0)


@pytest.mark.parametrize(("metric", "equal"), [("roc_auc", True), ("log_loss", True), ("recall", False)])
def test_equal_scores_are_read_alike_only_with_equal_thresholds(metric, equal):
    y, score, _, blocks = pair_of("binary")
    found = paired_difference(metric, y, score, score, blocks, threshold_a=0.5, threshold_b=0.5 + 1e-9)
    assert (found.standard_error == 0) is equal


def test_equal_scores_of_other_classes_are_no_equal_models():
    y, score, _, blocks = pair_of("multiclass")
    names = np.array(CLASSES, dtype=object)[y]
    found = paired_difference(
        "accuracy", names, score, score, blocks, task="multiclass", classes_a=CLASSES, classes_b=CLASSES[::-1]
    )
    assert found.value != 0


def test_ten_positives_that_both_models_find_alike_are_no_certainty():
    y = (np.arange(420) % 42 == 0).astype(int)
    a, b = np.full(420, 0.1), np.full(420, 0.1)
    hit = np.flatnonzero(y)[:6]
    a[hit], b[hit] = 0.9, 0.8
    found = paired_difference("recall", y, a, b, np.repeat(np.arange(14), 30))
    assert found.value == 0.0
    assert found.low < -0.2


@pytest.mark.parametrize(
    ("task", "metric", "other"),
    [
        ("regression", "mean_absolute_error", lambda y, score: (np.round(y), np.round(y) + 1, np.round(y) - 1)),
        ("binary", "roc_auc", lambda y, score: (y, score, score**2)),
    ],
)
def test_no_variance_of_a_difference_has_no_interval(task, metric, other):
    y, score, _, blocks = pair_of(task)
    found = paired_difference(metric, *other(y, score), blocks, task=task)
    assert found.value == 0.0
    assert np.isnan([found.low, found.high, found.standard_error]).all()


def test_a_difference_on_a_single_class_is_nan():
    assert np.isnan(paired_difference("roc_auc", [1] * 20, [0.1] * 20, [0.2] * 20, None).value)


def test_a_difference_uses_the_threshold_of_each_model():
    y, score, _, blocks = pair_of("binary")
    found = paired_difference("f1", y, score, score, blocks, threshold_a=0.4, threshold_b=0.6)
    assert found.value == pytest.approx(point_value("f1", y, score, 0.4) - point_value("f1", y, score, 0.6))


def test_models_of_other_classes_are_compared_over_all_of_them():
    y, score, _, blocks = pair_of("multiclass")
    names = np.array(CLASSES, dtype=object)[y]
    less = score[:, :2] / score[:, :2].sum(axis=1, keepdims=True)
    found = paired_difference(
        "accuracy", names, score, less, blocks, task="multiclass", classes_a=CLASSES, classes_b=CLASSES[:2]
    )
    a = point_value("accuracy", names, score, task="multiclass", classes=CLASSES)
    b = point_value("accuracy", names, less, task="multiclass", classes=CLASSES[:2])
    assert found.value == pytest.approx(a - b)


def test_a_mean_difference_does_not_mix_the_scores_of_its_sets():
    y, good, bad = [0, 1] * 50, [0.2, 0.7] * 50, [0.5] * 100
    shifted = [score + 0.3 for score in good]  # as the scores of another model would be
    sets = [Pair(y_true=y, score_a=scores, score_b=bad, blocks=None) for scores in (good, shifted)]
    assert mean_difference("roc_auc", sets).value == 0.5


def test_blocks_of_all_sets_count_for_the_interval():
    y, a, b = [0, 1] * 30, np.random.default_rng(7).random(60), [0.5, 0.4] * 30
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
