"""What ``check`` accepts without Great Expectations, which accepts it too."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.checks import accepted, surely_accepted
from tidemill.contracts import problems_of
from tidemill.spec import Expectation
from tidemill.spec_file import load_specs

PROJECT = Path(__file__).parents[2]
NUMBERS = st.sampled_from([-3, 0, 1, 2.5, 2**53, 1e300, float("nan"), float("inf"), True])
ODD = st.sampled_from([None, "", "abc", "[", "2024-01-01", [], {}, ["a", 1], [True], [None], ["a", ""], [1, 2.5]])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "column": st.sampled_from(["c", "c", "c", "", None, 1]),
    "mostly": NUMBERS | st.sampled_from([0.5, 1.0, "0.5"]),
    "value_set": ODD | st.lists(NUMBERS, max_size=2),
    "regex": ODD,
    "strict_min": st.booleans() | ODD,
    "strict_max": st.booleans() | ODD,
}
EXPECTATIONS = st.builds(
    Expectation,
    name=st.sampled_from([*accepted._ACCEPTED, "expect_nothing"]),
    arguments=st.fixed_dictionaries(
        {}, optional=VALUES | dict.fromkeys(["min_value", "max_value", "value"], NUMBERS | ODD)
    ),
)


@settings(max_examples=400, deadline=None)
@given(EXPECTATIONS)
def test_great_expectations_takes_what_is_accepted_without_it(expectation: Expectation) -> None:
    if surely_accepted(expectation):
        assert problems_of([expectation]) == []


@pytest.mark.parametrize("name", accepted._ACCEPTED)
def test_every_listed_expectation_is_accepted_with_its_arguments_and_refused_with_another(name: str) -> None:
    samples = {"column": "c", "value_set": ["a"], "value": 3, "regex": "^a", "min_value": 1, "max_value": 2}
    samples |= {"mostly": 0.5, "strict_min": True, "strict_max": False}
    required, optional = accepted._ACCEPTED[name]
    whole = {argument: samples[argument] for argument in (*required, *optional)}
    assert surely_accepted(Expectation(name=name, arguments=whole))
    assert problems_of([Expectation(name=name, arguments=whole)]) == []
    assert not surely_accepted(Expectation(name=name, arguments=whole | {"name": "c"}))
    for argument in required:
        without = {key: value for key, value in whole.items() if key != argument}
        assert not surely_accepted(Expectation(name=name, arguments=without))


@pytest.mark.parametrize("folder", ["dags/models", "examples/models"])
def test_the_contracts_of_the_examples_need_no_great_expectations(folder: str) -> None:
    contracts = [spec.contract for spec in load_specs(PROJECT / folder)]
    assert all(map(surely_accepted, (item for contract in contracts for item in contract)))
