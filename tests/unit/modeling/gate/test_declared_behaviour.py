"""What an author expects of a model: each expectation passes where it holds, and says with figures where it does not."""

import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.estimators import fit
from tidemill.modeling.gate.declared_behaviour import case_flaw, direction_flaw, invariance_flaw
from tidemill.modeling.schema import FeatureSchema

SCHEMA = FeatureSchema(numeric=("delay", "noise"), categorical=("origin",))


def rows(n_samples: int, random_state: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Delay raises the chance, the origin JFK too, and noise does nothing."""
    rng = np.random.default_rng(random_state)
    X = pd.DataFrame(
        {
            "delay": rng.normal(10, 5, n_samples),
            "noise": rng.normal(size=n_samples),
            "origin": rng.choice(["EWR", "JFK"], n_samples),
        }
    )
    logit = 0.5 * (X["delay"] - 10) + 1.5 * (X["origin"] == "JFK")
    return X, rng.random(n_samples) < 1 / (1 + np.exp(-logit))


@pytest.fixture(scope="module")
def model():
    sets = (*rows(2000, 1), *rows(500, 2))
    return fit("logistic_regression", "binary", SCHEMA, *sets, random_state=0, n_threads=1)


@pytest.fixture(scope="module")
def X() -> pd.DataFrame:
    return rows(300, 3)[0]


def test_direction_that_holds_passes_and_the_opposite_names_both_means(model, X) -> None:
    assert direction_flaw(model, X, "delay", "increasing") is None
    flaw = direction_flaw(model, X, "delay", "decreasing")
    low, high = X["delay"].quantile(0.1), X["delay"].quantile(0.9)
    means = [model.score(X.assign(delay=value)).mean() for value in (low, high)]
    assert flaw == f"from delay = {low:g} to {high:g} the mean score goes from {means[0]:.4f} to {means[1]:.4f}"


def test_direction_of_a_feature_that_never_changes_or_is_not_read_is_no_pass(model, X) -> None:
    assert "does not vary enough" in direction_flaw(model, X.assign(delay=3.0), "delay", "increasing")
    assert direction_flaw(model, X, "wind", "increasing") == "the model reads no number wind"


def test_invariance_compares_the_mean_change_with_what_is_allowed(model, X) -> None:
    assert invariance_flaw(model, X, "noise", 0.05) is None
    assert invariance_flaw(model, X, "wind", 0.05) == "the model reads no feature wind"
    order = np.random.default_rng(0).permutation(len(X))
    swapped = X.assign(delay=X["delay"].to_numpy()[order])
    change = np.abs(model.score(swapped) - model.score(X)).mean()
    flaw = invariance_flaw(model, X, "delay", 0.05)
    assert flaw == f"with another row's delay, a score changes by {change:.4f} on average; 0.05 is allowed"


@pytest.mark.parametrize(("minimum", "maximum", "passes"), [(0.9, None, True), (None, 0.9, False), (0.9, 1.0, True)])
def test_case_compares_a_typical_row_with_its_range(model, X, minimum, maximum, passes) -> None:
    flaw = case_flaw(model, X, {"delay": 25.0, "origin": "JFK"}, minimum, maximum)
    row = pd.DataFrame({"delay": [25.0], "noise": [X["noise"].median()], "origin": ["JFK"]})
    assert (flaw is None) is passes
    assert passes or flaw == f"its score is {model.score(row)[0]:.4f}, and should be at most 0.9"


def test_case_takes_the_most_frequent_value_of_a_category_that_it_does_not_name(model, X) -> None:
    most = X["origin"].mode()[0]
    row = pd.DataFrame({"delay": [10.0], "noise": [X["noise"].median()], "origin": [most]})
    score = model.score(row)[0]
    assert case_flaw(model, X, {"delay": 10.0}, score - 1e-9, score + 1e-9) is None
    assert case_flaw(model, X, {"wind": 1.0}, 0.0, None) == "the model reads no feature wind"
