"""Scoring by batches: the bits of `Bundle.score`, whatever the batches, the threads and the way that the values come."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.arrow import to_frame
from tidemill.errors import ContractBroken, SchemaChanged
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.compiled.lookups import LookUps
from tidemill.modeling.estimators import fit
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.scorer import Scorer

SCHEMA = FeatureSchema(numeric=("hour", "flag", "wind"), categorical=("origin", "plane"))
N_ROWS = 3_000
TASKS = {
    "binary": lambda signal: (signal > 0).astype(int),
    "multiclass": lambda signal: np.array(["early", "on time", "late"], dtype=object)[np.digitize(signal, [-1, 1])],
    "regression": lambda signal: signal,
}
LOOKED_UP = [
    (name, task) for name in ("xgboost", "hist_gradient_boosting") for task in ("binary", "multiclass", "regression")
]
ASKED = [("logistic_regression", "binary"), ("ridge", "regression")]


def rows(n_rows: int = N_ROWS, random_state: int = 0) -> pa.Table:
    """Columns as Postgres gives them: nulls, rare levels, levels and numbers that training never had."""
    rng = np.random.default_rng(random_state)
    return pa.table(
        {
            "id": pa.array(range(n_rows)),
            "hour": pa.array(rng.integers(0, 24, n_rows), pa.int32(), mask=rng.random(n_rows) < 0.1),
            "flag": pa.array(rng.random(n_rows) < 0.5, mask=rng.random(n_rows) < 0.1),
            "wind": pa.array(
                np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows)), mask=rng.random(n_rows) < 0.1
            ),
            "origin": pa.array(rng.choice(["JFK", "LGA", "EWR", "", "ü 🛫"], n_rows), mask=rng.random(n_rows) < 0.1),
            "plane": pa.array([f"N{number}" for number in rng.zipf(1.5, n_rows) % (400 + random_state)]),
        }
    )


@pytest.fixture(scope="module")
def bundles() -> dict[tuple[str, str], Bundle]:
    table = rows()
    X = table.to_pandas()
    signal = X["wind"].fillna(0).to_numpy() + (X["origin"] == "JFK") + np.random.default_rng(1).normal(size=N_ROWS)
    return {
        (name, task): fit(
            name, task, SCHEMA, X, TASKS[task](signal), X.head(0), TASKS[task](signal[:0]), random_state=0, n_threads=1
        )
        for name, task in [*LOOKED_UP, *ASKED]
    }


def in_batches(scorer: Scorer, table: pa.Table, batch_rows: int) -> np.ndarray:
    return np.concatenate([scorer.score(batch) for batch in table.to_batches(max_chunksize=batch_rows)])


@pytest.mark.parametrize(("name", "task"), [*LOOKED_UP, *ASKED])
@pytest.mark.parametrize("batch_rows", [1_000, 64, 7])
def test_scores_are_those_of_the_whole_frame_bit_by_bit(bundles: Any, name: str, task: str, batch_rows: int) -> None:
    bundle, table = bundles[name, task], rows(1_500, random_state=7)
    found = in_batches(Scorer.of(bundle), table, batch_rows)
    assert found.tobytes() == bundle.score(table.to_pandas()).tobytes()


@pytest.mark.parametrize(("name", "task"), [*LOOKED_UP, *ASKED])
def test_threads_that_score_side_by_side_change_nothing(bundles: Any, name: str, task: str) -> None:
    scorer, table = Scorer.of(bundles[name, task]), rows(20_000, random_state=3)
    with ThreadPoolExecutor(4) as pool:
        found = np.concatenate(list(pool.map(scorer.score, table.to_batches(max_chunksize=1_000))))
    assert found.tobytes() == bundles[name, task].score(table.to_pandas()).tobytes()


@pytest.mark.parametrize(("name", "task"), [*LOOKED_UP, *ASKED])
def test_compiled_trees_give_the_same_bits(bundles: Any, name: str, task: str) -> None:
    bundle, table = bundles[name, task], rows(1_500, random_state=7)
    scorer = Scorer.of(bundle).compiled()
    assert (scorer.forest is not None) == ((name, task) in LOOKED_UP)
    assert in_batches(scorer, table, 700).tobytes() == bundle.score(table.to_pandas()).tobytes()


@pytest.mark.parametrize(("name", "task"), LOOKED_UP)
def test_trees_are_looked_up(bundles: Any, name: str, task: str) -> None:
    lookups = LookUps.of(bundles[name, task].preprocessing, SCHEMA)
    assert lookups is not None
    assert lookups.takes(rows(1).schema)


@pytest.mark.parametrize(("name", "task"), ASKED)
def test_scaled_features_have_no_look_ups(bundles: Any, name: str, task: str) -> None:
    assert LookUps.of(bundles[name, task].preprocessing, SCHEMA) is None


TEXT = (
    st.none()
    | st.sampled_from(["JFK", "N1", "N2", "N3", ""])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.none() | st.floats(-1e38, 1e38), TEXT, TEXT), min_size=1, max_size=6))
def test_matrix_is_that_of_the_fitted_transformer(bundles: Any, values: list[tuple[Any, ...]]) -> None:
    wind, origin, plane = (list(column) for column in zip(*values, strict=True))
    batch = pa.record_batch(
        {
            "hour": pa.array([1] * len(wind), pa.int16()),
            "flag": pa.array([True] * len(wind)),
            "wind": pa.array(wind, pa.float64()),
            "origin": pa.array(origin, pa.string()),
            "plane": pa.array(plane, pa.string()),
        }
    )
    for key in LOOKED_UP:
        transformer = bundles[key].preprocessing
        lookups = LookUps.of(transformer, SCHEMA)
        expected = np.ascontiguousarray(transformer.transform(align(batch.to_pandas(), SCHEMA)), dtype=np.float64)
        assert lookups is not None
        np.testing.assert_array_equal(lookups.matrix(batch, np.float64), expected)


def test_categories_that_come_as_numbers_score_as_in_a_frame(bundles: Any) -> None:
    table = rows(100).set_column(5, "plane", pa.array(range(100)))
    bundle = bundles["xgboost", "binary"]
    found = in_batches(Scorer.of(bundle), table, 10)
    assert found.tobytes() == bundle.score(table.to_pandas()).tobytes()


def test_infinite_number_is_refused_by_name(bundles: Any) -> None:
    table = rows(3).set_column(3, "wind", pa.array([0.0, np.inf, 1.0]))
    with pytest.raises(ContractBroken, match=r"'wind' \(1 of 3 rows\)"):
        Scorer.of(bundles["xgboost", "binary"]).score(table.to_batches()[0])


def test_text_where_a_number_is_due_is_refused(bundles: Any) -> None:
    table = rows(2).set_column(3, "wind", pa.array(["strong", "weak"]))
    with pytest.raises(SchemaChanged, match="wind"):
        Scorer.of(bundles["xgboost", "binary"]).score(table.to_batches()[0])


def test_frame_of_other_order_scores_the_same(bundles: Any) -> None:
    bundle, table = bundles["xgboost", "binary"], rows(50)
    turned: pd.DataFrame = table.select(table.column_names[::-1]).to_pandas()
    found = in_batches(Scorer.of(bundle), table, 50)
    assert found.tobytes() == bundle.score(turned).tobytes()


IDS = [2**60 + number * 7 for number in range(8)]  # neighbours share a float64
KINDS = {
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "decimal": pa.decimal128(20, 0),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "dictionary of texts": pa.dictionary(pa.int32(), pa.string()),
    "dictionary of integers": pa.dictionary(pa.int8(), pa.int64()),
}


def shops(kind: pa.DataType, picked: np.ndarray) -> pa.Array:
    """Return shop ids in some type; -1 picks a NULL."""
    values = [None if at < 0 else IDS[at] for at in picked]
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    texts = inner in (pa.string(), pa.large_string())
    array = pa.array(
        [value if value is None or not texts else str(value) for value in values], inner if texts else None
    )
    array = array.cast(inner) if inner != array.type else array
    return array.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else array


def bought(kind: pa.DataType, n_rows: int, null_share: float, random_state: int) -> tuple[pa.Table, np.ndarray]:
    """Rows whose label depends on the shop."""
    rng = np.random.default_rng(random_state)
    picked = rng.integers(0, 8, n_rows)
    y = rng.random(n_rows) < np.where(picked % 2, 0.85, 0.15)
    picked[rng.random(n_rows) < null_share] = -1
    return pa.table({"x": rng.normal(size=n_rows), "shop": shops(kind, picked)}), y


@pytest.mark.parametrize(
    ("kind", "estimator", "null_share"),
    [
        *((kind, "xgboost", 0.02) for kind in KINDS),
        *(("int64", name, share) for name in ("xgboost", "logistic_regression") for share in (0.0, 0.02)),
        ("decimal", "hist_gradient_boosting", 0.02),
    ],
)
def test_a_score_depends_on_its_row_only_for_every_type(kind: str, estimator: str, null_share: float) -> None:
    schema = FeatureSchema(numeric=("x",), categorical=("shop",))
    train, y = bought(KINDS[kind], 1_500, null_share, 1)
    aside, y_aside = bought(KINDS[kind], 300, null_share, 2)
    bundle = fit(estimator, "binary", schema, to_frame(train), y, to_frame(aside), y_aside, random_state=0, n_threads=1)
    scorer = Scorer.of(bundle).compiled()
    one_of_each = pa.table({"x": np.zeros(9), "shop": shops(KINDS[kind], np.array([*range(8), -1]))}).combine_chunks()
    together = scorer.score(one_of_each.to_batches()[0])
    without_null = scorer.score(one_of_each.slice(0, 8).combine_chunks().to_batches()[0])
    alone = np.concatenate([scorer.score(one_of_each.slice(at, 1).to_batches()[0]) for at in range(9)])
    assert together[:8].tobytes() == without_null.tobytes()
    assert together.tobytes() == alone.tobytes() == bundle.score(to_frame(one_of_each)).tobytes()
    assert (together[:8] > 0.5).tolist() == [False, True] * 4  # each shop has been learnt by itself
