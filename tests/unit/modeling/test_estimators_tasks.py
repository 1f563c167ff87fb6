"""Fitting several classes and numbers; what all tasks have in common is in ``test_estimators``."""

import numpy as np
import pandas as pd
import pytest

from tidemill.errors import NotTrainable, SpecError
from tidemill.metrics.definitions import default_metric, greater_is_better
from tidemill.metrics.evaluation import point_value
from tidemill.modeling.estimators import fit
from tidemill.modeling.estimators.registry import recipe_of
from tidemill.modeling.schema import FeatureSchema
from tidemill.spec import BASELINES, CANDIDATES, candidates

TASKS = ("multiclass", "regression")
CANDIDATES_BY_TASK = [(task, name) for task in TASKS for name in candidates(task)]
EVERY = CANDIDATES_BY_TASK + [(task, name) for task in TASKS for name in BASELINES]

BOOSTED = ("xgboost", "hist_gradient_boosting")


def fit_one(name, task, schema, train, validation, **options):
    return fit(name, task, schema, *train, *validation, random_state=7, n_threads=1, **options)


def quality(bundle, X, y):
    """The task's metric, the higher the better."""
    metric = default_metric(bundle.task)
    value = point_value(metric, y, bundle.score(X), task=bundle.task, classes=bundle.classes or None)
    return value if greater_is_better(metric) else -value


def constant(values, length):
    return np.resize(np.array(values, dtype=object), length)


@pytest.mark.parametrize(("task", "name"), CANDIDATES_BY_TASK)
def test_a_candidate_learns_more_than_every_baseline(fitted_for, sets, task, name):
    test = sets[task][2]
    assert quality(fitted_for(task, name), *test) > max(quality(fitted_for(task, b), *test) for b in BASELINES)


@pytest.mark.parametrize("task", TASKS)
def test_baselines_get_better_with_what_they_know(fitted_for, sets, task):
    prior, group_rate, shallow_tree = (quality(fitted_for(task, name), *sets[task][2]) for name in BASELINES)
    assert prior < group_rate < shallow_tree


def test_the_prior_is_the_share_of_each_class_or_the_median_label(fitted_for, sets):
    X, labels = sets["multiclass"][0]
    shares = [np.mean(labels == name) for name in ("early", "late", "on time")]
    assert np.allclose(fitted_for("multiclass", "prior").score(X), shares)
    assert np.allclose(fitted_for("regression", "prior").score(X), np.median(sets["regression"][0][1]))


def test_group_rate_chooses_the_categorical_with_the_least_error_on_validation(sets):
    train, validation, _ = sets["regression"]
    rng = np.random.default_rng(0)
    train, validation = ((X.assign(noise=rng.choice(["a", "b"], len(X))), y) for X, y in (train, validation))
    bundle = fit_one("group_rate", "regression", FeatureSchema(categorical=("noise", "origin")), train, validation)
    assert len(np.unique(bundle.score(validation[0].assign(noise="a")))) > 1


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_the_same_fit_twice_scores_the_same_bits(fitted_for, schema, sets, task, name):
    train, validation, test = sets[task]
    state = np.random.get_state()
    np.random.seed(99)  # the global state plays no part
    again = fit_one(name, task, schema, train, validation)
    np.random.set_state(state)
    assert again.score(test[0]).tobytes() == fitted_for(task, name).score(test[0]).tobytes()


def test_scores_of_two_threads_are_the_same_bits_twice(schema, sets):
    train, validation, test = sets["regression"]
    for name in ("xgboost", "hist_gradient_boosting", "random_forest"):
        scores = [
            fit(name, "regression", schema, *train, *validation, random_state=7, n_threads=2).score(test[0])
            for _ in range(2)
        ]
        assert scores[0].tobytes() == scores[1].tobytes()


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_a_poor_validation_set_and_columns_without_any_value_are_possible(schema, sets, task, name):
    train, validation, _ = sets[task]
    train = (train[0].assign(gust=np.nan, origin=None), train[1])
    for n_rows in (0, 1) if name in BOOSTED else (0,):
        few = (validation[0].head(n_rows), validation[1][:n_rows])
        assert np.isfinite(fit_one(name, task, schema, train, few).score(train[0])).all()


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_two_classes_and_rare_ones_are_classes_too(schema, sets, task, name):
    if task == "regression":
        return
    train, validation, test = sets[task]
    for labels in (["a", "b"], ["a"] * 60 + ["b"] * 60 + ["rare"]):
        y, y_aside = (constant(labels, len(rows[0])) for rows in (train, validation))
        score = fit_one(name, task, schema, (train[0], y), (validation[0], y_aside)).score(test[0])
        assert np.allclose(score.sum(axis=1), 1)


@pytest.mark.parametrize("name", candidates("multiclass"))
def test_a_class_that_only_validation_has_is_left_out_of_the_fit_and_reported(fitted_for, schema, sets, name):
    train, (X, y), test = sets["multiclass"]
    strange = constant(["early", "late", "diverted", "on time"], len(y))
    bundle = fit_one(name, "multiclass", schema, train, (X, strange))
    assert bundle.classes == ("early", "late", "on time")
    assert bundle.score(test[0]).shape == (len(test[0]), 3)
    (remark,) = bundle.remarks
    assert remark.startswith("50 of 200 validation rows are of class 'diverted', which the train set lacks")


def test_a_number_comes_with_an_interval_from_validation(fitted_for, sets):
    bundle, (X, y) = fitted_for("regression", "ridge"), sets["regression"][1]
    low, high = bundle.interval(X)
    assert 0.78 <= np.mean((low <= y) & (y <= high)) <= 0.82
    assert bundle.threshold is None


def test_too_small_a_validation_set_gives_no_interval_and_says_so(schema, sets):
    train, (X, y), _ = sets["regression"]
    bundle = fit_one("ridge", "regression", schema, train, (X.head(8), y[:8]))
    assert bundle.remarks == ("No interval: 8 validation rows are too few to estimate its bounds.",)
    assert np.isnan(bundle.interval(X)[0]).all()


# ---------------------------------------------------------------- what cannot be trained


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", CANDIDATES)
def test_too_few_rows_are_refused_whatever_the_estimator(schema, sets, task, name):
    if name not in candidates(task):
        return
    train, validation, _ = sets[task]
    with pytest.raises(NotTrainable, match="99 labelled rows; at least 100"):
        fit_one(name, task, schema, (train[0].head(99), train[1][:99]), validation)


def test_a_single_class_is_refused_by_name(schema, sets):
    train, validation, _ = sets["multiclass"]
    with pytest.raises(NotTrainable, match="500 labelled rows, all of class 'late'; 2 to 200 classes"):
        fit_one("xgboost", "multiclass", schema, (train[0], constant(["late"], 500)), validation)


def test_a_key_as_a_class_is_refused(schema, sets):
    train, validation, _ = sets["multiclass"]
    keys = np.array([f"flight {number}" for number in range(500)], dtype=object)
    with pytest.raises(NotTrainable, match="500 labelled rows, 500 classes"):
        fit_one("xgboost", "multiclass", schema, (train[0], keys), validation)


def test_a_constant_label_is_refused(schema, sets):
    train, validation, _ = sets["regression"]
    with pytest.raises(NotTrainable, match=r"the label is 3\.5 in all of them; it has to vary"):
        fit_one("xgboost", "regression", schema, (train[0], np.full(500, 3.5)), validation)


def test_a_label_beyond_what_estimators_read_is_refused(schema, sets):
    train, validation, _ = sets["regression"]
    with pytest.raises(NotTrainable, match=r"with a label of -1e\+300; numbers up to 1e\+30 fit"):
        fit_one("xgboost", "regression", schema, (train[0], np.append(train[1][1:], -1e300)), validation)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_the_callers_mistake(schema, sets, bad):
    train, validation, _ = sets["regression"]
    with pytest.raises(ValueError, match="finite numbers"):
        fit_one("ridge", "regression", schema, (train[0], np.append(train[1][1:], bad)), validation)


def test_a_missing_class_is_the_callers_mistake(schema, sets):
    train, validation, _ = sets["multiclass"]
    with pytest.raises(ValueError, match="without missing values"):
        fit_one("xgboost", "multiclass", schema, (train[0], constant(["a", None], 500)), validation)


# ---------------------------------------------------------------- names and parameters


@pytest.mark.parametrize(("task", "name"), [("binary", "ridge"), ("regression", "logistic_regression")])
def test_an_estimator_of_another_task_is_refused_with_the_valid_ones(schema, sets, task, name):
    train, validation, _ = sets["regression"]
    with pytest.raises(SpecError, match=rf"'{name}' is not for task '{task}'.*Choose one of xgboost"):
        fit_one(name, task, schema, train, validation)


def test_a_parameter_replaces_the_default(fitted_for, schema, sets):
    train, validation, _ = sets["regression"]
    strong = fit_one("ridge", "regression", schema, train, validation, parameters={"alpha": 1e6})
    assert np.abs(strong.model.coef_).max() < np.abs(fitted_for("regression", "ridge").model.coef_).max() / 100


def test_an_unknown_parameter_is_refused_with_the_valid_ones(schema, sets):
    train, validation, _ = sets["regression"]
    with pytest.raises(SpecError, match=r"'ridge' has no parameter 'alfa'\. Valid parameters: alpha\."):
        fit_one("ridge", "regression", schema, train, validation, parameters={"alfa": 1.0})


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("xgboost", {"n_rounds": 5, "max_bin": 16, "objective": "reg:absoluteerror", "max_leaves": 8, "gamma": 0.1}),
        ("hist_gradient_boosting", {"max_iter": 5, "loss": "absolute_error", "max_depth": 2, "max_bins": 20}),
        ("random_forest", {"n_estimators": 5, "max_features": 0.5, "max_depth": None, "criterion": "squared_error"}),
    ],
)
def test_parameters_reach_the_estimator(schema, sets, name, parameters):
    train, validation, _ = sets["regression"]
    assert set(parameters) <= set(recipe_of(name, "regression").parameters)
    assert np.isfinite(
        fit_one(name, "regression", schema, train, validation, parameters=parameters).score(train[0])
    ).all()


PINBALL = """
import numpy as np
from tidemill.metrics.own import metric


@metric(greater_is_better=False)
def loss(y_true, y_score):
    return np.maximum(0.8 * (y_true - y_score), 0.2 * (y_score - y_true))
"""


@pytest.mark.parametrize(
    ("metric", "loss"),
    [
        ("mean_absolute_error", lambda errors: np.abs(errors).mean()),
        ("median_absolute_error", lambda errors: np.sort(np.abs(errors))[len(errors) // 2]),
        ("root_mean_squared_error", lambda errors: (errors**2).mean()),
        ("r2_score", lambda errors: (errors**2).mean()),
        ("late_is_dear:loss", lambda errors: np.maximum(0.8 * errors, -0.2 * errors).mean()),
    ],
)
@pytest.mark.parametrize("name", BASELINES)
def test_the_constants_of_a_baseline_are_the_best_in_the_metric_that_decides(metric, loss, name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "late_is_dear.py").write_text(PINBALL, encoding="utf-8")
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"site": np.repeat(["a", "b"], 4001)})
    y = np.exp(rng.normal(size=8002)) * np.repeat([1.0, 3.0], 4001)  # skewed: mean, median and mode differ
    schema = FeatureSchema(categorical=("site",))
    bundle = fit(name, "regression", schema, X, y, X, y, random_state=7, n_threads=1, metric=metric)
    groups = [np.full(8002, True)] if name == "prior" else [X["site"] == "a", X["site"] == "b"]
    for rows in groups:
        (found,) = np.unique(bundle.score(X[rows]))
        best = min(loss(y[rows] - constant) for constant in np.linspace(*np.quantile(y[rows], [0.01, 0.9]), 2000))
        assert loss(y[rows] - found) <= best * 1.01  # groups are smoothed
