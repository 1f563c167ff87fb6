"""Scores of several classes and of numbers; what all tasks have in common is in ``test_bundle``."""

import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.estimators import fit
from tidemill.spec import BASELINES, candidates

EVERY = [(task, name) for task in ("multiclass", "regression") for name in (*candidates(task), *BASELINES)]


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_a_row_scores_the_same_bits_in_any_batch_and_order(fitted_for, sets, task, name):
    bundle, X = fitted_for(task, name), sets[task][2][0]
    whole, rng = bundle.score(X), np.random.default_rng(5)
    for size in (1, 2, 3, 7, 16, 100, 299):
        rows = rng.integers(0, len(X), size)
        assert bundle.score(X.iloc[rows]).tobytes() == whole[rows].tobytes()


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_a_score_has_the_shape_of_the_task(fitted_for, sets, task, name):
    bundle, X = fitted_for(task, name), sets[task][2][0]
    score, none = bundle.score(X), bundle.score(X.head(0))
    columns = (3,) if task == "multiclass" else ()
    assert (score.shape, none.shape) == ((len(X), *columns), (0, *columns))
    assert score.dtype == np.float64
    assert score.flags.c_contiguous
    assert np.isfinite(score).all()


@pytest.mark.parametrize("name", [name for task, name in EVERY if task == "multiclass"])
def test_probabilities_of_a_row_sum_to_one(fitted_for, sets, name):
    score = fitted_for("multiclass", name).score(sets["multiclass"][2][0])
    assert ((score >= 0) & (score <= 1)).all()
    assert np.allclose(score.sum(axis=1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_unseen_categories_and_rows_of_missing_values_are_scored(fitted_for, schema, sets, task, name):
    bundle = fitted_for(task, name)
    strange = sets[task][2][0].assign(carrier="never seen", origin="neither")
    empty = pd.DataFrame(None, index=range(3), columns=list(schema.names), dtype=object)
    assert np.isfinite(bundle.score(strange)).all()
    assert np.isfinite(bundle.score(empty)).all()


def test_the_answer_is_the_likeliest_class(fitted_for, sets):
    bundle, X = fitted_for("multiclass", "xgboost"), sets["multiclass"][2][0]
    assert bundle.predict(X).tolist() == [bundle.classes[column] for column in bundle.score(X).argmax(axis=1)]


def test_the_answer_of_a_regression_is_its_score(fitted_for, sets):
    bundle, X = fitted_for("regression", "xgboost"), sets["regression"][2][0]
    assert np.array_equal(bundle.predict(X), bundle.score(X))


def test_the_interval_stands_around_the_score(fitted_for, sets):
    bundle, X = fitted_for("regression", "xgboost"), sets["regression"][2][0]
    low, high = bundle.interval(X)
    assert (low < bundle.score(X)).all()
    assert (bundle.score(X) < high).all()


def test_classes_have_no_interval(fitted_for, sets):
    with pytest.raises(ValueError, match="a multiclass model has no interval"):
        fitted_for("multiclass", "prior").interval(sets["multiclass"][2][0])


@pytest.mark.parametrize("n_classes", [2, 9])
@pytest.mark.parametrize("name", ["xgboost", "hist_gradient_boosting", "logistic_regression", "random_forest"])
def test_a_row_scores_the_same_bits_alone_however_many_classes_there_are(schema, sets, name, n_classes):
    (X, _), (X_validation, _), _ = sets["multiclass"]
    y, y_validation = (
        np.array([f"c{int(hour) % n_classes}" for hour in rows["hour"]], dtype=object) for rows in (X, X_validation)
    )
    parameters = {"logistic_regression": {}, "random_forest": {"n_estimators": 20}, "xgboost": {"n_rounds": 20}}
    bundle = fit(
        name,
        "multiclass",
        schema,
        X,
        y,
        X_validation,
        y_validation,
        random_state=7,
        n_threads=1,
        parameters=parameters.get(name, {"max_iter": 20}),
    )
    alone = np.concatenate([bundle.score(X.iloc[[row]]) for row in range(30)])
    assert alone.tobytes() == bundle.score(X.head(30)).tobytes()
