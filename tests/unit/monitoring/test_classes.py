import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from tidemill.modeling.metrics import METRICS, point_value
from tidemill.monitoring.classes import realised_class_quality

CLASSES = ("a", "b", "c")


@st.composite
def tables(draw, least=1):
    n = draw(st.integers(least, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    score = rng.dirichlet(np.ones(3), n)
    return rng.choice(CLASSES, n), score


def _figures(y_true, score, classes=CLASSES, **arguments):
    found = realised_class_quality(list(y_true), score, classes, **{"label_coverage": 1.0, **arguments})
    return {metric.name: metric for metric in found}


@pytest.mark.parametrize("name", METRICS["multiclass"])
@given(table=tables())
def test_realised_figure_is_that_of_acceptance(name, table):
    y_true, score = table
    expected = point_value(name, y_true, score, None, task="multiclass", classes=CLASSES)
    assert _figures(y_true, score)[name].value == pytest.approx(expected, nan_ok=True)


@given(tables())
def test_macro_f1_equals_scikit_learn(table):
    y_true, score = table
    expected = oracle.f1_score(y_true, np.array(CLASSES)[score.argmax(axis=1)], average="macro")
    assert _figures(y_true, score)["macro_f1"].value == pytest.approx(expected)


@given(tables(), st.booleans())
def test_every_interval_holds_its_figure(table, in_blocks):
    y_true, score = table
    blocks = np.arange(len(y_true)) // 5 if in_blocks else None
    for metric in _figures(y_true, score, blocks=blocks).values():
        assert metric.low is None or metric.low - 1e-9 <= metric.value <= metric.high + 1e-9


@pytest.mark.parametrize("name", ["log_loss", "accuracy", "macro_f1", "balanced_accuracy", "roc_auc_ovr"])
def test_intervals_cover_the_truth_about_19_times_in_20(name):
    rng = np.random.default_rng(3)

    def sample(n):
        score = rng.dirichlet([2.0, 1.0, 0.7], n)
        y = (score.cumsum(axis=1) > rng.random(n)[:, None]).argmax(axis=1)  # the probabilities are true
        return np.array(CLASSES)[y], score

    truth = _figures(*sample(100_000))[name].value
    covered = [figure.low <= truth <= figure.high for figure in (_figures(*sample(500))[name] for _ in range(200))]
    assert 0.90 <= np.mean(covered) <= 0.99


def test_class_that_the_model_does_not_know_is_wrong_and_not_fatal():
    figures = _figures(["z", "a"], [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    assert figures["accuracy"].value == 0.5
    assert math.isfinite(figures["log_loss"].value)


def test_without_rows_every_figure_is_nan():
    figures = _figures([], np.empty((0, 3)), label_coverage=0.0)
    assert {name for name, metric in figures.items() if not math.isnan(metric.value)} == {"label_coverage"}


def test_without_rows_and_classes_every_figure_is_nan():
    figures = _figures([], np.empty((0, 0)), (), label_coverage=0.0)
    assert {name for name, metric in figures.items() if not math.isnan(metric.value)} == {"label_coverage"}


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="2 labels"):
        _figures(["a", "b"], [[1.0, 0.0, 0.0]])
