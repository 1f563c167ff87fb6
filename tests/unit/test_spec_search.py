from pathlib import Path

import pytest

from tidemill.errors import SpecError
from tidemill.spec import Dimension, Search
from tidemill.spec_file import read_spec

SMALLEST = """\
model: m
task: binary
entity_key: id
event_time: at
source: {features: m/f.sql, labels: m/l.sql}
label: {column: y}
"""


def read(folder: Path, search: str) -> Search:
    (folder / "m.yaml").write_text(f"{SMALLEST}train:\n  search:\n    {search}\n", encoding="utf-8")
    return read_spec(folder / "m.yaml").train.search


def test_nothing_is_searched_unless_the_spec_says_so() -> None:
    assert Search().trials == 0


def test_a_range_of_whole_numbers_is_whole(tmp_path: Path) -> None:
    space = read(tmp_path, "space: {xgboost: {max_depth: {low: 3, high: 9}, gamma: {low: 0, high: 1.0}}}").space[
        "xgboost"
    ]
    assert (space["max_depth"].whole, space["gamma"].whole) == (True, False)


def test_choices_keep_their_types() -> None:
    assert [type(value) for value in Dimension.model_validate({"choices": [1, 0.5, "gini", True]}).choices] == [
        int,
        float,
        str,
        bool,
    ]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("trials: -1", "greater than or equal to 0"),
        ("folds: 1", "greater than or equal to 2"),
        ("timeout: 0 minutes", "must be longer than 0 minutes"),
        ("window: growing", "'expanding' or 'sliding'"),
        ("trails: 25", "did you mean 'trials'"),
        ("space: {xgboost: {}}", "lists no parameter"),
        ("space: {xgboost: {max_depth: {low: 9, high: 3}}}", "low must be below high, found 9 and 3"),
        ("space: {xgboost: {max_depth: {low: 3}}}", "give low and high, or choices"),
        ("space: {xgboost: {max_depth: {low: 3, high: 9, choices: [4]}}}", "either low and high, or choices"),
        ("space: {xgboost: {gamma: {low: 0, high: 9, log: true}}}", "must start above 0, found 0"),
        ("space: {xgboost: {max_depth: [3, 10]}}", "for a range, or {choices: [3, 10]}"),
    ],
)
def test_a_broken_search_is_named_with_its_line(tmp_path: Path, search: str, said: str) -> None:
    with pytest.raises(SpecError, match=r"m\.yaml:9: ") as caught:
        read(tmp_path, search)
    assert said in str(caught.value)
