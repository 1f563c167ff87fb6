import numpy as np
import pandas as pd
import pytest

from tidemill.errors import NotTrainable, SpecError
from tidemill.metrics.evaluation import point_value
from tidemill.modeling.estimators import fit, prepare, rounds_of
from tidemill.modeling.schema import FeatureSchema
from tidemill.spec import BASELINES, candidates

CANDIDATES = candidates("binary")


def fit_one(name, schema, train, validation, task="binary", random_state=7):
    return fit(name, task, schema, *train, *validation, random_state=random_state, n_threads=1)


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_learns_more_than_every_baseline(fitted, test_set, name):
    X, y = test_set
    best_baseline = max(point_value("roc_auc", y, fitted(baseline).score(X)) for baseline in BASELINES)
    assert point_value("roc_auc", y, fitted(name).score(X)) > best_baseline


def test_the_prior_scores_every_row_with_the_base_rate(fitted, train, test_set):
    assert np.allclose(fitted("prior").score(test_set[0]), train[1].mean())


def test_group_rate_chooses_the_categorical_that_ranks_the_validation_set_best(train, validation):
    schema = FeatureSchema(categorical=("noise", "origin"))
    rng = np.random.default_rng(0)
    train, validation = ((X.assign(noise=rng.choice(["a", "b"], len(X))), y) for X, y in (train, validation))
    bundle = fit_one("group_rate", schema, train, validation)
    assert len(np.unique(bundle.score(validation[0].assign(noise="a")))) > 1


def test_group_rate_mixes_the_overall_rate_into_a_category(train, validation):
    X, y = train
    bundle = fit_one("group_rate", FeatureSchema(categorical=("origin",)), train, validation)
    mine = (X["origin"] == "JFK").to_numpy()
    expected = (y[mine].sum() + 20 * y.mean()) / (mine.sum() + 20)
    assert bundle.score(pd.DataFrame({"origin": ["JFK"]}))[0] == pytest.approx(expected)


@pytest.mark.parametrize("name", CANDIDATES + BASELINES)
def test_the_same_fit_twice_scores_the_same_bits(fitted, schema, train, validation, test_set, name):
    again = fit_one(name, schema, train, validation)
    assert again.score(test_set[0]).tobytes() == fitted(name).score(test_set[0]).tobytes()


def test_the_global_random_state_plays_no_part(fitted, schema, train, validation, test_set):
    state = np.random.get_state()
    np.random.seed(99)
    again = fit_one("hist_gradient_boosting", schema, train, validation)
    np.random.set_state(state)
    assert np.array_equal(again.score(test_set[0]), fitted("hist_gradient_boosting").score(test_set[0]))


def test_another_seed_gives_another_model(fitted, schema, train, validation, test_set):
    other = fit_one("xgboost", schema, train, validation, random_state=8)
    assert not np.array_equal(other.score(test_set[0]), fitted("xgboost").score(test_set[0]))


def test_the_largest_seed_works(schema, train, validation):
    assert fit_one("xgboost", schema, train, validation, random_state=2**32 - 1).random_state == 2**32 - 1


def test_xgboost_keeps_only_the_rounds_up_to_its_best(fitted):
    model = fitted("xgboost").model
    assert model.num_boosted_rounds() < 900


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "catboost"])  # the spec refuses its refit
def test_a_fit_without_validation_and_with_the_rounds_of_another_is_that_fit(fitted, schema, train, test_set, name):
    nothing, judged = (train[0].head(0), train[1][:0]), fitted(name)
    again = fit(name, "binary", schema, *train, *nothing, random_state=7, n_threads=1, parameters=rounds_of(judged))
    assert again.score(test_set[0]).tolist() == judged.score(test_set[0]).tolist()


@pytest.mark.parametrize("name", CANDIDATES + BASELINES)
def test_an_empty_validation_set_is_possible(schema, train, validation, name):
    nothing = (validation[0].head(0), validation[1][:0])
    assert fit_one(name, schema, train, nothing).threshold == 0.5


@pytest.mark.parametrize("name", CANDIDATES + BASELINES)
def test_a_validation_set_of_one_class_is_possible(schema, train, validation, name):
    rows = validation[1]
    assert fit_one(name, schema, train, (validation[0][rows], validation[1][rows])).threshold == 0.5


@pytest.mark.parametrize("name", CANDIDATES + BASELINES)
def test_columns_without_any_value_are_possible(schema, train, validation, name):
    empty = [(X.assign(gust=np.nan, origin=None), y) for X, y in (train, validation)]
    assert np.isfinite(fit_one(name, schema, *empty).score(train[0])).all()


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_schema_of_one_kind_is_possible(train, validation, name):
    for schema in (FeatureSchema(numeric=("hour",)), FeatureSchema(categorical=("origin",))):
        assert np.isfinite(fit_one(name, schema, train, validation).score(train[0])).all()


def test_the_threshold_is_recorded_with_its_criterion(fitted):
    assert "best F1 on 500 validation rows" in fitted("xgboost").threshold_criterion


def test_too_few_rows_are_refused_with_the_counts(schema, train, validation):
    few = (train[0].head(99), train[1][:99])
    with pytest.raises(NotTrainable, match=r"99 labelled rows, \d+ of them positive; at least 100"):
        fit_one("xgboost", schema, few, validation)


@pytest.mark.parametrize(("label", "count"), [(True, 1500), (False, 0)])
def test_a_single_class_is_refused_with_the_counts(schema, train, validation, label, count):
    with pytest.raises(NotTrainable, match=f"1500 labelled rows, {count} of them positive; both classes"):
        fit_one("xgboost", schema, (train[0], np.full(1500, label)), validation)


def test_an_unknown_estimator_is_refused_with_the_valid_ones(schema, train, validation):
    with pytest.raises(SpecError, match=r"'xgbost' is unknown. Did you mean 'xgboost'\? Choose one of xgboost, hist"):
        fit_one("xgbost", schema, train, validation)


def test_an_unknown_task_is_refused_with_the_valid_ones(schema, train, validation):
    with pytest.raises(SpecError, match=r"'ranking' is unknown\. Choose one of binary, multiclass, regression"):
        fit_one("xgboost", schema, train, validation, task="ranking")


def test_a_schema_without_features_is_refused(train, validation):
    with pytest.raises(SpecError, match="no features"):
        fit_one("xgboost", FeatureSchema(), train, validation)


def test_group_rate_without_a_categorical_is_the_prior(train, validation):
    bundle = fit_one("group_rate", FeatureSchema(numeric=("hour",)), train, validation)
    assert len(set(bundle.score(validation[0]))) == 1


def test_a_missing_label_is_the_callers_mistake(schema, train, validation):
    with pytest.raises(ValueError, match="without missing values"):
        fit_one("xgboost", schema, (train[0], np.where(train[1], 1.0, np.nan)), validation)


SETTINGS = {
    "xgboost": {"max_depth": 3, "learning_rate": 0.2, "subsample": 0.6},
    "hist_gradient_boosting": {"max_leaf_nodes": 7, "max_features": 0.5},
    "lightgbm": {"num_leaves": 7, "min_data_in_leaf": 5, "learning_rate": 0.2},
    "catboost": {"depth": 3, "rsm": 0.5},
    "random_forest": {"max_depth": 4},
    "logistic_regression": {"C": 0.01},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_made_ready_once_give_the_bits_of_rows_made_ready_each_time(schema, train, validation, test_set, name):
    prepared = prepare(name, "binary", schema, *train, *validation, random_state=7, n_threads=1)
    prepared.fit()
    several = prepared.fit(SETTINGS[name])
    alone = fit(name, "binary", schema, *train, *validation, random_state=7, n_threads=1, parameters=SETTINGS[name])
    assert several.score(test_set[0]).tobytes() == alone.score(test_set[0]).tobytes()


@pytest.mark.parametrize("name", SETTINGS)
def test_fitting_with_other_parameters_leaves_the_defaults_as_they_were(
    fitted, schema, train, validation, test_set, name
):
    prepared = prepare(name, "binary", schema, *train, *validation, random_state=7, n_threads=1)
    prepared.fit(SETTINGS[name])
    assert prepared.fit().score(test_set[0]).tobytes() == fitted(name).score(test_set[0]).tobytes()
