import time

import numpy as np
import pandas as pd

from tidemill.modeling.importance import Shuffles, correlated_groups, permutation_importance


def by_feature(figures):
    return {figure.feature: figure for figure in figures}


def test_every_feature_has_a_figure_the_most_important_first(fitted, schema, test_set):
    figures = permutation_importance(fitted("xgboost"), *test_set)
    assert {figure.feature for figure in figures} == set(schema.names)
    assert [figure.value for figure in figures] == sorted((figure.value for figure in figures), reverse=True)


def test_what_the_label_depends_on_comes_first(fitted, test_set):
    assert permutation_importance(fitted("xgboost"), *test_set)[0].feature == "hour"


def test_the_interval_of_a_useful_feature_is_above_0(fitted, test_set):
    figure = by_feature(permutation_importance(fitted("xgboost"), *test_set, shuffles=Shuffles(n_repeats=5)))["hour"]
    assert 0 < figure.low < figure.value < figure.high


def test_a_feature_that_the_model_ignores_has_exactly_0(fitted, test_set):
    figures = permutation_importance(fitted("prior"), *test_set)
    assert all(figure.value == 0 for figure in figures)


def test_the_same_seed_gives_the_same_figures(fitted, test_set):
    bundle = fitted("xgboost")
    assert permutation_importance(bundle, *test_set) == permutation_importance(bundle, *test_set)


def test_no_more_rows_are_used_than_allowed(fitted, test_set):
    assert permutation_importance(fitted("xgboost"), *test_set, shuffles=Shuffles(max_rows=300))[0].n == 300


def test_a_single_class_is_nan(fitted, test_set):
    figures = permutation_importance(fitted("xgboost"), test_set[0], np.ones(800))
    assert np.isnan([figure.value for figure in figures]).all()


def test_five_features_of_12000_rows_take_a_seventh_of_15_seconds(fitted, test_set):
    X, y = test_set[0].sample(12_000, replace=True, random_state=0), np.resize([0, 1], 12_000)
    bundle = fitted("xgboost")
    started = time.process_time()
    permutation_importance(bundle, X, y)
    assert time.process_time() - started < 15 * 5 / 35


def test_numbers_that_are_linked_by_others_are_one_group():
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=2000), rng.normal(size=(3, 2000))
    b = a + 0.6 * noise[0]
    c = b + 0.6 * noise[1]  # follows b closely, and a less
    X = pd.DataFrame({"a": a, "place": ["x", "y"] * 1000, "c": -np.exp(c), "own": noise[2], "b": b})
    assert abs(X["a"].corr(X["c"], method="spearman")) < 0.78
    groups = correlated_groups(X, ["a", "c", "own", "b"])
    assert groups == {"a": ("a", "c", "b"), "place": ("place",), "own": ("own",)}


def test_a_constant_or_empty_number_is_a_group_of_its_own():
    X = pd.DataFrame({"one": [1.0, 1.0, 1.0], "none": [np.nan] * 3, "n": [1.0, 2.0, 3.0]})
    assert correlated_groups(X, ["one", "none", "n"]) == {"one": ("one",), "none": ("none",), "n": ("n",)}
