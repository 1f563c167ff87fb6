import numpy as np
import pandas as pd
import pytest

from tidemill.metrics.evaluation import point_value
from tidemill.metrics.rows import Reading
from tidemill.modeling.slices.weak import Measure, ScoredRows, find_weak_slices

from .worlds import MEASURES, is_planted, scored_rows

SEEDS = range(4)  # make bench-rates ONLY="weak slices" draws as many as asked


def searched(task, seed, **about):
    rng = np.random.default_rng([seed, len(task)])
    sets = [scored_rows(rng, task, **about) for _ in range(2)]
    return find_weak_slices(MEASURES[task], *sets), sets[1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", MEASURES)
def test_a_planted_slice_of_three_percent_is_found(task, seed):
    found, _ = searched(task, seed, planted=True)
    assert any(is_planted(item.value.slice) for item in found.weak)


@pytest.mark.parametrize("task", MEASURES)
def test_where_quality_is_the_same_everywhere_nothing_is_found(task):
    found = [searched(task, seed, planted=False)[0] for seed in SEEDS]
    assert sum(bool(one.weak) for one in found) <= 1  # each by chance in one of 40
    assert all(one.n_searched > 100 for one in found)


@pytest.mark.parametrize("task", MEASURES)
def test_the_figures_are_those_of_the_test_rows_of_the_slice(task):
    found, test = searched(task, 0, planted=True)
    item = next(item for item in found.weak if is_planted(item.value.slice))
    low, high = item.value.slice.removesuffix(" and origin=C").split("<=x3<")
    inside = ((test.X["origin"] == "C") & (test.X["x3"] >= float(low)) & (test.X["x3"] < float(high))).to_numpy()
    measure, value = MEASURES[task], item.value
    own, others = (point_value(measure.metric, test.y[rows], test.score[rows], task=task) for rows in (inside, ~inside))
    assert value.n == inside.sum()
    assert value.value == pytest.approx(own)
    assert value.low < own < value.high
    if task == "regression":
        assert item.difference.value == pytest.approx(own - others)
    assert item.difference.low < item.difference.value < item.difference.high


def test_rows_that_are_hard_and_known_to_be_are_no_finding():
    rng = np.random.default_rng(0)
    sets = [hard_rows(rng) for _ in range(2)]
    assert find_weak_slices(MEASURES["binary"], *sets).weak == ()


def hard_rows(rng):
    """Return rows of a place where the score knows nothing, and states so."""
    n = 20_000
    X = pd.DataFrame({"place": pd.Series(rng.choice(list("abcde"), size=n), dtype="str"), "x": rng.uniform(size=n)})
    score = np.where(X["place"] == "a", 0.3 + 0.01 * X["x"], X["x"].to_numpy())
    return ScoredRows(X=X, y=(rng.random(n) < score).astype(float), score=score, blocks=np.arange(n) * 14 // n)


def test_a_slice_that_lives_on_fewer_than_five_days_is_not_confirmed():
    rng = np.random.default_rng(0)
    sets = [scored_rows(rng, "regression", planted=True) for _ in range(2)]
    few = [ScoredRows(X=one.X, y=one.y, score=one.score, blocks=np.arange(len(one.y)) % 4) for one in sets]
    found = find_weak_slices(MEASURES["regression"], *few)
    assert found.n_searched > 100
    assert found.n_tested == 0


def test_more_blocks_than_can_be_left_out_are_merged():
    rng = np.random.default_rng(1)
    sets = [scored_rows(rng, "binary", planted=False, n_days=700, n=5000) for _ in range(2)]
    assert find_weak_slices(MEASURES["binary"], *sets).n_tested > 0


def test_an_empty_validation_set_yields_no_slice():
    rows = scored_rows(np.random.default_rng(0), "binary", planted=False, n=1000)
    none = ScoredRows(X=rows.X.head(0), y=rows.y[:0], score=rows.score[:0], blocks=rows.blocks[:0])
    found = find_weak_slices(MEASURES["binary"], none, rows)
    assert (found.n_searched, found.n_tested, found.weak) == (0, 0, ())


def test_several_classes_are_searched_too():
    rng, n = np.random.default_rng(0), 8000
    sets = []
    for _ in range(2):
        X = pd.DataFrame({"place": pd.Series(rng.choice(list("abcdefghij"), size=n), dtype="str")})
        score = rng.dirichlet([2.0, 2.0, 2.0], size=n)
        drawn = (rng.random(n)[:, None] < score.cumsum(axis=1)).argmax(axis=1)
        y = np.where(X["place"] == "d", 2 - drawn, drawn)
        sets.append(ScoredRows(X=X, y=np.array(["u", "v", "w"])[y], score=score, blocks=np.arange(n) * 14 // n))
    measure = Measure(task="multiclass", metric="log_loss", sign=-1.0, reading=Reading(classes=("u", "v", "w")))
    found = find_weak_slices(measure, *sets)
    assert [item.value.slice for item in found.weak] == ["place=d"]
    assert found.weak[0].expected is None
