"""What LightGBM and CatBoost add to the tests of all estimators: silence, a missing package, batches, directions."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tidemill.errors import NotTrainable, SpecError
from tidemill.modeling.boosters import LIBRARY_MODELS
from tidemill.modeling.estimators import fit, prepare
from tidemill.modeling.schema import FeatureSchema
from tidemill.spec import Own
from tidemill.versions import OPTIONAL_LIBRARIES, load_library

LIBRARIES = tuple(kind.library for kind in LIBRARY_MODELS)
TASKS = ("binary", "multiclass", "regression")
ROUNDS = {"lightgbm": "num_iterations", "catboost": "iterations"}


def fit_one(name, schema, train, validation, **options):
    return fit(name, "binary", schema, *train, *validation, **{"random_state": 7, "n_threads": 1, **options})


def bundle_of(task, name, fitted, fitted_for):
    return fitted(name) if task == "binary" else fitted_for(task, name)


def test_the_recorded_libraries_are_those_of_the_models():
    assert set(LIBRARIES) == set(OPTIONAL_LIBRARIES)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_package_is_an_error_that_names_the_extra(schema, train, validation, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SpecError, match=rf"needs the package {name}, which .*pip install 'tidemill\[{name}\]'"):
        fit_one(name, schema, train, validation)
    with pytest.raises(SpecError, match=rf"tidemill\[{name}\]"):
        load_library(name)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_custom_class_with_the_same_name_needs_no_package(schema, train, validation, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    own = {name: Own(type="sklearn.linear_model.LogisticRegression")}
    assert len(fit_one(name, schema, train, validation, own=own).score(train[0])) == len(train[0])


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("task", TASKS)
def test_fitting_and_scoring_print_and_warn_nothing(sets, schema, train, validation, capfd, task, name):
    some, aside, _ = (train, validation, None) if task == "binary" else sets[task]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bundle = fit(name, task, schema, *some, *aside, random_state=7, n_threads=1)
        bundle.score(some[0])
        type(bundle.model)(bundle.model.text).contributions(bundle.preprocessing.transform(some[0].head(5)), 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("task", TASKS)
def test_a_score_does_not_depend_on_the_batch(fitted, fitted_for, test_set, task, name):
    bundle, X = bundle_of(task, name, fitted, fitted_for), test_set[0]
    whole = bundle.score(X)
    for n_rows in (1, 2, 3, 7, 8, 127, 128, 129, 300):
        rows = np.random.default_rng(n_rows).permutation(len(X))[:n_rows]
        assert bundle.score(X.iloc[rows]).tobytes() == whole[rows].tobytes()


@pytest.mark.parametrize("name", LIBRARIES)
def test_threads_change_no_bit_of_a_score(fitted, test_set, name):
    matrix = fitted(name).preprocessing.transform(test_set[0])
    assert fitted(name).score_of(matrix, 2).tobytes() == fitted(name).score_of(matrix, 1).tobytes()


@pytest.mark.parametrize("name", LIBRARIES)
def test_early_stopping_keeps_the_best_rounds_only(schema, train, validation, test_set, name):
    stopped = fit_one(name, schema, train, validation)
    matrix, last = stopped.preprocessing.transform(validation[0]), n_trees(stopped)
    limit = {"lightgbm": "num_iteration", "catboost": "ntree_end"}[name]
    aucs = [roc_auc_score(validation[1], stopped.model.native.predict(matrix, **{limit: n + 1})) for n in range(last)]
    assert 1 <= last < 900
    assert np.argmax(aucs) == last - 1


def n_trees(bundle):
    native = bundle.model.native
    return native.num_trees() if bundle.estimator == "lightgbm" else native.tree_count_


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_number_of_rounds_is_a_parameter(schema, train, validation, name):
    nothing = (validation[0].head(0), validation[1][:0])
    assert n_trees(fit_one(name, schema, train, nothing, parameters={ROUNDS[name]: 13})) == 13


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_parameter_that_is_unknown_is_refused_with_the_valid_ones(schema, train, validation, name):
    with pytest.raises(SpecError, match=rf"'{name}' has no parameter 'depht'\. Valid parameters: learning_rate, "):
        fit_one(name, schema, train, validation, parameters={"depht": 3})


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_value_that_the_library_rejects_is_refused_in_its_words(schema, train, validation, name):
    parameters = {"lightgbm": {"bagging_fraction": 7.0}, "catboost": {"depth": 40}}[name]
    with pytest.raises(NotTrainable, match=rf"'{name}' rejects the train set or its parameters: \S"):
        fit_one(name, schema, train, validation, parameters=parameters)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("direction", ["increasing", "decreasing"])
def test_a_declared_direction_holds_for_every_row(train, validation, test_set, name, direction):
    schema = FeatureSchema(numeric=("hour", "wind"), categorical=("origin",), **{direction: ("hour",)})
    bundle = fit_one(name, schema, train, validation)
    X = test_set[0].head(100)
    scores = np.array([bundle.score(X.assign(hour=float(hour))) for hour in range(5, 23)])
    steps = np.diff(scores, axis=0)
    assert (steps >= 0).all() if direction == "increasing" else (steps <= 0).all()


@pytest.mark.parametrize("name", LIBRARIES)
def test_missing_values_that_training_never_saw_get_a_score(train, validation, name):
    schema = FeatureSchema(numeric=("hour", "wind"), categorical=("origin",))
    bundle = fit_one(name, schema, train, validation)
    strange = pd.DataFrame({"hour": [np.nan, 1e30], "wind": [np.nan, -1e30], "origin": [None, "unseen"]})
    assert np.isfinite(bundle.score(strange)).all()


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_largest_seed_works_and_is_another_than_zero(schema, train, validation, name):
    nothing = (validation[0].head(0), validation[1][:0])
    scores = [
        fit_one(name, schema, train, nothing, random_state=seed, parameters={ROUNDS[name]: 20}).score(train[0])
        for seed in (0, 2**32 - 1)
    ]
    assert not np.array_equal(*scores)


@pytest.mark.parametrize("name", LIBRARIES)
def test_other_parameters_on_the_same_rows_may_change_the_bins(schema, train, validation, name):
    prepared = prepare(name, "binary", schema, *train, *validation, random_state=7, n_threads=1)
    bins = {"lightgbm": "max_bin", "catboost": "border_count"}[name]
    coarse = prepared.fit({bins: 5}).score(train[0])
    assert not np.array_equal(coarse, prepared.fit({bins: 50}).score(train[0]))
