import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from tidemill.monitoring.performance import realised_quality

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda k: k / 20)), min_size=1, max_size=60)


def _figures(y_true, y_score, **arguments):
    return {m.name: m for m in realised_quality(y_true, y_score, **{"label_coverage": 1.0, **arguments})}


def _of_both_classes(rows):
    return len({label for label, _ in rows}) == 2


@given(ROWS.filter(_of_both_classes))
def test_roc_auc_equals_scikit_learn_with_ties(rows):
    y_true, y_score = zip(*rows, strict=True)
    assert _figures(y_true, y_score)["roc_auc"].value == pytest.approx(oracle.roc_auc_score(y_true, y_score))


@given(ROWS.filter(_of_both_classes))
def test_average_precision_equals_scikit_learn_with_ties(rows):
    y_true, y_score = zip(*rows, strict=True)
    expected = oracle.average_precision_score(y_true, y_score)
    assert _figures(y_true, y_score)["average_precision"].value == pytest.approx(expected)


@given(ROWS)
def test_brier_score_equals_scikit_learn(rows):
    y_true, y_score = zip(*rows, strict=True)
    expected = oracle.brier_score_loss(y_true, y_score, pos_label=1)
    assert _figures(y_true, y_score)["brier_score"].value == pytest.approx(expected)


@given(ROWS.map(lambda rows: [(label, min(max(score, 0.01), 0.99)) for label, score in rows]))
def test_log_loss_equals_scikit_learn(rows):
    y_true, y_score = zip(*rows, strict=True)
    expected = oracle.log_loss(y_true, y_score, labels=[0, 1])
    assert _figures(y_true, y_score)["log_loss"].value == pytest.approx(expected)


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1"])
@given(rows=ROWS)
def test_decisions_are_measured_like_scikit_learn(name, rows):
    y_true, y_score = (np.array(column) for column in zip(*rows, strict=True))
    found = _figures(y_true, y_score, threshold=0.3)[name].value
    arguments = {} if name == "accuracy" else {"zero_division": math.nan}
    expected = getattr(oracle, f"{name}_score")(y_true, y_score >= 0.3, **arguments)
    assert found == pytest.approx(expected, nan_ok=True)


@given(ROWS, st.booleans())
def test_every_interval_holds_its_figure(rows, in_blocks):
    y_true, y_score = zip(*rows, strict=True)
    blocks = np.arange(len(rows)) // 5 if in_blocks else None
    for metric in _figures(y_true, y_score, blocks=blocks).values():
        assert metric.low is None or metric.low - 1e-9 <= metric.value <= metric.high + 1e-9


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = ([m.value for m in _figures(*zip(*order, strict=True)).values()] for order in (rows, shuffled))
    assert first == pytest.approx(second, nan_ok=True)


def test_interval_of_the_area_is_delongs():
    # DeLong's variance written out: placements of each row, their variances over the class sizes.
    rng = np.random.default_rng(1)
    y_true = np.repeat([1, 0], [60, 140])
    y_score = rng.normal(y_true * 0.8, 1)
    wins = (y_score[:60, None] > y_score[None, 60:]).astype(float)
    se = math.sqrt(wins.mean(axis=1).var(ddof=1) / 60 + wins.mean(axis=0).var(ddof=1) / 140)
    auc = _figures(y_true, y_score)["roc_auc"]
    assert (auc.high - auc.low) / 2 == pytest.approx(1.96 * se, rel=0.02)


@pytest.mark.parametrize("in_blocks", [False, True])
def test_intervals_cover_the_truth_about_19_times_in_20(in_blocks):
    rng = np.random.default_rng(2)
    truth, covered = 0.3, 0
    for _ in range(400):
        level = rng.normal(0, 0.08, 30) if in_blocks else np.zeros(30)  # days differ where there are blocks
        y_true = rng.random(900) < np.repeat(truth + level, 30)
        blocks = np.repeat(np.arange(30), 30) if in_blocks else None
        rate = _figures(y_true, np.full(900, 0.5), blocks=blocks)["base_rate"]
        covered += rate.low <= truth <= rate.high
    assert 0.92 <= covered / 400 <= 0.98


def test_blocks_that_agree_widen_the_interval():
    y_true = np.repeat([0, 1] * 10, 50)
    alone, together = (
        _figures(y_true, np.full(1_000, 0.5), blocks=blocks)["base_rate"]
        for blocks in (None, np.repeat(np.arange(20), 50))
    )
    assert together.high - together.low > 5 * (alone.high - alone.low)


@pytest.mark.parametrize("label", [0, 1])
def test_area_under_the_curve_of_one_class_is_nan(label):
    assert math.isnan(_figures([label] * 5, [0.1, 0.2, 0.3, 0.4, 0.5])["roc_auc"].value)


def test_one_class_leaves_the_other_figures_known():
    assert _figures([0] * 4, [0.5] * 4)["brier_score"].value == 0.25


def test_a_perfect_order_has_no_interval_rather_than_a_certain_one():
    auc = _figures([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])["roc_auc"]
    assert (auc.value, auc.low, auc.high) == (1.0, None, None)


def test_without_rows_every_figure_is_nan():
    figures = _figures([], [], label_coverage=0.0)
    assert {name for name, metric in figures.items() if not math.isnan(metric.value)} == {"label_coverage"}


def test_a_score_that_is_nan_makes_no_figure_look_fine():
    figures = _figures([0, 1, 0, 1], [0.1, math.nan, 0.2, 0.9])
    known = {name for name, metric in figures.items() if not math.isnan(metric.value)}
    assert known == {"base_rate", "label_coverage"}


def test_a_certain_and_wrong_score_has_a_finite_loss():
    assert math.isfinite(_figures([0, 1], [1.0, 0.0])["log_loss"].value)


def test_calibration_gap_is_the_mean_score_minus_the_base_rate():
    assert _figures([0, 0, 0, 1], [0.5] * 4)["calibration_gap"].value == pytest.approx(0.25)


def test_every_figure_carries_its_label_coverage():
    assert {metric.label_coverage for metric in _figures([0, 1], [0.1, 0.9], label_coverage=0.8).values()} == {0.8}


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="2 labels, 1 scores"):
        realised_quality([0, 1], [0.5], label_coverage=1.0)


def test_a_missing_label_is_refused():
    with pytest.raises(ValueError, match="leave out rows without a label"):
        realised_quality([0, math.nan], [0.5, 0.5], label_coverage=1.0)
