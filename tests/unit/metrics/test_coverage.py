"""Intervals by simulation: how often they miss the truth, and how often a worse model would be accepted."""

from functools import cache

import numpy as np
import pytest

from tidemill.metrics.differences import paired_difference
from tidemill.metrics.evaluation import evaluate, point_value
from tidemill.monitoring.performance import realised_quality

pytestmark = pytest.mark.slow

N = 150  # draws; 95 % of them are 142, with a standard error of 2.7


def scored(rng, n_days, n_rows, rate, spread=0.5):
    """Draw labels and scores of days that differ; ``rate`` is the logit of the base rate."""
    day = np.repeat(spread * rng.normal(size=n_days), n_rows)
    x = rng.normal(size=n_days * n_rows)
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-(rate + x + day)))).astype(int)
    score = 1 / (1 + np.exp(-(rate + 0.9 * x + 0.3 * rng.normal(size=len(x)))))
    return y, score, np.repeat(np.arange(n_days), n_rows)


@cache
def truth(metric, rate, spread):
    y, score, _ = scored(np.random.default_rng(99), 2000, 100, rate, spread)
    return point_value(metric, y, score, 1 / (1 + np.exp(-(rate + 0.7))))


BINARY = ("roc_auc", "average_precision", "log_loss", "brier_score", "accuracy", "precision", "recall", "f1")


@pytest.mark.parametrize("rate", [-1.5, -4.6])
@pytest.mark.parametrize("metric", BINARY)
def test_the_interval_of_acceptance_covers_the_truth(metric, rate):
    rng, covered = np.random.default_rng(0), []
    for _ in range(N):
        y, score, days = scored(rng, 14, 60, rate)
        threshold = 1 / (1 + np.exp(-(rate + 0.7)))
        found = evaluate("binary", y, score, blocks=days, metrics=(metric,), threshold=threshold)[0]
        if np.isfinite(found.low):
            covered.append(found.low <= truth(metric, rate, 0.5) <= found.high)
    assert len(covered) > 0.8 * N
    assert np.mean(covered) >= 0.90


@pytest.mark.parametrize("rate", [-1.5, -4.6])
@pytest.mark.parametrize("metric", [name for name in BINARY if name != "accuracy"])
def test_the_interval_of_a_partition_covers_the_truth(metric, rate):
    rng, covered = np.random.default_rng(1), []
    for _ in range(N):
        y, score, _ = scored(rng, 1, 600, rate, spread=0.0)
        found = {
            f.name: f for f in realised_quality(y, score, label_coverage=1.0, threshold=1 / (1 + np.exp(-(rate + 0.7))))
        }
        if np.isfinite(found[metric].low):
            covered.append(found[metric].low <= truth(metric, rate, 0.0) <= found[metric].high)
    assert len(covered) > 0.8 * N
    assert np.mean(covered) >= 0.90


@pytest.mark.parametrize("n_rows", [10, 30, 100])
@pytest.mark.parametrize("bend", [1.0, 0.85, 0.6])
def test_the_calibration_error_covers_the_truth_and_is_not_biased_for_perfect_scores(bend, n_rows):
    rng, expected = np.random.default_rng(2), {1.0: 0.0, 0.85: 0.025, 0.6: 0.077}[bend]
    values, covered = [], []
    for _ in range(N):
        logit = rng.normal(-1, 1.2, 14 * n_rows)
        y = (rng.random(len(logit)) < 1 / (1 + np.exp(-bend * logit))).astype(int)
        (found,) = evaluate(
            "binary",
            y,
            1 / (1 + np.exp(-logit)),
            blocks=np.repeat(np.arange(14), n_rows),
            metrics=("expected_calibration_error",),
        )
        values.append(found.value)
        covered.append(found.low <= expected <= found.high)
    assert np.mean(covered) >= 0.90
    assert bend != 0.85 or np.mean(covered) < 1  # 97 % of 1,000 draws; from the plain figure up, all of them would be
    assert bend < 1 or np.mean(values) < 0.015  # the plain figure is 0.080, 0.046 and 0.026


@pytest.mark.parametrize("metric", ["recall", "precision", "f1", "roc_auc", "average_precision"])
@pytest.mark.parametrize("n_rows", [15, 30, 60])
def test_few_positives_hardly_ever_accept_a_worse_model(n_rows, metric):
    def pair(rng, n_days):
        y, a, days = scored(rng, n_days, n_rows, -4.6)
        return y, a * 0.6 + 0.4 * rng.permutation(a), a, days

    threshold = 1 / (1 + np.exp(3.9))
    y, worse, better, _ = pair(np.random.default_rng(3), 20_000)
    handicap = point_value(metric, y, worse, threshold) - point_value(metric, y, better, threshold)
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(N):
        y, worse, better, days = pair(rng, 14)
        wrong += (
            paired_difference(metric, y, worse, better, days, threshold_a=threshold, threshold_b=threshold).low
            > handicap
        )
    assert wrong <= 0.06 * N


@pytest.mark.parametrize("metric", ["mean_absolute_error", "median_absolute_error", "r2_score"])
@pytest.mark.parametrize("rounded", [False, True])
def test_intervals_of_a_difference_of_numbers_cover_the_truth(metric, rounded):
    def pair(rng, n_days):
        day = np.repeat(rng.normal(size=n_days), 40)
        x = rng.normal(size=len(day))
        y, a, b = x + 0.4 * day * x + rng.normal(size=len(day)), x, 0.8 * x + 0.1
        return (*(np.round(2 * one) if rounded else one for one in (y, a, b)), np.repeat(np.arange(n_days), 40))

    y, a, b, _ = pair(np.random.default_rng(5), 5000)
    expected = point_value(metric, y, a, task="regression") - point_value(metric, y, b, task="regression")
    rng, covered = np.random.default_rng(6), []
    for _ in range(N):
        y, a, b, days = pair(rng, 14)
        found = paired_difference(metric, y, a, b, days, task="regression")
        if np.isfinite(found.low):
            covered.append(found.low <= expected <= found.high)
    assert len(covered) > 0.8 * N
    assert np.mean(covered) >= 0.90


def panel(rng, n_entities, n_days=10, shock=0.3):
    """Draw the days of entities that keep their label, with two scores that share a hidden effect."""
    mood = rng.normal(size=n_entities)
    y = np.tile(rng.random(n_entities) < 1 / (1 + np.exp(2 - 1.2 * mood)), n_days).astype(int)
    days = np.repeat(shock * rng.normal(size=n_days), n_entities)
    a, b = (np.tile(mood, n_days) + days + rng.normal(scale=noise, size=len(y)) for noise in (0.7, 1.2))
    keys = np.repeat([f"2024-01-{day:02}" for day in range(1, n_days + 1)], n_entities).astype(object)
    clusters = np.stack([keys, np.tile([f"c{number}" for number in range(n_entities)], n_days)], axis=1)
    return y, 1 / (1 + np.exp(2 - a)), 1 / (1 + np.exp(2 - b)), clusters


def test_the_interval_over_entities_that_reappear_covers_the_truth_and_one_over_days_only_does_not():
    rng, (y, a, b, _) = np.random.default_rng(2), panel(np.random.default_rng(99), 100_000)
    true, true_difference = point_value("roc_auc", y, a), point_value("roc_auc", y, a) - point_value("roc_auc", y, b)
    covered = []
    for _ in range(N):
        y, a, b, clusters = panel(rng, 300)
        both, days = (
            evaluate("binary", y, a, blocks=blocks, metrics=("roc_auc",))[0] for blocks in (clusters, clusters[:, 0])
        )
        difference = paired_difference("roc_auc", y, a, b, clusters)
        covered.append(
            (
                both.low <= true <= both.high,
                days.low <= true <= days.high,
                difference.low <= true_difference <= difference.high,
            )
        )
    of_both, of_days, of_difference = np.mean(covered, axis=0)
    assert min(of_both, of_difference) >= 0.90
    assert of_days < 0.75
