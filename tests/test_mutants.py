"""The mutation check takes half an hour; these tests only check that each guard is still where it looks."""

import re

import pytest

from .chaos.mutants import MUTANTS, PROJECT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_guard_is_where_its_mutant_looks(mutant: Mutant) -> None:
    for file, old, _ in mutant.changes():
        assert (PROJECT / file).read_text(encoding="utf-8").count(old) == 1
    assert all((PROJECT / test).is_file() for test in mutant.tests if test.endswith(".py"))


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if "-k" in one.tests], ids=lambda mutant: mutant.guard)
def test_a_mutant_chooses_tests_that_exist(mutant: Mutant) -> None:
    places = [PROJECT / test for test in mutant.tests if test.startswith("tests/")]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]
    sources = "\n".join(file.read_text(encoding="utf-8") for file in files)
    words = set(re.findall(r"\w+", mutant.tests[mutant.tests.index("-k") + 1])) - {"and", "or", "not"}
    assert [word for word in words if word not in sources] == []
