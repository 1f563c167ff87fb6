"""A weighted fit equals the fit of rows repeated by their weight, unless an estimator draws or counts rows."""

import numpy as np
import pandas as pd
import pytest

from tidemill.errors import SpecError
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.conformal import residual_quantiles
from tidemill.modeling.estimators import fit
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.threshold import choose_threshold
from tidemill.monitoring.calibration import fit_curve
from tidemill.monitoring.estimate import estimate_binary, estimate_multiclass
from tidemill.spec import Own

SCHEMA = FeatureSchema(numeric=("a", "b"), categorical=("kind",))
BOOSTING = {
    "xgboost": {"subsample": 1.0, "colsample_bytree": 1.0, "n_rounds": 8},
    "hist_gradient_boosting": {"min_samples_leaf": 1, "max_iter": 8},
    "lightgbm": {
        "bagging_fraction": 1.0,
        "feature_fraction": 1.0,
        "min_data_in_leaf": 0,
        "max_cat_to_onehot": 8,
        "num_iterations": 8,
    },
}
"""Settings without draws, and without a limit in rows."""
LINEAR = {"binary": "logistic_regression", "multiclass": "logistic_regression", "regression": "ridge"}
FITS = [
    *((task, name) for task in LINEAR for name in (*BOOSTING, "prior", "group_rate")),
    *LINEAR.items(),
]
RULES = ["f1", "youden", "cost 5", "precision 0.6", "recall 0.8", "top 60"]


def rows_of(task, n, seed):
    """Rows with few values, so that quantiles of repeated rows are those of single ones."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "a": rng.integers(0, 8, n).astype(float),
            "b": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 5, n)),
            "kind": rng.choice(np.array(["x", "y", "z"], dtype=object), n),
        }
    )
    value = X["a"] + 2 * (X["kind"] == "x") + rng.normal(0, 2, n)
    answers = {
        "binary": (value > 4).to_numpy(),
        "multiclass": np.array(["low", "mid", "top"], dtype=object)[np.digitize(value, [2, 5])],
        "regression": value.to_numpy().round(1),
    }
    return X, answers[task], rng.integers(1, 4, n).astype(float)


def both_fits(task, name, **more):
    """Fit with weights, and on repeated rows."""
    X, y, often = rows_of(task, 400, 1)
    X_aside, y_aside, often_aside = rows_of(task, 150, 2)
    again, again_aside = (np.repeat(np.arange(len(one)), one.astype(int)) for one in (often, often_aside))
    schema = SCHEMA if name != "hist_gradient_boosting" else FeatureSchema(numeric=("a", "b"))  # rates are cross-fitted
    about = {"random_state": 7, "n_threads": 1, "parameters": BOOSTING.get(name), **more}
    weighted = fit(name, task, schema, X, y, X_aside, y_aside, sample_weight=(often, often_aside), **about)
    sets = X.iloc[again], y[again], X_aside.iloc[again_aside], y_aside[again_aside]
    return weighted, fit(name, task, schema, *sets, **about)


@pytest.mark.parametrize(("task", "name"), FITS)
def test_a_weighted_fit_equals_that_of_rows_repeated_by_their_weight(task, name):
    weighted, repeated = both_fits(task, name)
    X, _, _ = rows_of(task, 300, 3)
    assert weighted.score(X) == pytest.approx(repeated.score(X), rel=2e-4, abs=2e-4)
    if task == "regression":
        assert weighted.residual_quantiles == pytest.approx(repeated.residual_quantiles, rel=0.1)  # of fewer rows
    if task == "binary":
        assert weighted.threshold == pytest.approx(repeated.threshold, rel=2e-4)


@pytest.mark.parametrize("metric", ["mean_absolute_error", "median_absolute_error"])
@pytest.mark.parametrize("name", ["prior", "group_rate", "shallow_tree"])
def test_the_best_constant_of_weighted_rows_is_that_of_repeated_ones(name, metric):
    weighted, repeated = both_fits("regression", name, metric=metric)
    X, _, _ = rows_of("regression", 100, 3)
    assert weighted.score(X) == pytest.approx(repeated.score(X))


@pytest.mark.parametrize("rule", RULES)
def test_a_threshold_is_chosen_as_on_repeated_rows(rule):
    rng = np.random.default_rng(4)
    y, often = rng.random(200) < 0.3, rng.integers(1, 4, 200)
    score, again = np.clip(0.3 * y + rng.random(200) / 2, 0, 1).round(2), np.repeat(np.arange(200), often)
    assert choose_threshold(y, score, rule, often)[0] == choose_threshold(y[again], score[again], rule)[0]


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_a_calibration_is_that_of_repeated_rows(method):
    rng = np.random.default_rng(5)
    score, often = rng.random(300).round(2), rng.integers(1, 4, 300)
    y, again = rng.random(300) < score, np.repeat(np.arange(300), often)
    grid = np.linspace(0, 1, 21)
    weighted = Calibration.fit(method, y, score, often)
    repeated = Calibration.fit(method, y[again], score[again])
    assert weighted.apply(grid)[2:-2] == pytest.approx(repeated.apply(grid)[2:-2], abs=1e-4)


@pytest.mark.parametrize("times", [0.01, 30])
@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_heavy_rows_make_no_calibration_surer(method, times):
    rng, grid = np.random.default_rng(5), np.linspace(0, 1, 21)
    score, often = rng.random(300).round(2), rng.integers(1, 4, 300)
    y = rng.random(300) < score
    once, heavy = (Calibration.fit(method, y, score, factor * often).apply(grid) for factor in (1, times))
    assert heavy == pytest.approx(once, rel=1e-9)
    curves = [fit_curve(y, score, factor * often) for factor in (1, times)]
    assert np.array(curves[1].error) == pytest.approx(np.array(curves[0].error))


def test_the_interval_of_a_number_is_that_of_repeated_rows():
    rng = np.random.default_rng(6)
    residuals, days, often = rng.normal(size=300), rng.integers(0, 8, 300), rng.integers(1, 4, 300)
    again = np.repeat(np.arange(300), often)
    for blocks in (None, days):
        of_copies = None if blocks is None else blocks[again]
        found = residual_quantiles(residuals, 0.8, blocks, often)
        assert found == pytest.approx(residual_quantiles(residuals[again], 0.8, of_copies), rel=0.05)  # of fewer rows
        assert found == residual_quantiles(residuals, 0.8, blocks, 64 * often)


def test_few_heavy_rows_have_no_interval():
    assert residual_quantiles([1.0, 2.0, 3.0], 0.8, None, [50.0, 50.0, 50.0]) is None


def test_estimates_are_those_of_repeated_rows():
    rng = np.random.default_rng(7)
    p, several, often = rng.random(200), rng.dirichlet([1, 2, 3], 200), rng.integers(1, 4, 200)
    again = np.repeat(np.arange(200), often)
    for found, expected in (
        (estimate_binary(p, p, sample_weight=often), estimate_binary(p[again], p[again])),
        (
            estimate_multiclass(several, several, sample_weight=often),
            estimate_multiclass(several[again], several[again]),
        ),
    ):
        assert [one.value for one in found] == pytest.approx([one.value for one in expected])


def test_weights_that_differ_leave_more_doubt_in_an_estimate():
    p = np.random.default_rng(8).random(400)
    often = np.where(np.arange(400) % 10 == 0, 50.0, 1.0)
    alike, unlike = (estimate_binary(p, p, sample_weight=one)[1] for one in (np.ones(400), often))
    assert unlike.high - unlike.low > 1.5 * (alike.high - alike.low)


@pytest.mark.parametrize("name", ["xgboost", "hist_gradient_boosting", "logistic_regression"])
def test_balanced_class_weights_are_those_of_rows_weighted_by_hand(name):
    X, y, _ = rows_of("binary", 400, 1)
    aside = rows_of("binary", 150, 2)
    sets = (X, y, aside[0], aside[1])
    about = {"random_state": 7, "n_threads": 1, "parameters": BOOSTING.get(name)}
    balanced = fit(name, "binary", SCHEMA, *sets, class_weight="balanced", **about)
    share = y.mean()
    named = fit(
        name, "binary", SCHEMA, *sets, class_weight={"positive": 0.5 / share, "negative": 0.5 / (1 - share)}, **about
    )
    by_hand = fit(
        name,
        "binary",
        SCHEMA,
        *sets,
        sample_weight=(np.where(y, 0.5 / share, 0.5 / (1 - share)), np.ones(150)),
        **about,
    )
    for one in (named, by_hand):
        assert one.score(X) == pytest.approx(balanced.score(X), abs=1e-6)
    assert balanced.score(X).mean() == pytest.approx(0.5, abs=0.1)


def test_baselines_have_no_class_weight():
    X, y, _ = rows_of("binary", 400, 1)
    bundle = fit("prior", "binary", SCHEMA, X, y, X, y, random_state=7, n_threads=1, class_weight="balanced")
    assert bundle.score(X)[0] == pytest.approx(y.mean())


def test_a_custom_estimator_without_weights_is_refused():
    X, y, often = rows_of("binary", 400, 1)
    own = {"mine": Own(type="sklearn.neighbors.KNeighborsClassifier")}
    with pytest.raises(SpecError, match="takes no sample_weight in fit"):
        fit("mine", "binary", SCHEMA, X, y, X, y, random_state=7, n_threads=1, own=own, sample_weight=(often, often))
