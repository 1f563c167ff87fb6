import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.errors import ContractBroken, SchemaChanged
from tidemill.spec import BASELINES, candidates

EVERY = candidates("binary") + BASELINES


@pytest.mark.parametrize("name", EVERY)
def test_scores_are_probabilities_in_float64(fitted, test_set, name):
    scores = fitted(name).score(test_set[0])
    assert scores.dtype == np.float64
    assert scores.shape == (800,)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_row_scores_the_same_bits_in_any_batch_and_order(fitted, test_set, name, data):
    bundle, X = fitted(name), test_set[0]
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=70))
    whole = bundle.score(X)
    assert bundle.score(X.iloc[rows]).tobytes() == whole[rows].tobytes()


@pytest.mark.parametrize("name", EVERY)
def test_each_row_alone_scores_the_same_bits(fitted, test_set, name):
    bundle, X = fitted(name), test_set[0].head(40)
    alone = np.concatenate([bundle.score(X.iloc[[row]]) for row in range(len(X))])
    assert alone.tobytes() == bundle.score(X).tobytes()


@pytest.mark.parametrize("name", EVERY)
def test_an_unseen_category_is_scored(fitted, test_set, name):
    scores = fitted(name).score(test_set[0].assign(carrier="never seen", origin="neither"))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", ["xgboost", "random_forest"])
def test_trees_score_an_unseen_category_as_a_rare_one_and_not_as_a_missing_one(fitted, test_set, name):
    bundle, X = fitted(name), test_set[0]
    rare = bundle.preprocessing.named_transformers_["categorical"].infrequent_categories_[1][0]
    unseen = bundle.score(X.assign(carrier="never seen"))
    assert np.array_equal(unseen, bundle.score(X.assign(carrier=rare)))
    assert not np.array_equal(unseen, bundle.score(X.assign(carrier=None)))


@pytest.mark.parametrize("name", EVERY)
def test_rows_with_only_missing_values_are_scored(fitted, schema, name):
    X = pd.DataFrame(None, index=range(3), columns=list(schema.names), dtype=object)
    assert np.isfinite(fitted(name).score(X)).all()


@pytest.mark.parametrize("name", EVERY)
def test_no_rows_give_no_scores(fitted, test_set, name):
    assert fitted(name).score(test_set[0].head(0)).shape == (0,)


def test_types_of_the_frame_do_not_change_the_bits(fitted, test_set):
    X = test_set[0]
    other = X.assign(hour=X["hour"].astype("Int64"), carrier=X["carrier"].astype("category"))[X.columns[::-1]]
    assert np.array_equal(fitted("xgboost").score(other), fitted("xgboost").score(X))


def test_a_label_is_a_score_at_the_threshold(fitted, test_set):
    bundle = fitted("xgboost")
    assert np.array_equal(bundle.predict(test_set[0]), bundle.score(test_set[0]) >= bundle.threshold)


def test_infinity_is_refused_before_it_is_scored(fitted, test_set):
    with pytest.raises(ContractBroken, match="'wind'"):
        fitted("xgboost").score(test_set[0].assign(wind=np.inf))


def test_a_dropped_column_is_named(fitted, test_set):
    with pytest.raises(SchemaChanged, match="'wind'"):
        fitted("xgboost").score(test_set[0].drop(columns="wind"))
