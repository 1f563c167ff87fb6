"""Kinds of features: what may change between training and scoring, and what may not."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tidemill.errors import ContractBroken
from tidemill.modeling.estimators import fit
from tidemill.modeling.feature_kinds import changed_kinds, feature_kinds
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.scorer import Scorer

NUMBERS = [pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.float32(), pa.float64(), pa.decimal128(10, 2)]
TEXTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
OTHERS = [pa.bool_(), pa.date32(), pa.timestamp("us", "UTC"), pa.binary()]


def schema_of(kind: pa.DataType, *, numeric: bool) -> FeatureSchema:
    names = {"numeric": ("x",)} if numeric else {"categorical": ("x",)}
    parts = (names.get("numeric", ()), names.get("categorical", ()))
    return FeatureSchema(**names, kinds=feature_kinds(*parts, pa.schema({"x": kind})))


@pytest.mark.parametrize("then", NUMBERS)
@pytest.mark.parametrize("now", NUMBERS)
def test_a_number_may_change_its_width(then: pa.DataType, now: pa.DataType) -> None:
    assert changed_kinds(schema_of(then, numeric=True), pa.schema({"x": now})) == []


@pytest.mark.parametrize("then", TEXTS)
@pytest.mark.parametrize("now", TEXTS)
def test_a_text_may_change_its_layout(then: pa.DataType, now: pa.DataType) -> None:
    assert changed_kinds(schema_of(then, numeric=False), pa.schema({"x": now})) == []


@pytest.mark.parametrize("now", [*TEXTS, *OTHERS])
def test_a_number_may_not_become_anything_else(now: pa.DataType) -> None:
    (said,) = changed_kinds(schema_of(pa.float64(), numeric=True), pa.schema({"x": now}))
    assert said.startswith("'x' was a number in training, and is ")


@pytest.mark.parametrize("now", [*NUMBERS, *OTHERS])
def test_a_text_may_not_become_anything_else(now: pa.DataType) -> None:
    (said,) = changed_kinds(schema_of(pa.string(), numeric=False), pa.schema({"x": now}))
    assert said.startswith("'x' was text in training, and is ")


@pytest.mark.parametrize("numeric", [True, False])
@pytest.mark.parametrize("now", [*NUMBERS, *TEXTS])
def test_a_boolean_may_not_become_anything_else(now: pa.DataType, numeric: bool) -> None:
    assert len(changed_kinds(schema_of(pa.bool_(), numeric=numeric), pa.schema({"x": now}))) == 1


def test_a_bundle_without_kinds_is_compared_with_nothing() -> None:
    assert changed_kinds(FeatureSchema(numeric=("x",)), pa.schema({"x": pa.bool_()})) == []


IDS = 2**53 + np.arange(-100, 100)


@pytest.mark.parametrize(
    "values", [IDS, pd.array([*IDS[:-1], None], dtype="Int64"), pd.Series(IDS.tolist(), dtype=object)]
)
def test_whole_numbers_beyond_2_to_53_are_no_numeric_feature(values: object) -> None:
    schema, y = FeatureSchema(numeric=("x",)), np.arange(200) % 2 == 0
    small = pd.DataFrame({"x": np.arange(200.0)})
    bundle = fit("shallow_tree", "binary", schema, small, y, small, y, random_state=0, n_threads=1)
    with pytest.raises(ContractBroken, match=r"beyond 2\*\*53: 'x' \((99|98) of 200 rows\)"):
        bundle.score(pd.DataFrame({"x": values}))
    with pytest.raises(ContractBroken, match=r"beyond 2\*\*53: 'x'"):
        fit(
            "shallow_tree", "binary", schema, pd.DataFrame({"x": values}), y, small, y, random_state=0, n_threads=1
        )  # fmt: skip


def test_compiled_look_ups_refuse_whole_numbers_beyond_2_to_53_as_well() -> None:
    schema, y = FeatureSchema(numeric=("x",)), np.arange(200) % 2 == 0
    small = pd.DataFrame({"x": np.arange(200.0)})
    scorer = Scorer.of(fit("xgboost", "binary", schema, small, y, small, y, random_state=0, n_threads=1))
    for values in (pa.array([1, 2**53 + 1]), pa.array([1, -(2**53) - 1]), pa.array([1, 2**63], pa.uint64())):
        with pytest.raises(ContractBroken, match=r"'x' \(1 of 2 rows\)"):
            scorer.score(pa.record_batch({"x": values}))
    assert len(scorer.score(pa.record_batch({"x": pa.array([-(2**53), 2**53])}))) == 2
    assert len(scorer.score(pa.record_batch({"x": pa.array([Decimal(2**60)], pa.decimal128(30, 0))}))) == 1
