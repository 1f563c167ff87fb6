import numpy as np
import pytest

from tidemill.metrics.evaluation import by_slice, evaluate, point_value

from .samples import ALL, rows_of

INTERVALS = [pair for pair in ALL if pair != ("regression", "interval_width")]  # the samples' widths are equal


@pytest.mark.parametrize(("task", "metric"), INTERVALS)
def test_the_interval_holds_the_value(task, metric):
    y, score, about = rows_of(task, np.random.default_rng(0), 2000)
    figure = evaluate(task, y, score, metrics=(metric,), blocks=np.arange(2000) * 14 // 2000, **about)[0]
    assert figure.low <= figure.value <= figure.high
    assert figure.low < figure.high


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_an_interval_keeps_to_the_range_of_its_metric(task, metric):
    y, score, about = rows_of(task, np.random.default_rng(1), 40)
    figure = evaluate(task, y, score, metrics=(metric,), blocks=np.arange(40) // 4, **about)[0]
    if metric not in ("mean_error", "mean_label", "mean_prediction", "calibration_gap", "r2_score"):
        assert not figure.low < 0
    if metric in ("roc_auc", "average_precision", "recall", "macro_f1", "interval_coverage"):
        assert not figure.high > 1


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_a_figure_is_made_of_pythons_own_numbers(task, metric):
    y, score, about = rows_of(task, np.random.default_rng(1), 40)
    figure = evaluate(task, y, score, metrics=(metric,), **about)[0]
    assert {type(figure.value), type(figure.low), type(figure.high)} == {float}  # the ledger cannot store NumPy's


def test_the_order_of_rows_does_not_change_a_figure():
    y, score, _ = rows_of("binary", np.random.default_rng(2), 500)
    order, blocks = np.random.default_rng(1).permutation(500), np.arange(500) // 50
    a, b = evaluate("binary", y, score, blocks=blocks), evaluate("binary", y[order], score[order], blocks=blocks[order])
    assert [f.value for f in a] == pytest.approx([f.value for f in b], rel=1e-12)
    assert [f.low for f in a] == pytest.approx([f.low for f in b], rel=1e-9)


def test_fewer_than_five_blocks_have_a_value_but_no_interval():
    y, score, _ = rows_of("binary", np.random.default_rng(3), 400)
    figure = evaluate("binary", y, score, blocks=np.arange(400) % 4, metrics=("roc_auc",))[0]
    assert np.isfinite(figure.value)
    assert np.isnan([figure.low, figure.high]).all()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_slice_has_the_value_of_its_rows(task):
    y, score, about = rows_of(task, np.random.default_rng(4), 900)
    half = np.arange(900) % 2
    metric = {"binary": "f1", "multiclass": "macro_f1", "regression": "interval_coverage"}[task]
    figures = by_slice(y, score, {"half": half}, task=task, metrics=(metric,), threshold=0.4, **about)
    ends = {name: tuple(end[half == 0] for end in both) for name, both in about.items()}
    assert [figure.slice for figure in figures] == ["half=0", "half=1"]
    assert figures[0].value == point_value(metric, y[half == 0], score[half == 0], 0.4, task=task, **ends)


def test_missing_values_are_a_slice_of_their_own():
    figures = by_slice([0, 1, 1], [0.1, 0.2, 0.3], {"origin": ["EWR", None, np.nan]}, metrics=("base_rate",))
    assert {figure.slice: figure.n for figure in figures} == {"origin=EWR": 1, "origin=missing": 2}


def test_only_the_twenty_most_frequent_values_are_reported():
    values = [str(row % 30) for row in range(600)]
    assert len(by_slice([0, 1] * 300, [0.5] * 600, {"dest": values}, metrics=("base_rate",))) == 20
