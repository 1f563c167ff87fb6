import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.leakage import find_leaks, single_feature_auc
from tidemill.modeling.metrics import point_value
from tidemill.modeling.schema import FeatureSchema


def with_leaks(X, y):
    """Plant what leaks look like: a noisy copy of the label as flag and as text, and a delay known afterwards."""
    rng = np.random.default_rng(0)
    copy = y ^ (rng.random(len(y)) < 0.05)
    delay = np.where(y, rng.normal(50, 20, len(y)), rng.normal(0, 10, len(y)))
    return X.assign(
        copy=copy, status=np.where(copy, "late", "on time"), dep_delay=delay, code=np.arange(len(y)).astype(str)
    )


LEAKY = FeatureSchema(
    numeric=("hour", "wind", "gust", "copy", "dep_delay"), categorical=("origin", "carrier", "status", "code")
)


def test_planted_leaks_are_named_and_no_honest_feature_is(train):
    found = find_leaks(with_leaks(*train), train[1], LEAKY)
    assert {name for name, _ in found} == {"copy", "status", "dep_delay"}


def test_the_worst_leak_comes_first(train):
    aucs = [auc for _, auc in find_leaks(with_leaks(*train), train[1], LEAKY)]
    assert aucs == sorted(aucs, reverse=True)


def test_a_copy_with_five_percent_noise_reaches_95(train):
    assert single_feature_auc(with_leaks(*train), train[1], LEAKY)["copy"] == pytest.approx(0.95, abs=0.02)


def test_a_leak_that_points_down_is_folded(train):
    X = train[0].assign(hour=-with_leaks(*train)["dep_delay"])
    assert single_feature_auc(X, train[1], LEAKY_HOUR)["hour"] > 0.95


LEAKY_HOUR = FeatureSchema(numeric=("hour",))


def test_a_leak_by_being_missing_is_found(train):
    X, y = train
    assert find_leaks(X.assign(hour=np.where(y, np.nan, X["hour"])), y, LEAKY_HOUR) == [("hour", 1.0)]


def test_a_leak_in_the_middle_of_the_range_is_found(train):
    X, y = train
    rng = np.random.default_rng(0)
    hour = np.where(y, rng.uniform(-1, 1, len(y)), rng.choice([-1, 1], len(y)) * rng.uniform(1, 2, len(y)))
    assert find_leaks(X.assign(hour=hour), y, LEAKY_HOUR)[0][0] == "hour"


def test_a_key_of_its_own_for_each_row_says_nothing(train):
    auc = single_feature_auc(with_leaks(*train), train[1], FeatureSchema(categorical=("code",)))["code"]
    assert auc < 0.55


def test_the_auc_of_a_number_is_at_least_its_rank_auc(train):
    X, y = train
    assert single_feature_auc(X, y, LEAKY_HOUR)["hour"] >= point_value("roc_auc", y, X["hour"] / 24)


@pytest.mark.parametrize("values", [np.nan, 1.0])
def test_a_column_of_one_value_says_nothing(train, values):
    assert single_feature_auc(train[0].assign(hour=values), train[1], LEAKY_HOUR)["hour"] == pytest.approx(
        0.5, abs=0.02
    )


def test_a_single_class_names_nothing(train, schema):
    assert find_leaks(train[0], np.ones(1500), schema) == []


def test_the_limit_is_the_callers(train, schema):
    assert {name for name, _ in find_leaks(pd.DataFrame(train[0]), train[1], schema, limit=0.6)} == {"hour"}
