import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.estimators import fit
from tidemill.modeling.schema import FeatureSchema

SCHEMA = FeatureSchema(numeric=("hour", "wind", "gust"), categorical=("origin", "carrier"))


def make_rows(n_samples, random_state):
    """Rows like flights: missing numbers, a missing category, rare carriers, and a label that depends on them."""
    rng = np.random.default_rng(random_state)
    X = pd.DataFrame(
        {
            "hour": rng.integers(5, 23, n_samples).astype(float),
            "wind": rng.gamma(2.0, 5.0, n_samples),
            "gust": np.where(rng.random(n_samples) < 0.6, np.nan, rng.gamma(3.0, 8.0, n_samples)),
            "origin": rng.choice(np.array(["EWR", "JFK", "LGA", None], dtype=object), n_samples),
            "carrier": rng.choice(
                list("ABCDEFGHIJ"), n_samples, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.04, 0.03, 0.02, 0.007, 0.003]
            ),
        }
    )
    logit = (
        0.2 * (X["hour"] - 14) + 0.05 * (X["wind"] - 10) + 0.8 * (X["origin"] == "EWR") - 0.5 * (X["carrier"] == "A")
    )
    y = rng.random(n_samples) < 1 / (1 + np.exp(-logit))
    return X, y.to_numpy()


def make_answers(X, task, random_state):
    """Labels of another task for the same rows: a number, or which of three parts it falls into."""
    noise = np.random.default_rng(random_state).normal(size=len(X))
    value = 0.4 * (X["hour"] - 14) + 0.1 * (X["wind"] - 10) + 3 * (X["origin"] == "EWR") + noise
    if task == "regression":
        return 10 + 5 * value.to_numpy()
    return np.array(["early", "late", "on time"], dtype=object)[np.digitize(value, [-1, 2])]


def make_sets(task):
    """Train, validation and test set of a task beside binary; small, since there are many fits."""
    rows = [make_rows(n_samples, seed)[0] for n_samples, seed in ((500, 11), (200, 12), (300, 13))]
    return [(X, make_answers(X, task, seed)) for seed, X in enumerate(rows)]


@pytest.fixture(scope="session")
def schema():
    return SCHEMA


@pytest.fixture(scope="session")
def train():
    return make_rows(1500, 1)


@pytest.fixture(scope="session")
def validation():
    return make_rows(500, 2)


@pytest.fixture(scope="session")
def test_set():
    return make_rows(800, 3)


@pytest.fixture(scope="session")
def fitted(train, validation):
    """Return a fitted bundle by name; each is fitted once per session."""
    bundles = {}

    def of(name):
        if name not in bundles:
            bundles[name] = fit(name, "binary", SCHEMA, *train, *validation, random_state=7, n_threads=1)
        return bundles[name]

    return of


@pytest.fixture(scope="session")
def sets():
    return {task: make_sets(task) for task in ("multiclass", "regression")}


@pytest.fixture(scope="session")
def fitted_for(sets):
    """Return a fitted bundle by task and name; each is fitted once per session."""
    bundles = {}

    def of(task, name):
        if (task, name) not in bundles:
            train, validation, _ = sets[task]
            bundles[task, name] = fit(name, task, SCHEMA, *train, *validation, random_state=7, n_threads=1)
        return bundles[task, name]

    return of
