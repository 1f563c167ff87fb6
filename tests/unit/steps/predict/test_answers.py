import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.estimators import fit
from tidemill.modeling.explain import explain
from tidemill.modeling.schema import FeatureSchema
from tidemill.steps.predict.answers import answers, probabilities_of, reasons_of

CLASSES = ("a", 'b "quoted"', "ç\\n")


@dataclass
class _Nothing:
    """Stands for parts of a bundle that answers do not use."""


def bundle(task: str, **changes: Any) -> Bundle:
    return Bundle(
        task=task,
        estimator="none",
        schema=FeatureSchema(),
        preprocessing=_Nothing(),
        model=_Nothing(),
        threshold=None,
        threshold_criterion="",
        random_state=0,
        n_threads=1,
        **changes,
    )


@given(st.integers(0, 20), st.integers(0, 10_000))
def test_probabilities_come_back_bit_by_bit(n_rows: int, seed: int) -> None:
    score = np.random.default_rng(seed).dirichlet(np.full(3, 0.05), n_rows)
    found = answers(bundle("multiclass", classes=CLASSES), score)
    back, classes = probabilities_of(pa.chunked_array([found["probabilities"].storage]))
    assert classes == (CLASSES if n_rows else ())
    assert back.tolist() == score.tolist()


def test_score_of_several_classes_is_that_of_the_predicted_one() -> None:
    found = answers(bundle("multiclass", classes=CLASSES), np.array([[0.2, 0.5, 0.3]]))
    assert (found["score"].to_pylist(), found["predicted"].to_pylist()) == ([0.5], [CLASSES[1]])
    assert json.loads(found["probabilities"].storage[0].as_py())[CLASSES[2]] == 0.3


def test_value_has_its_interval() -> None:
    found = answers(bundle("regression", classes=(), residual_quantiles=(-2.0, 3.0)), np.array([10.0]))
    assert {name: column.to_pylist() for name, column in found.items()} == {
        "score": [10.0],
        "low": [8.0],
        "high": [13.0],
    }


def test_interval_that_is_not_known_is_null() -> None:
    found = answers(bundle("regression", classes=()), np.array([10.0]))
    assert (found["low"].to_pylist(), found["high"].to_pylist()) == ([None], [None])


@pytest.mark.parametrize("score", [np.array([]), np.array([0.25])])
def test_binary_answers_with_only_its_score(score: np.ndarray) -> None:
    assert {name: column.to_pylist() for name, column in answers(bundle("binary"), score).items()} == {
        "score": score.tolist()
    }


# --- reasons


@pytest.fixture(scope="module")
def ridge() -> tuple[Bundle, pd.DataFrame]:
    rng = np.random.default_rng(1)
    X = pd.DataFrame(
        {
            "hour": rng.integers(0, 24, 300),
            "wind": rng.normal(size=300),
            "full": rng.random(300) < 0.5,
            "origin": rng.choice(["EWR", 'J"K'], 300),
        }
    )
    y = 3.0 * X["hour"] + 5.0 * (X["origin"] == "EWR")
    X.loc[:9, "wind"] = np.nan
    schema = FeatureSchema(numeric=("hour", "wind", "full"), categorical=("origin",))
    return fit("ridge", "regression", schema, X, y, X.head(0), y.head(0), random_state=1, n_threads=1), X


def test_reasons_are_the_greatest_contributions_with_raw_values(ridge: tuple[Bundle, pd.DataFrame]) -> None:
    bundle, X = ridge
    found = [json.loads(text) for text in reasons_of(bundle, X, 2).storage.to_pylist()]
    contributions = explain(bundle, X).contributions
    assert [len(row) for row in found] == [2] * 300
    for row, amounts, raw in zip(found, contributions, X.to_dict("records"), strict=True):
        assert abs(row[0]["contribution"]) == pytest.approx(np.abs(amounts).max(), rel=1e-5)
        assert all(raw[reason["feature"]] == reason["value"] or reason["value"] is None for reason in row)


def test_reasons_of_many_rows_are_those_of_each(ridge: tuple[Bundle, pd.DataFrame], monkeypatch: Any) -> None:
    bundle, X = ridge
    whole = reasons_of(bundle, X, 4).storage.to_pylist()
    monkeypatch.setattr("tidemill.steps.predict.answers.CHUNK_ROWS", 7)
    assert reasons_of(bundle, X, 4).storage.to_pylist() == whole


def test_missing_value_is_null_in_reasons(ridge: tuple[Bundle, pd.DataFrame]) -> None:
    bundle, X = ridge
    of_row = {reason["feature"]: reason["value"] for reason in json.loads(reasons_of(bundle, X.head(1), 4)[0].as_py())}
    assert of_row.get("wind", "left out") in (None, "left out")
