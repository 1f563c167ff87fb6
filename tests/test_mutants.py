"""The mutation check takes half an hour; these tests only check that each guard is still where it looks."""

import pytest

from .chaos.mutants import MUTANTS, PROJECT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_guard_is_where_its_mutant_looks(mutant: Mutant) -> None:
    for file, old, _ in mutant.changes():
        assert (PROJECT / file).read_text(encoding="utf-8").count(old) == 1
    assert all((PROJECT / test).is_file() for test in mutant.tests if test.endswith(".py"))
