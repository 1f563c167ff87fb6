"""Plain expectations on Arrow columns: Great Expectations' own verdicts, figure by figure, or none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidemill.checks import judge
from tidemill.contracts import evaluate_contract
from tidemill.spec import Expectation

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
TEXTS = st.none() | st.sampled_from(["JFK", "LGA", "", " ", "éa", "🛫🛫🛫", "long text"])
WHOLE = st.none() | st.integers(-3, 3)
NUMBERS = st.none() | st.sampled_from([-1.5, -0.0, 0.0, 1.0, 2.5, float("nan"), float("inf"), float("-inf")])
TIMES = st.none() | st.integers(-2, 2).map(lambda n: NOON + timedelta(microseconds=n))
MOSTLY = st.sampled_from([{}, {"mostly": 0.5}, {"mostly": 1}, {"mostly": 0.9}])
STRICT = st.fixed_dictionaries({}, optional={"strict_min": st.booleans(), "strict_max": st.booleans()})


def expectation(name: str, **arguments: Any) -> Expectation:
    return Expectation(name=f"expect_column_{name}", arguments={"column": "c", **arguments})


def asks(*names: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Expectation]:
    """Make expectations of some names, with and without ``mostly``."""
    return st.builds(
        lambda name, mostly, given: expectation(name, **given, **mostly),
        st.sampled_from(names),
        MOSTLY,
        st.fixed_dictionaries(values),
    )


def ranges(ends: st.SearchStrategy[Any]) -> st.SearchStrategy[Expectation]:
    pairs = st.tuples(st.none() | ends, st.none() | ends).filter(lambda pair: pair != (None, None))
    pairs = pairs.filter(lambda pair: None in pair or pair[0] <= pair[1])
    return st.builds(
        lambda pair, strict, mostly: expectation(
            "values_to_be_between", min_value=pair[0], max_value=pair[1], **strict, **mostly
        ),
        pairs,
        STRICT,
        MOSTLY,
    )


def sets(values: list[Any]) -> st.SearchStrategy[Expectation]:
    chosen = st.lists(st.sampled_from(values), min_size=1, max_size=3)
    return asks("values_to_be_in_set", "values_to_not_be_in_set", value_set=chosen)


def columns(values: st.SearchStrategy[Any], kind: pa.DataType) -> st.SearchStrategy[pa.ChunkedArray]:
    return st.lists(values, min_size=1, max_size=15).map(lambda items: pa.chunked_array([pa.array(items, kind)]))


ABSENT = asks("values_to_not_be_null")
CASES = st.one_of(
    st.tuples(
        ABSENT
        | asks("values_to_be_unique")
        | sets(["JFK", ""])
        | asks("value_lengths_to_equal", value=st.integers(0, 3)),
        columns(TEXTS, pa.string()),
    ),
    st.tuples(
        ABSENT | asks("values_to_be_unique") | sets([0, 1, 2.5]) | ranges(st.integers(-2, 2) | st.just(0.5)),
        st.sampled_from([pa.int16(), pa.int32(), pa.int64()]).flatmap(lambda kind: columns(WHOLE, kind)),
    ),
    st.tuples(
        ABSENT | sets([0, 1.0, 2.5]) | ranges(st.sampled_from([-2, 0, 1.0, 2.5])), columns(NUMBERS, pa.float64())
    ),
    st.tuples(ABSENT | ranges(TIMES.filter(bool)), columns(TIMES, pa.timestamp("us", "UTC"))),
)


@settings(max_examples=120, deadline=None)
@given(CASES)
@example((expectation("values_to_be_in_set", value_set=[0, -0.0]), pa.chunked_array([pa.array([-0.0, 0.0, 1.0])])))
@example((expectation("values_to_be_unique"), pa.chunked_array([["a", "b", None], ["a", None]])))
@example((expectation("values_to_be_unique"), pa.chunked_array([["a", "b"], ["c"]])))
@example((expectation("values_to_be_unique"), pa.chunked_array([[1, 2], [2]])))
@example((expectation("values_to_be_unique", mostly=0.5), pa.chunked_array([[1], [2, 3, 1]])))
@example((expectation("values_to_not_be_in_set", value_set=[""]), pa.chunked_array([[1, None, 0]])))
@example((expectation("values_to_be_in_set", value_set=[""]), pa.chunked_array([[1, None, 0]])))
def test_verdict_and_figures_are_those_of_great_expectations(case: tuple[Expectation, pa.ChunkedArray]) -> None:
    expected, column = case
    (theirs,) = evaluate_contract([expected], pa.table({"c": column}).to_pandas())
    assert judge(expected, column) == theirs


@pytest.mark.parametrize(
    ("asked", "column"),
    [
        (expectation("values_to_match_regex", regex="a"), pa.array(["a"])),
        (expectation("values_to_be_between", min_value="a"), pa.array(["b"])),
        (expectation("values_to_be_between", min_value=3, max_value=1), pa.array([2])),
        (expectation("values_to_be_between"), pa.array([2])),
        (expectation("values_to_be_in_set", value_set=["1"]), pa.array([1])),
        (expectation("values_to_be_in_set", value_set=[1]), pa.array(["1"])),
        (expectation("values_to_be_in_set", value_set=[True]), pa.array([True])),
        (expectation("values_to_be_between", min_value=0.1), pa.array([0.1], pa.float32())),
        (expectation("values_to_be_between", min_value=0), pa.array([2**60])),
        (expectation("values_to_be_unique"), pa.array([0.0])),
        (expectation("values_to_not_be_null", row_condition="a > 1"), pa.array([1])),
        (expectation("values_to_not_be_null", mostly="half"), pa.array([1])),
        (expectation("values_to_not_be_null"), pa.array([], pa.int64())),
    ],
)
def test_what_is_not_plain_is_left_to_great_expectations(asked: Expectation, column: pa.Array) -> None:
    assert judge(asked, pa.chunked_array([column])) is None
