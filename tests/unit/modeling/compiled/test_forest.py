"""Compiled trees: the model's bits on every input, for each task and depth, and no forest where there is none."""

import logging
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from threadpoolctl import threadpool_limits

from tidemill.modeling.answers import answer
from tidemill.modeling.compiled import trees
from tidemill.modeling.compiled.forest import PLACES, Forest

N_ROWS, N_NUMBERS, N_COLUMNS = 3_000, 4, 6
OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}


def matrix(n_rows: int = N_ROWS, random_state: int = 0) -> np.ndarray:
    """Four numbers with gaps, of which one has few values, and two columns of codes."""
    rng = np.random.default_rng(random_state)
    found = rng.normal(size=(n_rows, N_COLUMNS))
    found[:, 1] = rng.integers(-3, 4, n_rows)
    found[:, 4], found[:, 5] = rng.integers(0, 6, n_rows), rng.zipf(1.3, n_rows) % 200
    return np.where(rng.random(found.shape) < 0.1, np.nan, found)


def labels(task: str) -> np.ndarray:
    X = np.nan_to_num(matrix())
    signal = X[:, 0] * X[:, 1] + np.sin(X[:, 5]) + (X[:, 4] == 2)
    return {"binary": (signal > 0).astype(int), "multiclass": np.digitize(signal, [-1, 1]), "regression": signal}[task]


def boosted(task: str, **more: Any) -> xgboost.Booster:
    kinds = ["q"] * N_NUMBERS + ["c"] * (N_COLUMNS - N_NUMBERS)
    train = xgboost.DMatrix(
        matrix().astype(np.float32), label=labels(task), feature_types=kinds, enable_categorical=True
    )
    parameters = {"objective": OBJECTIVES[task], "num_class": 3 if task == "multiclass" else None, "nthread": 1, **more}
    return xgboost.train({name: value for name, value in parameters.items() if value is not None}, train, 25)


def histograms(task: str, **more: Any) -> Any:
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    with threadpool_limits(1, "openmp"):
        return kind(max_iter=25, random_state=0, early_stopping=False, **more).fit(matrix(), labels(task))


MODELS = {
    **{f"xgboost {task}": (task, lambda task=task: boosted(task)) for task in OBJECTIVES},
    **{f"histograms {task}": (task, lambda task=task: histograms(task)) for task in OBJECTIVES},
    "xgboost of hundreds of leaves": ("binary", lambda: boosted("binary", max_depth=11, min_child_weight=0)),
    "xgboost of stumps": ("regression", lambda: boosted("regression", max_depth=1)),
    "xgboost of roots": ("regression", lambda: boosted("regression", gamma=1e9)),
    "xgboost of counts": ("regression", lambda: boosted("binary", objective="count:poisson")),
    "xgboost of parallel trees": ("binary", lambda: boosted("binary", num_parallel_tree=3, subsample=0.5)),
    "xgboost one category at a time": ("binary", lambda: boosted("binary", max_cat_to_onehot=500)),
    "histograms of hundreds of leaves": ("binary", lambda: histograms("binary", max_leaf_nodes=None, min_samples_leaf=1)),
    "histograms of absolute errors": ("regression", lambda: histograms("regression", loss="absolute_error")),
}  # fmt: skip


@pytest.fixture(scope="module")
def forests() -> dict[str, tuple[str, Any, Forest]]:
    found = {name: (task, fitted()) for name, (task, fitted) in MODELS.items()}
    return {name: (task, model, Forest.of(model, task, N_COLUMNS)) for name, (task, model) in found.items()}


def bits(model: Any, task: str, X: np.ndarray) -> bytes:
    return answer(model, X, task=task, n_threads=1, block_rows=None).tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_the_models_bit_by_bit(forests: Any, name: str) -> None:
    task, model, forest = forests[name]
    X = matrix(5_000, random_state=9).astype(forest.model.start.dtype)
    assert forest.answer(X, task).tobytes() == bits(model, task, X)


NUMBER = st.floats(-(2.0**100), 2.0**100, width=32) | st.just(float("nan")) | st.integers(-3, 3).map(float)
CODE = st.integers(0, 250).map(float) | st.just(float("nan"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[NUMBER] * N_NUMBERS, *[CODE] * (N_COLUMNS - N_NUMBERS)), min_size=1, max_size=5))
def test_every_row_gets_the_models_bits(forests: Any, rows: list[tuple[float, ...]]) -> None:
    for task, model, forest in forests.values():
        X = np.array(rows, dtype=forest.model.start.dtype)
        assert forest.answer(X, task).tobytes() == bits(model, task, X)


def test_places_of_bits_differ() -> None:
    assert sorted(PLACES) == list(range(64))


def test_another_estimator_has_no_forest() -> None:
    model = RandomForestClassifier(n_estimators=3).fit(np.nan_to_num(matrix()), labels("binary"))
    assert Forest.of(model, "binary", N_COLUMNS) is None


def test_histogram_boosting_with_categories_has_no_forest() -> None:
    assert Forest.of(histograms("binary", categorical_features=[4]), "binary", N_COLUMNS) is None


def test_table_that_would_be_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.modeling.compiled.forest._MOST_BYTES", 1_000)
    assert Forest.of(boosted("binary"), "binary", N_COLUMNS) is None


def test_forest_that_differs_by_a_bit_is_not_used(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    model = boosted("regression")
    found = trees.sum_of(model)
    assert found is not None
    last = found.trees[-1]
    last.threshold[last.left < 0] = np.nextafter(last.threshold[last.left < 0] * 1.001, np.inf, dtype=np.float32)
    monkeypatch.setattr("tidemill.modeling.compiled.forest.sum_of", lambda _: found)
    with caplog.at_level(logging.WARNING):
        assert Forest.of(model, "regression", N_COLUMNS) is None
    assert "differ from its own scores" in caplog.text
