from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tidemill.arrow import to_frame
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.compiled import lookups
from tidemill.modeling.estimators import fit
from tidemill.modeling.gate.behaviour import check_behaviour
from tidemill.modeling.schema import FeatureSchema
from tidemill.spec import BASELINES, candidates

SCHEMA = FeatureSchema(numeric=("hour", "wind"), categorical=("origin",))


@dataclass(frozen=True)
class Raw:
    """A transformer that hands the columns on as they are."""

    def transform(self, X):
        return X


def bundle_that(score, schema=SCHEMA, task="binary"):
    """Return a bundle whose scores are a function of the aligned frame."""

    class Model:
        def predict_proba(self, X):
            positive = np.asarray(score(X), dtype=float)
            return np.column_stack([1 - positive, positive])

        def predict(self, X):
            return np.asarray(score(X), dtype=float)

    return Bundle(
        task=task,
        estimator="own",
        schema=schema,
        preprocessing=Raw(),
        model=Model(),
        threshold=0.5,
        threshold_criterion="",
        random_state=0,
        n_threads=1,
    )


def failed(bundle, X, **options):
    return {check.name: check.observed for check in check_behaviour(bundle, X, **options) if not check.passed}


@pytest.mark.parametrize("name", candidates("binary") + BASELINES)
def test_every_estimator_behaves(fitted, test_set, name):
    assert failed(fitted(name), test_set[0]) == {}


def test_every_check_that_is_tried_is_reported(fitted, test_set):
    checks = check_behaviour(fitted("logistic_regression"), test_set[0], monotonic={"hour": "increasing"})
    assert [check.name for check in checks] == [
        "scores",
        "row order",
        "batch size",
        "rows as stored",
        "missing values",
        "unseen category",
        "monotonic: hour increasing",
    ]


def hour(X):
    return X["hour"].fillna(0) / 24


BROKEN = {
    "score depends on the row before": (lambda X: np.roll(hour(X), 1), "row order"),
    "score depends on the mean of the batch": (lambda X: (hour(X) - hour(X).mean()) / 2 + 0.5, "batch size"),
    "a missing number gives no score": (lambda X: X["hour"] / 24, "missing values"),
    "scores beyond 1": (lambda X: hour(X) * 24, "scores"),
}


@pytest.mark.parametrize("row", BROKEN)
def test_a_model_that_misbehaves_is_caught(test_set, row):
    score, check = BROKEN[row]
    assert check in failed(bundle_that(score), test_set[0])


def test_a_model_that_raises_at_an_unseen_category_is_caught(test_set):
    X = test_set[0].assign(origin=test_set[0]["origin"].fillna("EWR"))
    codes = {"EWR": 0.1, "JFK": 0.2, "LGA": 0.3, np.nan: 0.4}
    found = failed(bundle_that(lambda X: [codes[value] for value in X["origin"]]), X)
    assert "it raised KeyError" in found["unseen category"]


def test_a_direction_that_does_not_hold_is_reported_with_figures(test_set):
    found = failed(bundle_that(lambda X: 1 - hour(X)), test_set[0], monotonic={"hour": "increasing"})
    assert "the score of 500 of 500 rows goes the other way" in found["monotonic: hour increasing"]


@pytest.mark.parametrize(("score", "direction"), [(hour, "increasing"), (lambda X: 1 - hour(X), "decreasing")])
def test_a_direction_that_holds_passes(test_set, score, direction):
    assert failed(bundle_that(score), test_set[0], monotonic={"hour": direction}) == {}


def test_a_direction_of_a_feature_that_is_not_read_fails(test_set):
    found = failed(bundle_that(hour), test_set[0], monotonic={"gust": "increasing"})
    assert found == {"monotonic: gust increasing": "the model reads no number gust"}


def test_without_a_row_nothing_is_claimed(test_set):
    assert check_behaviour(bundle_that(hour), test_set[0].head(0)) == ()


def test_regression_values_may_lie_anywhere(test_set):
    bundle = replace(bundle_that(lambda X: hour(X) * 1000, task="regression"))
    assert failed(bundle, test_set[0]) == {}


def test_a_score_that_a_null_in_the_batch_changes_is_found():
    bundle = bundle_that(lambda X: 0.5 + 0.1 * X["origin"].isna().any() + 0 * X["hour"])
    X = pd.DataFrame({"hour": [1.0, 2.0], "wind": [1.0, 2.0], "origin": ["JFK", "EWR"]})
    assert failed(bundle, X)["rows as stored"] == "2 of 2 rows score differently when a row of NULLs is in the batch"


def through_floats(column):
    """Spell whole numbers as they come out of a float column, if one of them is NULL."""
    return (
        column.cast(pa.float64(), safe=False).cast(pa.int64()).cast(pa.string())
        if column.null_count
        else column.cast(pa.string())
    )


def test_whole_numbers_that_lose_digits_beside_a_null_are_found(monkeypatch):
    rng = np.random.default_rng(0)
    picked = rng.integers(0, 8, 1_000)
    rows = pa.table({"x": rng.normal(size=1_000), "shop": pa.array(2**60 + picked)})
    X, schema = to_frame(rows), FeatureSchema(numeric=("x",), categorical=("shop",))
    y = rng.random(1_000) < np.where(picked % 2, 0.9, 0.1)
    bundle = fit("xgboost", "binary", schema, X, y, X, y, random_state=0, n_threads=1)
    assert failed(bundle, X, stored=rows) == {}
    monkeypatch.setattr(lookups, "to_texts", through_floats)
    assert "when a row of NULLs is in the batch" in failed(bundle, X, stored=rows)["rows as stored"]
    assert "when a row of NULLs is in the batch" in failed(bundle, X)["rows as stored"]
