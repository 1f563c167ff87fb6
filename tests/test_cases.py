"""`make cases` takes an hour; that each test which proves an item still exists is seen at once."""

import ast
from functools import cache
from pathlib import Path

import pytest

from .cases import FIGURES, PROOFS

PROJECT = Path(__file__).parents[1]


@pytest.mark.parametrize("item", PROOFS)
def test_an_item_is_proved_by_tests_that_exist(item: str) -> None:
    assert [test for test in PROOFS[item] if test.partition("::")[2] not in functions(test.partition("::")[0])] == []


def test_figures_are_those_of_items() -> None:
    assert set(FIGURES) <= {item.partition(" ")[0] for item in PROOFS}


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
