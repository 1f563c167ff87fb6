"""Whether a candidate can be taken apart is found out before it serves, and rejects nothing."""

import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.estimators import fit
from tidemill.modeling.gate.explanation import check_explanation
from tidemill.modeling.schema import FeatureSchema

SCHEMA = FeatureSchema(numeric=("hour", "wind"), categorical=("origin",))


def rows(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"hour": rng.normal(size=n), "wind": rng.normal(size=n), "origin": rng.choice(["a", "b"], n)})
    return X, (X["hour"] + rng.normal(size=n) > 0).to_numpy().astype(np.int8)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    (X, y), (X_validation, y_validation) = rows(400, 1), rows(200, 2)
    return fit("logistic_regression", "binary", SCHEMA, X, y, X_validation, y_validation, random_state=1, n_threads=1)


def test_a_model_whose_parts_add_up_passes(bundle: Bundle) -> None:
    found = check_explanation(bundle, rows(50, 3)[0])
    assert found is not None
    assert (found.passed, found.observed) == (
        True,
        "the contributions of 3 features add up to the score of 5 rows (weight times value)",
    )


def test_a_model_whose_parts_do_not_add_up_fails_and_says_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.modeling.explain.answer", lambda *args, **options: np.full(5, 0.99))
    found = check_explanation(bundle, rows(50, 3)[0])
    assert found is not None
    assert not found.passed
    assert "do not sum to the model's score" in found.observed


def test_without_rows_there_is_nothing_to_explain(bundle: Bundle) -> None:
    assert check_explanation(bundle, rows(50, 3)[0].head(0)) is None
