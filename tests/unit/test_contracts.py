from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.checks import columns_of, whole_contract
from tidemill.contracts import evaluate_contract, problems_of
from tidemill.intervals import Interval
from tidemill.records import CheckResult, Severity
from tidemill.spec import Expectation, ModelSpec

START = datetime(2024, 3, 25, 4, tzinfo=UTC)
DAY = Interval(start=START, end=START + timedelta(days=1))


def spec(*contract: dict[str, Any]) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": "binary",
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "a.sql", "labels": "b.sql"},
            "label": {"column": "y"},
            "contract": list(contract),
        }
    )


def frame(**columns: list[Any]) -> pd.DataFrame:
    n_rows = len(next(iter(columns.values()))) if columns else 3
    at = [pd.Timestamp(START) + pd.Timedelta(minutes=number) for number in range(n_rows)]
    return pd.DataFrame({"id": [f"k{number}" for number in range(n_rows)], "at": at} | columns)


def hold(*contract: dict[str, Any], rows: pd.DataFrame) -> tuple[CheckResult, ...]:
    """Check rows against the whole contract; the four expectations that every model has come first."""
    return evaluate_contract(whole_contract(spec(*contract), DAY), rows)


def broken(*contract: dict[str, Any], rows: pd.DataFrame) -> list[str]:
    return [f"{item.column}: {item.expectation}" for item in hold(*contract, rows=rows) if not item.success]


def test_sound_rows_break_nothing() -> None:
    assert broken(rows=frame()) == []


def test_results_come_in_the_order_of_the_contract() -> None:
    extra = ({"expect_column_values_to_be_in_set": {"column": "c", "value_set": ["a"]}},
             {"expect_column_values_to_not_be_null": {"column": "c"}})  # fmt: skip
    names = [item.expectation.partition("(")[0] for item in hold(*extra, rows=frame(c=["a", "a"]))]
    assert names[-2:] == ["expect_column_values_to_be_in_set", "expect_column_values_to_not_be_null"]


def test_a_duplicate_key_is_found() -> None:
    assert broken(rows=frame(id=["a", "b", "a"])) == ["id: expect_column_values_to_be_unique"]


def test_a_duplicate_key_is_shown() -> None:
    (found,) = [item for item in hold(rows=frame(id=["a", "b", "a"])) if not item.success]
    assert (found.n_unexpected, found.failure_cases) == (2, ("a",))


def test_missing_key_is_found() -> None:
    assert broken(rows=frame(id=["a", None, "c"])) == ["id: expect_column_values_to_not_be_null"]


def test_missing_time_is_found() -> None:
    assert "at: expect_column_values_to_not_be_null" in broken(rows=frame(at=[pd.Timestamp(START), pd.NaT]))


@pytest.mark.parametrize(
    ("instant", "inside"),
    [(DAY.start, True), (DAY.start - timedelta(microseconds=1), False), (DAY.end, False),
     (DAY.end - timedelta(microseconds=1), True)],
)  # fmt: skip
def test_interval_is_half_open(instant: datetime, inside: bool) -> None:
    assert (broken(rows=frame(at=[pd.Timestamp(instant)])) == []) is inside


def test_missing_column_breaks_its_expectation() -> None:
    extra = {"expect_column_values_to_not_be_null": {"column": "gone"}}
    (found,) = [item for item in hold(extra, rows=frame()) if not item.success]
    assert (found.column, "gone" in found.observed) == ("gone", True)


def test_broken_expectation_keeps_its_severity() -> None:
    extra = {"expect_column_values_to_be_between": {"column": "n", "max_value": 1, "severity": "warn"}}
    assert hold(extra, rows=frame(n=[1, 2, 3]))[-1].severity is Severity.WARN


def test_observation_counts_values() -> None:
    extra = {"expect_column_values_to_be_between": {"column": "n", "max_value": 1}}
    assert hold(extra, rows=frame(n=[1, 2, 3]))[-1].observed == "2 of 3 values break it"


def test_expectation_about_the_whole_table_says_what_it_saw() -> None:
    extra = {"expect_table_row_count_to_be_between": {"min_value": 10}}
    found = hold(extra, rows=frame())[-1]
    assert (found.success, found.column, found.observed) == (False, None, "observed 3")


def test_expectation_about_distinct_values_shows_those_that_break_it() -> None:
    distinct = {"expect_column_distinct_values_to_be_in_set": {"column": "c", "value_set": ["a"]}}
    (found,) = [item for item in hold(distinct, rows=frame(c=["a", "b", "b"])) if not item.success]
    assert (found.observed, found.failure_cases) == ("does not hold", ("b",))


def test_at_most_ten_cases_are_shown() -> None:
    extra = {"expect_column_values_to_be_between": {"column": "n", "max_value": 0}}
    assert len(hold(extra, rows=frame(n=list(range(1, 60))))[-1].failure_cases) == 10


def test_same_expectation_twice_gives_two_results() -> None:
    one = {"expect_column_values_to_be_between": {"column": "n", "max_value": 1}}
    other = {"expect_column_values_to_be_between": {"column": "n", "max_value": 9}}
    assert [item.success for item in hold(one, other, rows=frame(n=[1, 5]))[-2:]] == [False, True]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=30))
def test_count_of_broken_values_is_the_true_one(values: list[int | None]) -> None:
    extra = {"expect_column_values_to_be_between": {"column": "n", "min_value": 0}}
    found = hold(extra, rows=frame(n=pd.array(values, dtype="Float64")))[-1]
    assert found.n_unexpected == sum(value is not None and value < 0 for value in values)


def test_columns_are_named_once() -> None:
    contract = whole_contract(spec({"expect_column_pair_values_to_be_equal": {"column_A": "a", "column_B": "id"}}), DAY)
    assert columns_of(contract) == ["id", "at", "a"]


def test_columns_of_a_list_are_named() -> None:
    unique = Expectation(name="expect_compound_columns_to_be_unique", arguments={"column_list": ["a", "b"]})
    assert columns_of([unique]) == ["a", "b"]


def test_unknown_expectation_is_a_problem() -> None:
    ((position, problem),) = problems_of([Expectation(name="expect_the_best", arguments={})])
    assert (position, "'expect_the_best'" in problem) == (0, True)


def test_wrong_argument_is_a_problem() -> None:
    wrong = Expectation(name="expect_column_values_to_be_between", arguments={"column": "n", "max": 3})
    ((_, problem),) = problems_of([wrong])
    assert "max" in problem


def test_missing_argument_is_a_problem() -> None:
    assert problems_of([Expectation(name="expect_column_values_to_be_in_set", arguments={"column": "n"})])


def test_sound_contract_has_no_problem() -> None:
    assert problems_of(whole_contract(spec(), DAY)) == []
