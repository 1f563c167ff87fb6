import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from tidemill.modeling.threshold import choose_threshold, constant_threshold

LABELLED = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9])), min_size=2, max_size=40
).filter(lambda rows: len({label for label, _ in rows}) == 2)
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work shares the cores


def columns(rows):
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def youden(y, positive):
    return recall_score(y, positive) + recall_score(~y, ~positive) - 1


def cheapness(y, positive):
    return -(3 * (y & ~positive).sum() + (~y & positive).sum())


@pytest.mark.parametrize(("criterion", "goodness"), [("f1", f1_score), ("youden", youden), ("cost 3", cheapness)])
@patient
@given(LABELLED)
def test_no_other_score_serves_the_criterion_better(criterion, goodness, rows):
    y, score = columns(rows)
    threshold, _ = choose_threshold(y, score, criterion)
    best = max(goodness(y, score >= other) for other in [*score, np.inf])
    assert goodness(y, score >= threshold) == pytest.approx(best)


@pytest.mark.parametrize(
    ("criterion", "bound", "wanted"),
    [("recall 0.7", recall_score, precision_score), ("precision 0.6", precision_score, recall_score)],
)
@patient
@given(LABELLED)
def test_of_the_thresholds_that_keep_a_bound_the_best_is_taken(criterion, bound, wanted, rows):
    y, score = columns(rows)
    threshold, _ = choose_threshold(y, score, criterion)
    target = float(criterion.split()[1])
    keeping = [other for other in score if bound(y, score >= other) >= target]
    if keeping:
        best = max(wanted(y, score >= other) for other in keeping)
        assert bound(y, score >= threshold) >= target
        assert wanted(y, score >= threshold) == pytest.approx(best)


def test_a_precision_that_is_out_of_reach_is_reported():
    threshold, criterion = choose_threshold([0, 1, 0], [0.9, 0.5, 0.1], "precision 0.8")
    assert threshold == 0.5
    assert criterion == (
        "no threshold reaches a precision of 0.8 on 3 validation rows; the best: precision 0.500, recall 1.000"
    )


@pytest.mark.parametrize("y", [[], [1, 1], [0, 0]])
def test_without_both_classes_it_is_one_half_and_says_so(y):
    threshold, criterion = choose_threshold(y, [0.2] * len(y))
    assert threshold == 0.5
    assert "both classes" in criterion


def test_calling_nobody_positive_is_chosen_where_it_costs_least():
    y, score = np.repeat([1, 0], [50, 950]), np.full(1000, 0.05)
    threshold, criterion = choose_threshold(y, score, "cost 5")
    assert not (score >= threshold).any()
    assert criterion.endswith("0.250 false alarms per row (nobody is called positive)")
    assert (score >= choose_threshold(y, score, "cost 20")[0]).all()


@pytest.mark.parametrize(("metric", "share"), [("accuracy", 0.0), ("roc_auc", 0.0), ("f1", 1.0), ("recall", 1.0)])
def test_a_constant_answer_is_as_good_in_the_metric_as_a_constant_can_be(metric, share):
    threshold, _ = constant_threshold(np.repeat([1, 0], [5, 95]), 0.05, metric)
    assert float(threshold <= 0.05) == share
    threshold, _ = constant_threshold(np.repeat([1, 0], [95, 5]), 0.95, metric)
    assert threshold <= 0.95


@patient
@given(LABELLED, st.integers(1, 20), st.integers(1, 3))
def test_top_calls_as_many_as_possible_but_no_more_than_asked_per_partition(rows, most, n_partitions):
    y, score = columns(rows)
    threshold, criterion = choose_threshold(y, score, f"top {most}", n_partitions=n_partitions)
    called = (score >= threshold).sum()
    lower = score[score < threshold]
    assert called <= most * n_partitions
    assert not len(lower) or (score >= lower.max()).sum() > most * n_partitions
    assert criterion.startswith(f"at most {most} per partition on {len(y)} validation rows")
