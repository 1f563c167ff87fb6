"""Expectations on Arrow columns: the verdicts of Great Expectations where it is right, and exact ones everywhere else."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidemill.arrow import to_frame
from tidemill.checks import judge, judge_keys, needed_columns, why_unjudged
from tidemill.checks.aggregates import AGGREGATES, DISTINCT
from tidemill.checks.rows import ROW_WISE
from tidemill.contracts import evaluate_contract
from tidemill.records import Severity
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


@settings(max_examples=60, deadline=None)
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
    table = pa.table({"c": column})
    (theirs,) = evaluate_contract([expected], to_frame(table))
    assert judge(expected, table) == theirs


AGGREGATED = [
    f"{name}_to_be_between" for name in ("min", "max", "mean", "median", "sum", "stdev", "unique_value_count")
]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([*AGGREGATED, "proportion_of_unique_values_to_be_between"]),
    st.lists(st.none() | st.integers(-4, 4), min_size=2, max_size=12).filter(
        lambda items: len(set(items) - {None}) > 1
    ),
    st.sampled_from([pa.int64(), pa.float64()]),
    st.sampled_from([-1, 0, 0.5, 1, 2]),
    st.sampled_from(["min_value", "max_value"]),
    st.booleans(),
)
def test_aggregates_are_those_of_great_expectations(
    name: str, values: list[Any], kind: pa.DataType, end: float, side: str, strict: bool
) -> None:
    asked = expectation(name, **{side: end, f"strict_{side[:3]}": strict})
    table = pa.table({"c": pa.array(values, kind)})
    (theirs,) = evaluate_contract([asked], to_frame(table))
    ours = judge(asked, table)
    assert ours is not None
    assert ours.success == theirs.success
    assert float(ours.observed.split()[-1]) == pytest.approx(float(theirs.observed.split()[-1]))


WORDS = st.lists(st.none() | st.sampled_from(["a", "b", "ab", "3"]), min_size=1, max_size=8)
OTHERS = st.one_of(
    asks("value_lengths_to_be_between", min_value=st.just(1), max_value=st.integers(1, 2)),
    asks("values_to_match_regex", "values_to_not_match_regex", regex=st.sampled_from(["a", "^b$", r"\d"])),
    asks("values_to_be_null"),
    st.builds(
        expectation,
        st.sampled_from([f"distinct_values_to_{verb}_set" for verb in ("be_in", "contain", "equal")]),
        value_set=st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, unique=True),
    ),
)


@settings(max_examples=25, deadline=None)
@given(OTHERS, WORDS)
def test_verdicts_about_texts_are_those_of_great_expectations(asked: Expectation, values: list[str | None]) -> None:
    table = pa.table({"c": pa.array(values, pa.string())})
    (theirs,) = evaluate_contract([asked], to_frame(table))
    ours = judge(asked, table)
    assert ours is not None
    assert ours.success == theirs.success
    if "distinct" not in asked.name:  # theirs counts some of them only
        assert ours.n_unexpected == theirs.n_unexpected


PAIRS = st.lists(st.tuples(st.none() | st.integers(0, 2), st.none() | st.integers(0, 2)), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["pair_values_to_be_equal", "pair_values_a_to_be_greater_than_b"]),
    PAIRS,
    st.sampled_from(["both_values_are_missing", "either_value_is_missing", "neither"]),
)
def test_verdicts_about_pairs_are_those_of_great_expectations(name: str, rows: list[Any], ignored: str) -> None:
    arguments = {"column_A": "a", "column_B": "b", "ignore_row_if": ignored}
    asked = Expectation(name=f"expect_column_{name}", arguments=arguments)
    table = pa.table(
        {"a": pa.array([a for a, _ in rows], pa.float64()), "b": pa.array([b for _, b in rows], pa.float64())}
    )
    (theirs,) = evaluate_contract([asked], to_frame(table))
    ours = judge(asked, table)
    assert ours is not None
    assert (ours.success, ours.n_unexpected) == (theirs.success, theirs.n_unexpected)


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.sampled_from(["all_values_are_missing", "any_value_is_missing", "never"]))
def test_compound_keys_are_counted_as_by_hand(rows: list[Any], ignored: str) -> None:
    asked = Expectation(
        name="expect_compound_columns_to_be_unique", arguments={"column_list": ["a", "b"], "ignore_row_if": ignored}
    )
    table = pa.table({"a": pa.array([a for a, _ in rows], pa.int64()), "b": pa.array([b for _, b in rows], pa.int64())})
    judged = {
        "all_values_are_missing": lambda row: row != (None, None),
        "any_value_is_missing": lambda row: None not in row,
    }
    left = [row for row in rows if judged.get(ignored, lambda row: True)(row)]
    ours = judge(asked, table)
    assert ours is not None
    assert ours.n_unexpected == sum(left.count(row) > 1 for row in left)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_order_is_that_of_the_values_that_are_there(values: list[int | None], rising: bool, strictly: bool) -> None:
    asked = expectation(f"values_to_be_{'in' if rising else 'de'}creasing", strictly=strictly)
    known = [value if rising else -value for value in values if value is not None]
    wrong = sum(after < before or (strictly and after == before) for before, after in pairwise(known))
    ours = judge(asked, pa.table({"c": pa.array(values, pa.int64())}))
    assert ours is not None
    assert (ours.success, ours.n_unexpected) == (wrong == 0, wrong)


BIG = 305184080441754059
DAY = pa.array([date(2026, 1, 2), None, date(9999, 12, 31)])
AT = pa.array([NOON, None, NOON + timedelta(days=3)], pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("name", "arguments", "column", "n_broken"),
    [
        ("values_to_be_in_set", {"value_set": [BIG]}, pa.array([BIG, BIG + 1, None]), 1),
        ("values_to_not_be_in_set", {"value_set": [BIG + 1]}, pa.array([BIG, BIG + 1, None]), 1),
        ("values_to_be_unique", {}, pa.array([BIG, BIG + 1, None]), 0),
        ("values_to_be_unique", {}, pa.array([BIG, BIG, None]), 2),
        ("values_to_be_unique", {}, pa.array([0.0, -0.0, None, float("nan"), float("nan")]), 2),
        ("values_to_be_between", {"min_value": BIG + 1}, pa.array([BIG, BIG + 1, None]), 1),
        ("values_to_be_between", {"max_value": BIG, "strict_max": True}, pa.array([BIG, BIG - 1]), 1),
        ("values_to_be_between", {"min_value": 0.5}, pa.array([0, 1, 2]), 1),
        ("values_to_be_between", {"min_value": -1e300, "max_value": 1e300}, pa.array([0, 1, 2]), 0),
        ("values_to_be_between", {"min_value": 10**30}, pa.array([0, 1, 2]), 3),
        ("values_to_be_between", {"max_value": 100_000}, pa.array([0, 1], pa.int16()), 0),
        ("values_to_be_between", {"min_value": 0.1}, pa.array([0.1, 0.05], pa.float32()), 1),
        ("values_to_be_between", {"min_value": "b"}, pa.array(["a", "b", "c"]), 1),
        ("values_to_be_in_set", {"value_set": [True]}, pa.array([True, False, None]), 1),
        ("values_to_be_in_set", {"value_set": ["2026-01-02", "9999-12-31"]}, DAY, 0),
        ("values_to_be_in_set", {"value_set": [date(2026, 1, 2)]}, DAY, 1),
        ("values_to_be_between", {"max_value": "2026-12-31"}, DAY, 1),
        ("values_to_be_in_set", {"value_set": ["2024-03-10T08:00:00-04:00"]}, AT, 1),
        ("values_to_be_between", {"min_value": "2024-03-11"}, AT, 1),
        ("values_to_match_regex", {"regex": "9$"}, pa.array([BIG, BIG + 1, None]), 1),
        ("values_to_be_in_set", {"value_set": ["a"]}, pa.array(["a", "b", None]).dictionary_encode(), 1),
        ("values_to_be_in_set", {"value_set": [BIG]}, pa.array([BIG, BIG + 1, None]).dictionary_encode(), 1),
        ("values_to_be_in_set", {"value_set": [BIG]}, pa.array([BIG, BIG + 1, None], pa.uint64()), 1),
    ],
)  # fmt: skip
def test_every_type_is_judged_exactly(name: str, arguments: dict[str, Any], column: pa.Array, n_broken: int) -> None:
    ours = judge(expectation(name, **arguments), pa.table({"c": column}))
    assert ours is not None
    assert (ours.n_unexpected, ours.success) == (n_broken, n_broken == 0)


@pytest.mark.parametrize(
    ("name", "arguments", "column", "observed"),
    [
        ("sum_to_be_between", {"min_value": 0}, pa.array([2**62, 2**62, 2**62]), 3 * 2.0**62),
        ("mean_to_be_between", {"min_value": 0}, pa.array([2**62, 2**62]), 2.0**62),
        ("mean_to_be_between", {"min_value": 0}, pa.array([True, False, None]), 0.5),
        ("unique_value_count_to_be_between", {"max_value": 2}, pa.array([BIG, BIG + 1, None]), 2),
    ],
)
def test_aggregates_are_exact(name: str, arguments: dict[str, Any], column: pa.Array, observed: float) -> None:
    ours = judge(expectation(name, **arguments), pa.table({"c": column}))
    assert ours is not None
    assert ours.success
    assert float(ours.observed.removeprefix("observed ")) == observed


@pytest.mark.parametrize(
    ("asked", "column", "reason"),
    [
        (
            expectation("values_to_be_in_set", value_set=["1"]),
            pa.array([1]),
            "'1' cannot be compared with values of type int",
        ),
        (
            expectation("values_to_be_in_set", value_set=[1]),
            pa.array(["1"]),
            "1 cannot be compared with values of type string",
        ),
        (expectation("values_to_be_in_set", value_set=["\ud800"]), pa.array(["1"]), "half of a surrogate pair"),
        (
            expectation("values_to_be_in_set", value_set=["soon"]),
            DAY,
            "'soon' cannot be compared with values of type date32",
        ),
        (expectation("values_to_be_between", min_value=True), pa.array([1]), "True cannot be compared"),
        (expectation("values_to_be_between", min_value=float("nan")), pa.array([1]), "nan cannot be compared"),
        (expectation("values_to_be_between"), pa.array([2]), "neither min_value nor max_value"),
        (expectation("values_to_be_between", max_value=1), pa.array([True]), "booleans have no range"),
        (expectation("mean_to_be_between", max_value=1), DAY, "have no sum"),
        (expectation("value_lengths_to_equal", value=1), pa.array([1]), "have no length"),
        (expectation("values_to_match_regex", regex="("), pa.array(["a"]), "not a regular expression"),
        (expectation("values_to_match_regex", regex="a"), pa.array([0.5]), "not texts to search in"),
        (expectation("values_to_not_be_null", mostly="half"), pa.array([1]), "mostly is 'half'"),
        (expectation("values_to_not_be_null", row_condition="nobody > 1"), pa.array([1]), "'nobody' is not defined"),
        (expectation("value_z_scores_to_be_less_than", threshold=3), DAY, "not defined for values of type date32"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_and_fails_with_a_message(
    asked: Expectation, column: pa.Array, reason: str
) -> None:
    table = pa.table({"c": column})
    ours = judge(asked, table)
    assert ours is not None
    assert not ours.success
    assert ours.observed.startswith("cannot be judged: ")
    assert reason in ours.observed
    assert reason in str(why_unjudged(asked, table.schema))


def test_a_condition_may_name_any_column() -> None:
    table = pa.table({"c": [5, 500, BIG], "shop": ["s1", "s2", None], "d": [date(2026, 1, 1)] * 3})
    asked = expectation("values_to_be_between", max_value=200, row_condition='shop == "s1"', condition_parser="pandas")
    assert needed_columns(asked, table.column_names) == ["c", "shop"]
    ours = judge(asked, table)
    assert ours is not None
    assert (ours.success, ours.observed) == (True, "0 of 1 values break it")


def test_a_missing_column_fails_with_a_message() -> None:
    ours = judge(expectation("values_to_be_unique"), pa.table({"d": [1]}))
    assert ours is not None
    assert (ours.success, ours.observed) == (False, "there is no column 'c'")


def test_what_has_no_equal_here_is_left_to_great_expectations() -> None:
    assert judge(expectation("value_z_scores_to_be_less_than", threshold=3), pa.table({"c": [1]})) is None


ODD_ARGUMENTS = [
    "0044-03-15 BC", "-0044-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\ud800", "a\x00b", "", None,
    True, 2**63, -(2**70), 10**400, 1e308, float("inf"), float("nan"), [], {}, ["\ud800"], [None], [1, "a"], [[1]], "(",
    "9" * 5000,
]  # fmt: skip
NAMES = (
    "min_value", "max_value", "value_set", "regex", "value", "type_list", "strictly", "mostly", "row_condition",
    "ignore_row_if",
)  # fmt: skip
COLUMNS = {
    "moment": pa.array(
        [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), None], pa.timestamp("us", "UTC")
    ),
    "day": pa.array([date(1, 1, 1), date(9999, 12, 31), None]),
    "whole": pa.array([2**63 - 1, -(2**63), None]),
    "number": pa.array([1e308, float("nan"), None]),
    "word": pa.array(["a", "", None]),
    "flag": pa.array([True, False, None]),
}


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")  # by Python, of an odd pattern
@pytest.mark.parametrize("name", [*ROW_WISE, *AGGREGATES, *DISTINCT])
def test_no_argument_ends_in_anything_but_a_verdict(name: str) -> None:
    rows = pa.table(COLUMNS)
    for column in COLUMNS:
        place = {
            "pair": {"column_A": column, "column_B": "whole"},
            "compound": {"column_list": [column, "word"]},
        }.get(name.split("_")[1], {"column": column})
        for argument in NAMES:
            for value in ODD_ARGUMENTS:
                asked = Expectation(name=name, arguments={**place, argument: value})
                found = judge(asked, rows)
                assert found is None or found.observed.encode()
                assert (why_unjudged(asked, rows.schema) or "").encode() is not None


@pytest.mark.parametrize("name", [*ROW_WISE, *AGGREGATES, *DISTINCT])
@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b", None]).dictionary_encode(),
        pa.array([Decimal("1.10"), Decimal("-2.20"), None]),
        pa.array([time(8), time(17, 30), None]),
        pa.array([timedelta(days=1), None]),
        pa.array([b"a", None]),
        pa.array([[1], None]),
        pa.nulls(3),
    ],
    ids=lambda column: str(column.type),
)
def test_no_type_ends_in_anything_but_a_verdict(name: str, column: pa.Array) -> None:
    rows = pa.table({"c": column, "d": column})
    place = {"pair": {"column_A": "c", "column_B": "d"}, "compound": {"column_list": ["c", "d"]}}
    for arguments in ({}, {"value_set": ["a"]}, {"min_value": 1.5}, {"regex": "a"}, {"value": 1}, {"type_": "text"}):
        asked = Expectation(name=name, arguments={**place.get(name.split("_")[1], {"column": "c"}), **arguments})
        found = judge(asked, rows)
        assert found is None or found.observed
        assert why_unjudged(asked, rows.schema) != ""


@pytest.mark.parametrize(
    ("key", "is_odd"),
    [("a b", False), ("", False), (None, False), ("k" * 2600, False), ("k" * 2601, True), ("é" * 1301, True), (" ", True),
     ("\t\u00a0\u3000", True)],
)  # fmt: skip
def test_a_key_that_is_blank_or_longer_than_an_index_takes_is_refused(key: str | None, is_odd: bool) -> None:
    result = judge_keys(pa.chunked_array([["a", key]], pa.string()), "id")
    assert (result is not None) == is_odd
    if result is not None:
        assert (result.severity, result.n_unexpected) == (Severity.FAIL, 1)


def test_keys_that_are_numbers_are_never_odd() -> None:
    assert judge_keys(pa.chunked_array([[1, None]]), "id") is None
