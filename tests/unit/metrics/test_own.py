"""Custom metrics: functions named by their import path."""

import hashlib
import importlib
import itertools

import numpy as np
import pytest

from tidemill.errors import SpecError
from tidemill.metrics.definitions import greater_is_better, sampled_metric
from tidemill.metrics.differences import paired_difference
from tidemill.metrics.evaluation import evaluate, point_value
from tidemill.metrics.own import digest_of, try_metric
from tidemill.monitoring.performance import realised_quality

SOURCE = """
import itertools

import numpy as np

from tidemill.metrics.own import metric

calls = itertools.count()


@metric(greater_is_better=True)
def profit(y_true, decision):
    return np.where(decision, np.where(y_true == 1, 40.0, -5.0), 0.0)


@metric(greater_is_better=True)
def mean_profit(y_true, decision, sample_weight):
    return np.average(np.where(decision, np.where(y_true == 1, 40.0, -5.0), 0.0), weights=sample_weight)


@metric(greater_is_better=False)
def regret(y_true, y_score):
    return float(np.sqrt(np.mean((y_true - y_score) ** 2)))


@metric(greater_is_better=False)
def first_class(y_true, y_score):
    return y_score[:, 0]
"""
BROKEN = {
    "def bad(y_true): return next(calls)": "returns different numbers for the same rows",
    "def bad(y_true): return np.nan": r"returns nan for 400 rows",
    "def bad(y_true): return np.where(y_true == 1, np.inf, 0.0)": "returns inf for a row",
    "def bad(y_true): return np.zeros((2, 2))": r"returns an array of shape \(2, 2\) for 400 rows",
    "def bad(y_true): return 'much'": "raises ValueError: could not convert string",
    "def bad(y_true): raise KeyError('x')": "raises KeyError",
    "def bad(y_true): raise MemoryError": "needs too much memory for 400 rows",
    "def bad(y_true, price): return 1.0": "takes price, which no metric is given",
    "def bad(y_true, sample_weight): return y_true * 1.0": "weighs its numbers per row itself",
}
N_SETS = 300
_names = itertools.count()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module of metrics under a name of its own; return its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(more=""):
        name = f"own_metrics_{next(_names)}"
        (tmp_path / f"{name}.py").write_text(SOURCE + more, encoding="utf-8")
        importlib.invalidate_caches()
        return name

    return of


def rows_of(rng, n_days=14, per_day=60, spread=0.1):
    days = np.repeat(np.arange(n_days), per_day)
    score = rng.random(len(days))
    return (rng.random(len(days)) < score * np.exp(rng.normal(0, spread, n_days))[days]).astype(int), score, days


def test_a_function_of_one_number_per_row_is_their_mean_with_the_interval_of_a_mean(write):
    y, score, days = rows_of(np.random.default_rng(1))
    terms = np.where(score >= 0.5, np.where(y == 1, 40.0, -5.0), 0.0)
    (found,) = evaluate("binary", y, score, blocks=days, metrics=(f"{write()}:profit",))
    (expected,) = evaluate("regression", np.zeros(len(y)), terms, blocks=days, metrics=("mean_error",))
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)


def test_a_function_of_one_number_has_the_interval_of_the_same_mean_written_per_row(write):
    name, (y, score, days) = write(), rows_of(np.random.default_rng(2))
    often = np.random.default_rng(3).integers(1, 4, len(y))
    by_row, by_number = (
        evaluate("binary", y, score, blocks=days, metrics=(f"{name}:{which}",), sample_weight=often)[0]
        for which in ("profit", "mean_profit")
    )
    assert (by_number.value, by_number.low, by_number.high) == pytest.approx((by_row.value, by_row.low, by_row.high))


def test_two_models_are_compared_by_it(write):
    y, score, days = rows_of(np.random.default_rng(4))
    found = paired_difference(f"{write()}:regret", y, score, np.full(len(y), 0.5), days)
    assert found.value == pytest.approx(np.sqrt(np.mean((y - score) ** 2)) - np.sqrt(np.mean((y - 0.5) ** 2)))
    assert found.high < 0


def test_monitoring_measures_it_with_at_most_a_hundred_blocks(write):
    y, score, _ = rows_of(np.random.default_rng(5), per_day=200)
    name = f"{write()}:regret"
    (found,) = (one for one in realised_quality(y, score, label_coverage=1.0, metric=name) if one.name == name)
    (known,) = (one for one in realised_quality(y, score, label_coverage=1.0) if one.name == "brier_score")
    assert found.value == pytest.approx(np.sqrt(known.value))
    assert found.high - found.low == pytest.approx((known.high - known.low) / (2 * found.value), rel=0.25)


def test_classes_and_numbers_are_passed_as_they_are(write):
    name = write()
    assert point_value(f"{name}:first_class", [0, 1], [[0.2, 0.8], [0.6, 0.4]], task="multiclass") == pytest.approx(0.4)
    assert point_value(f"{name}:regret", [1.0, 2.0], [1.0, 4.0], task="regression") == pytest.approx(np.sqrt(2))


def test_its_direction_and_its_source_are_known(write, tmp_path):
    name = write()
    assert greater_is_better(f"{name}:profit")
    assert not greater_is_better(f"{name}:regret", "binary")
    assert sampled_metric("binary", f"{name}:profit") == "roc_auc"
    assert digest_of(f"{name}:profit") == hashlib.sha256((tmp_path / f"{name}.py").read_bytes()).hexdigest()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_good_metric_passes_the_trial_of_check(write, task):
    try_metric(f"{write()}:{'first_class' if task == 'multiclass' else 'regret'}", task, weighted=False)


@pytest.mark.parametrize(("source", "said"), BROKEN.items())
def test_a_function_that_is_not_a_metric_is_refused(write, source, said):
    name = write(f"\n\n@metric(greater_is_better=True)\n{source}\n")
    with pytest.raises(SpecError, match=said):
        try_metric(f"{name}:bad", "binary", weighted=False)


def test_a_metric_that_takes_too_long_is_refused(write, monkeypatch):
    monkeypatch.setattr("tidemill.metrics.own.MAX_CALL_S", -1.0)
    with pytest.raises(SpecError, match=r"needs 0 s for 400 rows \(limit -1\)"):
        try_metric(f"{write()}:profit", "binary", weighted=False)


def test_a_number_without_weights_is_refused_for_weighted_rows(write):
    with pytest.raises(SpecError, match="takes no sample_weight, and rows have weights"):
        try_metric(f"{write()}:regret", "binary", weighted=True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module:profit", "cannot be imported"),
        ("math:no_such", "cannot be imported"),
        ("math:sqrt", "no direction"),
    ],
)
def test_a_path_without_a_metric_is_refused(path, said):
    with pytest.raises(SpecError, match=said):
        try_metric(path, "binary", weighted=False)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["profit", "mean_profit", "regret"])
def test_the_interval_covers_at_acceptance_and_in_monitoring(write, which):
    rng, name = np.random.default_rng(6), write()
    metric = f"{name}:{which}"
    over_days, of_partitions = [], []
    for _ in range(N_SETS):
        y, score, days = rows_of(rng)
        over_days.append(evaluate("binary", y, score, blocks=days, metrics=(metric,))[0])
        y, score, _ = rows_of(rng, n_days=1, per_day=840, spread=0.0)
        of_partitions.append(realised_quality(y, score, label_coverage=1.0, metric=metric)[-2])
    assert {one.name for one in of_partitions} == {metric}
    for found in (over_days, of_partitions):
        truth = np.mean([one.value for one in found])
        held = np.mean([one.low <= truth <= one.high for one in found])
        assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / N_SETS)
