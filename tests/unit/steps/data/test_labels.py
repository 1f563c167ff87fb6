import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.errors import ContractBroken, NotTrainable, SpecError
from tidemill.spec import ModelSpec
from tidemill.steps.data.labels import labelled

KEYS = pa.chunked_array([["a", "b", "c"]])


def spec(task: str, **label: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": task,
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "a.sql", "labels": "b.sql"},
            "label": {"column": "y", **label},
        }
    )


def labels(values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"id": ["c", "a"], "y": pa.array(values, kind)})


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [([True, False], True, [0, None, 1]), ([2, 1], 1, [1, None, 0]), (["late", "on_time"], "late", [0, None, 1])],
)
def test_binary_labels_are_1_for_the_positive_class(values: list[Any], positive: Any, expected: list[Any]) -> None:
    assert labelled(KEYS, labels(values), spec("binary", positive=positive)).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["late", "on_time"], ["on_time", None, "late"]), ([3, 1], ["1", None, "3"]), ([True, False], ["false", None, "true"]),
     (["late", None], [None, None, "late"])],
)  # fmt: skip
def test_classes_are_texts(values: list[Any], expected: list[Any]) -> None:
    assert labelled(KEYS, labels(values), spec("multiclass")).to_pylist() == expected


def test_classes_that_are_floats_are_refused() -> None:
    with pytest.raises(SpecError, match="of type double"):
        labelled(KEYS, labels([1.0, 2.0]), spec("multiclass"))


@pytest.mark.parametrize("values", [[2, 1], [2.0, 1.0]])
def test_a_regression_takes_numbers(values: list[Any]) -> None:
    assert labelled(KEYS, labels(values), spec("regression")).to_pylist() == [1.0, None, 2.0]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_regression_refuses_what_is_no_number(odd: float) -> None:
    with pytest.raises(ContractBroken, match="1 label"):
        labelled(KEYS, labels([odd, 1.0]), spec("regression"))


def test_a_missing_number_is_an_unknown_label() -> None:
    assert labelled(KEYS, labels([None, 1.0]), spec("regression")).to_pylist() == [1.0, None, None]


@pytest.mark.parametrize("values", [["1", "2"], [True, False]])
def test_a_regression_refuses_labels_that_are_not_numbers(values: list[Any]) -> None:
    with pytest.raises(SpecError, match="a regression predicts a number"):
        labelled(KEYS, labels(values), spec("regression"))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_an_entity_with_two_labels_is_refused_whatever_the_task(task: str) -> None:
    with pytest.raises(NotTrainable, match=r"1 key\(s\) twice"):
        labelled(KEYS, pa.table({"id": ["a", "a"], "y": np.ones(2, dtype=np.int64)}), spec(task))


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        ([1, 0], True, [0, None, 1]),
        ([2**60 + 1, 2**60], 2**60 + 1, [0, None, 1]),
        ([1, 0], "1", [0, None, 1]),
        ([True, False], "true", [0, None, 1]),
        ([1.0, math.nan], 1, [None, None, 1]),
    ],
)
def test_a_positive_value_takes_the_type_of_the_label(values: list[Any], positive: Any, expected: list[Any]) -> None:
    assert labelled(KEYS, labels(values), spec("binary", positive=positive)).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "positive"),
    [(["1", "01"], 1), (["true", "no"], True), ([True, False], 2), ([1, 0], "late"), ([0.5, 1.0], 2**60 + 1)],
)
def test_a_positive_value_that_sql_would_not_compare_is_refused(values: list[Any], positive: Any) -> None:
    with pytest.raises(SpecError, match=r"label\.positive of 'm' is"):
        labelled(KEYS, labels(values), spec("binary", positive=positive))


def test_a_label_without_a_key_belongs_to_nobody() -> None:
    table = pa.table({"id": ["a", None, None], "y": [True, True, False]})
    assert labelled(KEYS, table, spec("binary")).to_pylist() == [1, None, None]
