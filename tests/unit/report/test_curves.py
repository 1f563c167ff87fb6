import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tidemill.report.curves import reliability_bins, roc_points, wilson_interval

scores = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@given(scores)
def test_area_equals_the_one_of_scikit_learn(rows):
    y, score = np.array([a for a, _ in rows]), np.array([b / 20 for _, b in rows])
    assert abs(roc_points(y, score)[2] - roc_auc_score(y, score)) < 1e-12


@given(scores)
def test_roc_starts_at_zero_and_ends_at_one(rows):
    false, found, _ = roc_points(np.array([a for a, _ in rows]), np.array([b / 20 for _, b in rows]))
    assert (false[0], found[0], false[-1], found[-1]) == (0, 0, 1, 1)


def test_roc_of_many_rows_is_thinned():
    rng = np.random.default_rng(0)
    assert len(roc_points(rng.random(50_000) < 0.2, rng.random(50_000))[0]) == 300


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_interval_holds_the_share(n_positive, n_negative):
    n = n_positive + n_negative
    low, high = wilson_interval(n_positive, n)
    assert 0 <= low <= (n_positive / n if n else 0) + 1e-12
    assert (n_positive / n if n else 1) - 1e-12 <= high <= 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_reliability_bins_count_every_row(values):
    bins = reliability_bins(np.zeros(len(values), dtype=bool), np.array(values), 10)
    assert sum(b["n"] for b in bins) == len(values)
