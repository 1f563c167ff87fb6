import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.schema import FeatureSchema
from tidemill.steps.answers import answers, probabilities_of

CLASSES = ("a", 'b "quoted"', "ç\\n")


@dataclass
class _Nothing:
    """Stands for parts of a bundle that answers do not use."""


def bundle(task: str, **changes: Any) -> Bundle:
    return Bundle(
        task=task, estimator="none", schema=FeatureSchema(), preprocessing=_Nothing(), model=_Nothing(), threshold=None,
        threshold_criterion="", random_state=0, n_threads=1, **changes,
    )  # fmt: skip


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
def test_binary_answers_with_its_score_alone(score: np.ndarray) -> None:
    assert {name: column.to_pylist() for name, column in answers(bundle("binary"), score).items()} == {
        "score": score.tolist()
    }
