"""A weight is a number of rows: every figure equals that of rows repeated by their weight, in the same block.

So do the intervals that rest on how blocks differ. Those that rest on a number of rows, such as that of a share of 100 %,
count a row once, whatever its weight; so does the calibration error, which is corrected for the chance of so many rows.
"""

from dataclasses import replace

import numpy as np
import pytest

from tidemill.metrics.blocks import index_blocks
from tidemill.metrics.definitions import DECIDABLE, DEFINITIONS
from tidemill.metrics.differences import paired_difference
from tidemill.metrics.evaluation import by_slice, evaluate, measure, point_value, statistic_of
from tidemill.metrics.gaps import group_gaps
from tidemill.metrics.rows import read_rows
from tidemill.monitoring.performance import LEAST_ROWS, realised_quality

from .samples import ALL, OF_ANOTHER_SCALE, rows_of

DECIDING = [(task, metric) for task, metrics in DECIDABLE.items() for metric in metrics]
N_CASES = 15  # random samples per metric


def _case(task, rng):
    """Return rows, their weights, and the numbers of the rows repeated by their weight."""
    n = int(rng.integers(12, 120))
    y, score, about = rows_of(task, rng, n)
    often = rng.integers(1, 5, n)
    return y, score, about, often, np.repeat(np.arange(n), often)


def _at(about, rows):
    return {name: tuple(end[rows] for end in ends) for name, ends in about.items()}


BY_ROWS = ("expected_calibration_error",)  # the value itself counts rows
BY_BLOCKS = ("roc_auc", "log_loss", "brier_score", "mean_absolute_error", "root_mean_squared_error", "mean_error", "r2")


def _alike(found, expected):
    name = found.name.removeprefix("gap_")
    if name not in BY_ROWS:
        assert found.value == pytest.approx(expected.value, rel=1e-9, abs=1e-12, nan_ok=True)
    if name in BY_BLOCKS:
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12, nan_ok=True)


def _same(found, expected):
    ends = [(item.name, item.value, item.low, item.high) for item in (found, expected)]
    assert ends[0][0] == ends[1][0]
    assert ends[0][1:] == pytest.approx(ends[1][1:], rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(("task", "metric"), ALL)
@pytest.mark.parametrize("times", [1e-3, 30, 1e6])
def test_a_multiple_of_all_weights_changes_neither_a_metric_nor_its_interval(task, metric, times):
    rng, how = np.random.default_rng(6), {"metrics": (metric,)}
    for few in (
        False,
        True,
    ):  # weights that differ, and rows that all count once, so that some figures have no variance
        y, score, about, often, _ = _case(task, rng)
        often, days = np.ones(len(y)) if few else often, rng.integers(0, 9, len(y))
        (expected,) = evaluate(task, y, score, blocks=days, sample_weight=often, **how, **about)
        (found,) = evaluate(task, y, score, blocks=days, sample_weight=times * often, **how, **about)
        _same(found, expected)


@pytest.mark.parametrize("metric", ["accuracy", "recall", "f1", "roc_auc", "average_precision"])
def test_heavy_rows_that_are_all_right_are_no_certainty(metric):
    y, days = np.arange(140) % 2, np.arange(140) // 10
    (once,) = evaluate("binary", y, np.where(y, 0.9, 0.1), blocks=days, metrics=(metric,))
    (heavy,) = evaluate(
        "binary", y, np.where(y, 0.9, 0.1), blocks=days, metrics=(metric,), sample_weight=np.full(140, 30.0)
    )
    assert heavy.low == pytest.approx(once.low)
    assert heavy.low < 0.96


def test_a_difference_of_heavy_rows_that_no_model_gets_wrong_is_as_uncertain_as_that_of_light_ones():
    y, days = np.arange(140) % 2, np.arange(140) // 10
    pair = (y, np.where(y, 0.9, 0.1), np.where(y, 0.8, 0.1), days)
    _same(paired_difference("recall", *pair, sample_weight=np.full(140, 30.0)), paired_difference("recall", *pair))


def test_perfect_scores_of_heavy_rows_have_as_little_calibration_error_as_those_of_light_ones():
    rng, found = np.random.default_rng(7), []
    for _ in range(100):
        score = rng.random(140)
        y = rng.random(140) < score
        found.append(point_value("expected_calibration_error", y, score, sample_weight=rng.uniform(5, 50, 140)))
    assert np.mean(found) < 0.025  # the plain figure would be 0.09


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_a_metric_and_its_interval_equal_those_of_rows_repeated_by_their_weight(task, metric):
    rng = np.random.default_rng(1)
    for _ in range(N_CASES):
        y, score, about, often, again = _case(task, rng)
        days = rng.integers(0, 9, len(y))
        how = {"metrics": (metric,)}
        (found,) = evaluate(task, y, score, blocks=days, sample_weight=often, **how, **about)
        (expected,) = evaluate(task, y[again], score[again], blocks=days[again], **how, **_at(about, again))
        _alike(found, expected)


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_a_partitions_figure_and_interval_equal_those_of_rows_repeated_by_their_weight(task, metric):
    rng = np.random.default_rng(2)
    for n_tiles in (1, 9):  # more rows than are left out one at a time, so that influences are added up
        y, score, about, often, _ = _case(task, rng)
        y, score, often = (np.concatenate([one] * n_tiles) for one in (y, score, often))
        about = {name: tuple(np.tile(end, n_tiles) for end in ends) for name, ends in about.items()}
        again = np.repeat(np.arange(len(y)), often)
        figures = realised_quality(y, score, label_coverage=1.0, task=task, sample_weight=often, **about)
        copies = replace(index_blocks(None, len(y), LEAST_ROWS), index=again)
        (expected,) = measure(task, (metric,), read_rows(task, y[again], score[again], _at(about, again)), copies)
        (found,) = (one for one in figures if one.name == metric)
        _alike(found, expected)


@pytest.mark.parametrize(("task", "metric"), DECIDING)
def test_a_difference_equals_that_of_rows_repeated_by_their_weight(task, metric):
    rng = np.random.default_rng(3)
    for _ in range(N_CASES):
        y, score, _, often, again = _case(task, rng)
        other = score[rng.permutation(len(y))]
        days = np.arange(len(y)) % 8
        found = paired_difference(metric, y, score, other, days, task=task, sample_weight=often)
        expected = paired_difference(metric, y[again], score[again], other[again], days[again], task=task)
        _alike(found, expected)


@pytest.mark.parametrize(("task", "metric"), ALL)
def test_influence_is_the_derivative_in_the_weights_of_weighted_rows(task, metric):
    if metric in OF_ANOTHER_SCALE:
        pytest.skip(OF_ANOTHER_SCALE[metric])
    rng = np.random.default_rng(4)
    y, score, about = rows_of(task, rng, 80)
    rows = read_rows(task, y, score, {**about, "sample_weight": rng.uniform(0.2, 3, 80)})
    assert rows is not None
    statistic, step = statistic_of(task, metric, rows), 1e-5 * np.eye(80)
    slope = (statistic.values(1 + step) - statistic.values(1 - step)) / 2e-5
    assert statistic.influence() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("task", DEFINITIONS)
def test_slices_and_gaps_equal_those_of_rows_repeated_by_their_weight(task):
    rng = np.random.default_rng(5)
    y, score, _ = rows_of(task, rng, 300)
    often, groups, days = rng.integers(1, 5, 300), rng.choice(["a", "b"], 300), rng.integers(0, 9, 300)
    again = np.repeat(np.arange(300), often)
    for found, expected in zip(
        by_slice(y, score, {"g": groups}, task=task, blocks=days, sample_weight=often),
        by_slice(y[again], score[again], {"g": groups[again]}, task=task, blocks=days[again]),
        strict=True,
    ):
        _alike(found, expected)
    for found, expected in zip(
        group_gaps(task, y, score, {"g": groups}, days, sample_weight=often),
        group_gaps(task, y[again], score[again], {"g": groups[again]}, days[again]),
        strict=True,
    ):
        _alike(found, expected)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
def test_a_weight_that_is_not_a_number_above_0_is_refused(weight):
    with pytest.raises(ValueError, match="every weight must be a number above 0"):
        point_value("accuracy", [0, 1], [0.2, 0.7], sample_weight=[1.0, weight])


def test_weights_of_another_length_are_refused():
    with pytest.raises(ValueError, match="do not fit 2 rows"):
        point_value("accuracy", [0, 1], [0.2, 0.7], sample_weight=[1.0])
