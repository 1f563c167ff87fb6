from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.neighbors import KNeighborsRegressor

from tidemill.errors import ExplanationFailed
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.estimators import fit
from tidemill.modeling.explain import encoded_columns, explain
from tidemill.modeling.schema import FeatureSchema

SCHEMA = FeatureSchema(numeric=("hour", "wind", "noise"), categorical=("origin", "origin_x"))
ESTIMATORS = {
    "binary": ("xgboost", "hist_gradient_boosting", "lightgbm", "catboost", "random_forest", "logistic_regression"),
    "multiclass": ("xgboost", "hist_gradient_boosting", "lightgbm", "catboost", "random_forest", "logistic_regression"),
    "regression": ("xgboost", "hist_gradient_boosting", "lightgbm", "catboost", "random_forest", "ridge"),
}
BASELINES = ("prior", "group_rate", "shallow_tree")
CASES = [(task, name) for task, names in ESTIMATORS.items() for name in (*names, *BASELINES)]


def rows(n, seed):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "hour": rng.integers(0, 24, n).astype(float),
            "wind": rng.gamma(2, 5, n),
            "noise": rng.normal(size=n),
            "origin": rng.choice(["EWR", "JFK", "LGA", "rare"], n, p=[0.4, 0.35, 0.245, 0.005]),
            "origin_x": rng.choice(["EWR", "b"], n),
        }
    )
    value = 0.2 * X["hour"] + 0.1 * X["wind"] + 2.0 * (X["origin"] == "EWR") + rng.normal(size=n)
    X.loc[rng.random(n) < 0.1, "wind"] = np.nan
    X.loc[rng.random(n) < 0.05, "origin"] = None
    return X, value.to_numpy()


def labels(task, value):
    if task == "binary":
        return (value > 4).astype(np.int8)
    return np.array(["low", "mid", "top"], dtype=object)[np.digitize(value, [3, 5])] if task == "multiclass" else value


class Fitted(dict):
    """Bundles by task and estimator, fitted when they are asked for: an optional library may be missing."""

    def __missing__(self, case):
        task, name = case
        (X, value), (X_validation, other) = rows(600, 1), rows(300, 2)
        y, y_validation = labels(task, value), labels(task, other)
        self[case] = fit(name, task, SCHEMA, X, y, X_validation, y_validation, random_state=3, n_threads=1)
        return self[case]


@pytest.fixture(scope="module")
def fitted():
    return Fitted()


@pytest.mark.parametrize(("task", "name"), CASES)
def test_contributions_sum_up_to_the_score_of_the_model(fitted, task, name):
    bundle, (X, _) = fitted[task, name], rows(40, 5)
    found = explain(bundle, X)
    score = bundle.score(X)
    assert found.contributions.shape == (40, len(SCHEMA.names))
    assert found.total == pytest.approx(found.base + found.contributions.sum(axis=1))
    assert found.score.tolist() == (score.max(axis=1) if task == "multiclass" else score).tolist()
    if task != "multiclass":
        linked = expit(found.total) if found.scale == "log odds" else found.total
        assert linked == pytest.approx(score, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize(("task", "name"), [case for case in CASES if case[1] not in BASELINES])
def test_what_moves_the_label_contributes_and_noise_does_not(fitted, task, name):
    found = explain(fitted[task, name], rows(200, 6)[0])
    mean = dict(zip(found.features, np.abs(found.contributions).mean(axis=0), strict=True))
    assert min(mean["hour"], mean["origin"]) > 2 * max(mean["noise"], mean["origin_x"])


@pytest.mark.parametrize("name", ["xgboost", "hist_gradient_boosting", "logistic_regression"])
def test_log_odds_of_several_classes_are_against_the_average_class(fitted, name):
    bundle, (X, _) = fitted["multiclass", name], rows(20, 7)
    found, score = explain(bundle, X), bundle.score(X)
    against_average = np.log(score).max(axis=1) - np.log(score).mean(axis=1)
    assert found.total == pytest.approx(against_average, abs=1e-4)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_every_column_has_its_feature(fitted, task, name):
    bundle = fitted[task, name]
    for owner, column in encoded_columns(bundle):
        assert column.startswith((owner, f"missingindicator_{owner}"))


def test_a_row_is_explained_alike_in_any_company(fitted):
    bundle, (X, _) = fitted["binary", "xgboost"], rows(30, 8)
    alone = np.concatenate([explain(bundle, X.iloc[[row]]).contributions for row in range(30)])
    assert alone.tolist() == explain(bundle, X).contributions.tolist()


def test_calibration_comes_after_the_sum(fitted):
    (X, value), bundle = rows(300, 9), fitted["binary", "xgboost"]
    curve = Calibration.fit("sigmoid", labels("binary", value), bundle.score(X))
    found = explain(replace(bundle, calibration=curve), X)
    assert found.score.tolist() == curve.apply(bundle.score(X)).tolist()
    assert found.total == pytest.approx(logit(bundle.score(X)), abs=1e-4)


def custom_bundle(fitted):
    bundle, (X, value) = fitted["regression", "ridge"], rows(300, 10)
    matrix = bundle.preprocessing.transform(X[list(SCHEMA.names)])
    return replace(bundle, estimator="neighbours", model=KNeighborsRegressor().fit(matrix, value), block_rows=64)


def test_any_other_estimator_is_explained_against_background_rows(fitted):
    bundle, (X, _) = custom_bundle(fitted), rows(60, 11)
    found = explain(bundle, X.head(2), background=X)
    assert found.total == pytest.approx(bundle.score(X.head(2)))
    assert "50 rows of the partition" in found.method


def test_any_other_estimator_needs_background_rows(fitted):
    with pytest.raises(ExplanationFailed, match="'neighbours' does not provide contributions"):
        explain(custom_bundle(fitted), rows(1, 12)[0])


def test_parts_that_sum_up_to_another_score_are_refused(fitted, monkeypatch):
    bundle = fitted["regression", "ridge"]
    monkeypatch.setattr("tidemill.modeling.explain.answer", lambda *args, **options: np.full(5, 99.0))
    with pytest.raises(ExplanationFailed, match=r"do not sum to the model.s score"):
        explain(bundle, rows(5, 13)[0])
