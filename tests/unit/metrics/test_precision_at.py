"""Precision among the rows with the highest scores of each partition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import SpecError
from tidemill.metrics.definitions import definition_of, greater_is_better, sampled_metric
from tidemill.metrics.differences import paired_difference
from tidemill.metrics.evaluation import evaluate, point_value
from tidemill.monitoring.performance import realised_quality

ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=30
)
N_DAYS, PER_DAY, TAKEN, N_SETS = 14, 200, 20, 300


def by_hand(rows, n_rows):
    """Return the expected precision if rows of equal scores are taken in a random order, pooled over partitions."""
    hits = taken = 0.0
    for day in {row[0] for row in rows}:
        room = float(n_rows)
        of_day = [row for row in rows if row[0] == day]
        for score in sorted({row[1] for row in of_day}, reverse=True):
            tied = [row[2] for row in of_day if row[1] == score]
            share = min(1.0, room / len(tied))
            hits, taken, room = hits + share * sum(tied), taken + share * len(tied), room - share * len(tied)
    return hits / taken


@settings(deadline=None)
@given(ROWS, st.integers(1, 8))
def test_it_equals_a_count_by_hand_with_ties_shared(rows, n_rows):
    day, score, y = (list(column) for column in zip(*rows, strict=True))
    found = point_value(f"precision_at_{n_rows}", np.array(y, int), score, partitions=day)
    assert found == pytest.approx(by_hand(rows, n_rows))


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(1)
    y, score, days = rng.random(90) < 0.4, rng.random(90).round(1), np.arange(90) % 5
    order = rng.permutation(90)
    first, second = (
        evaluate("binary", y[at], score[at], blocks=days[at], metrics=("precision_at_7",))[0]
        for at in (np.arange(90), order)
    )
    assert (first.value, first.low, first.high) == pytest.approx((second.value, second.low, second.high))


def test_a_weight_is_a_number_of_equal_rows():
    rng = np.random.default_rng(2)
    y, score, days, often = (
        rng.random(200) < 0.4,
        rng.random(200).round(1),
        rng.integers(0, 9, 200),
        rng.integers(1, 4, 200),
    )
    again = np.repeat(np.arange(200), often)
    for metric in ("precision_at_5", "precision_at_40"):
        found = evaluate("binary", y, score, blocks=days, metrics=(metric,), sample_weight=often)[0]
        expected = evaluate("binary", y[again], score[again], blocks=days[again], metrics=(metric,))[0]
        assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_monitoring_measures_a_partition_as_acceptance_does():
    rng = np.random.default_rng(3)
    y, score = rng.random(300) < 0.4, rng.random(300)
    figures = realised_quality(y, score, label_coverage=1.0, metric="precision_at_50")
    (found,) = (one for one in figures if one.name == "precision_at_50")
    assert found.value == y[np.argsort(-score)[:50]].mean()
    assert found.low < found.value < found.high


def test_two_models_are_compared_on_the_rows_that_each_would_take():
    y = np.tile([1, 1, 0, 0], 10)
    good, bad, days = np.tile([0.9, 0.8, 0.2, 0.1], 10), np.tile([0.1, 0.9, 0.8, 0.2], 10), np.repeat(np.arange(10), 4)
    assert paired_difference("precision_at_2", y, good, bad, days).value == 0.5


def test_its_names():
    assert greater_is_better("precision_at_1", "binary")
    assert sampled_metric("binary", "precision_at_500") == "roc_auc"
    assert sampled_metric("binary", "f1") == "f1"
    for task, name in (("binary", "precision_at_0"), ("binary", "precision_at_05"), ("regression", "precision_at_5")):
        with pytest.raises(SpecError, match="is unknown"):
            definition_of(task, name)


@pytest.mark.slow
def test_its_interval_over_days_covers_the_truth():
    rng, truth, held = np.random.default_rng(4), [], []
    for _ in range(N_SETS):
        days = np.repeat(np.arange(N_DAYS), PER_DAY)
        rate = np.clip(rng.beta(1, 4, len(days)) * np.exp(rng.normal(0, 0.2, N_DAYS))[days], 0, 1)
        y = rng.random(len(days)) < rate
        found = evaluate("binary", y, rate, blocks=days, metrics=(f"precision_at_{TAKEN}",))[0]
        truth.append(found.value)
        held.append((found.low, found.high))
    expected = np.mean(truth)
    covered = np.mean([low <= expected <= high for low, high in held])
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / N_SETS)
