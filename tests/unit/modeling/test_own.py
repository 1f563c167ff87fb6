"""Estimators of the user's own, named by import path."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from tidemill.errors import NotTrainable, SpecError
from tidemill.modeling.estimators import fit, instance_of
from tidemill.spec import Own

HERE = __name__


class Forgetful(Ridge):
    """Ignores the seed: each fit gives another model."""

    def fit(self, X, y):
        self.alpha = np.random.default_rng().uniform(1, 1e5)
        return super().fit(X, y)


class Gregarious(Ridge):
    """Looks at the other rows of a batch."""

    def predict(self, X):
        return super().predict(X) - X[:, 0].mean()


class Choosy(LogisticRegression):
    """Takes only what it likes."""

    def fit(self, X, y):
        raise ValueError("I want a matrix of integers")


OWN = {
    "extra_trees": ("ensemble.ExtraTreesClassifier", {"n_estimators": 20, "min_samples_leaf": 5}, "codes"),
    "neighbours": ("neighbors.KNeighborsClassifier", {"n_neighbors": 15}, "columns"),
    "network": ("neural_network.MLPClassifier", {"max_iter": 300, "tol": 0.01}, "columns"),
    "bayes": ("naive_bayes.GaussianNB", {}, "columns"),
    "logistic": ("linear_model.LogisticRegression", {"C": 0.1, "max_iter": 500}, "columns"),
    "trees": ("ensemble.ExtraTreesRegressor", {"n_estimators": 20, "min_samples_leaf": 5}, "rates"),
    "vectors": ("svm.SVR", {"C": 10.0}, "columns"),
}
CLASSIFIERS, REGRESSORS = tuple(OWN)[:5], tuple(OWN)[5:]


def own(name):
    type, parameters, encoding = OWN[name]
    return Own(type=f"sklearn.{type}", parameters=parameters, encoding=encoding)


@pytest.fixture
def fit_own(schema, sets):
    def fit_it(described, task="regression", name="mine", **options):
        train, validation, _ = sets[task]
        return fit(
            name, task, schema, *train, *validation, random_state=7, n_threads=1, own={"mine": described}, **options
        )

    return fit_it


@pytest.mark.parametrize(
    ("task", "name"),
    [*(("multiclass", name) for name in CLASSIFIERS), *(("regression", name) for name in REGRESSORS)],
)
def test_an_estimator_of_scikit_learns_stands_beside_the_built_in_ones(fit_own, fitted_for, sets, task, name):
    bundle, X = fit_own(own(name), task), sets[task][2][0]
    whole = bundle.score(X)
    assert whole.shape == fitted_for(task, "prior").score(X).shape
    rows = np.random.default_rng(1).permutation(len(X))[:77]
    assert bundle.score(X.iloc[rows]).tobytes() == whole[rows].tobytes()


def test_a_binary_task_takes_one_too(schema, train, validation, test_set):
    described = {"mine": own("extra_trees")}
    bundle = fit("mine", "binary", schema, *train, *validation, random_state=7, n_threads=1, own=described)
    assert "validation rows" in bundle.threshold_criterion
    assert ((bundle.score(test_set[0]) >= 0) & (bundle.score(test_set[0]) <= 1)).all()


def test_seed_and_threads_come_from_the_spec(fit_own):
    model = fit_own(own("trees")).model  # one thread is scikit-learn's default
    assert (model.random_state, model.n_jobs) == (7, None)


def test_a_seed_that_the_spec_names_stands(fit_own):
    described = own("trees").model_copy(update={"parameters": {"random_state": 3, "n_estimators": 5}})
    assert fit_own(described).model.random_state == 3


def test_parameters_of_a_search_replace_those_of_the_spec(fit_own):
    assert fit_own(own("trees"), parameters={"n_estimators": 3}).model.n_estimators == 3


def test_a_model_that_cannot_repeat_itself_is_refused(fit_own):
    with pytest.raises(NotTrainable, match="produces different scores when it is fitted again"):
        fit_own(Own(type=f"{HERE}.Forgetful"))


def test_a_model_that_looks_at_other_rows_is_refused(fit_own):
    with pytest.raises(NotTrainable, match="scores a row differently when other rows are in the batch"):
        fit_own(Own(type=f"{HERE}.Gregarious"))


def test_what_it_says_when_it_refuses_the_data_is_passed_on(fit_own):
    with pytest.raises(NotTrainable, match="rejects the train set: I want a matrix of integers"):
        fit_own(Own(type=f"{HERE}.Choosy"), "multiclass")


@pytest.mark.parametrize("path", ["sklearn.ensemble.ExtraTrees", "no_such_package.Model"])
def test_a_class_that_cannot_be_imported_is_named(fit_own, path):
    with pytest.raises(SpecError, match=rf"train\.own\.mine: {path} cannot be imported"):
        fit_own(Own(type=path))


def test_an_object_that_is_not_a_class_is_refused(fit_own):
    with pytest.raises(SpecError, match=r"sklearn\.base\.clone is not a class"):
        fit_own(Own(type="sklearn.base.clone"))


def test_a_class_that_cannot_answer_the_task_is_refused(fit_own):
    with pytest.raises(SpecError, match="has no predict_proba, so 'mine' cannot serve task 'multiclass'"):
        fit_own(own("vectors"), "multiclass")


def test_an_unknown_parameter_is_refused_with_the_valid_ones(fit_own):
    described = own("trees").model_copy(update={"parameters": {"n_trees": 3}})
    with pytest.raises(SpecError, match=r"has no parameter 'n_trees'\. Valid parameters: n_estimators, "):
        fit_own(described)


def test_arguments_behind_kwargs_are_those_that_the_class_says_it_has(fit_own):
    described = Own(type="xgboost.XGBRegressor", parameters={"n_estimators": 5}, encoding="codes")
    assert fit_own(described).model.n_estimators == 5
    with pytest.raises(SpecError, match=r"has no parameter 'n_trees'\. Valid parameters: objective, "):
        fit_own(described.model_copy(update={"parameters": {"n_trees": 5}}))


@pytest.mark.parametrize("booster", ["dart", "gblinear"])
def test_boosters_that_are_not_plain_trees_are_refused(booster):
    described = Own(type="xgboost.XGBRegressor", parameters={"booster": booster})
    with pytest.raises(SpecError, match=f"train.own.mine: booster '{booster}' is refused"):
        instance_of("mine", described, "regression")


def test_a_search_cannot_bring_a_refused_booster_in():
    described = Own(type="xgboost.XGBRegressor")
    with pytest.raises(SpecError, match="booster 'dart' is refused"):
        instance_of("mine", described, "regression", parameters={"booster": "dart"})
