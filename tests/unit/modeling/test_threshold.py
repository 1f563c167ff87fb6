import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tidemill.modeling.threshold import choose_threshold

LABELLED = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9])), min_size=2, max_size=40)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work shares the cores
@given(LABELLED.filter(lambda rows: len({label for label, _ in rows}) == 2))
def test_no_other_score_gives_a_better_f1(rows):
    y, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    threshold, _ = choose_threshold(y, score)
    best = max(f1_score(y, score >= other) for other in score)
    assert f1_score(y, score >= threshold) == pytest.approx(best)


@pytest.mark.parametrize("y", [[], [1, 1], [0, 0]])
def test_without_both_classes_it_is_one_half_and_says_so(y):
    threshold, criterion = choose_threshold(y, [0.2] * len(y))
    assert threshold == 0.5
    assert "both classes" in criterion
