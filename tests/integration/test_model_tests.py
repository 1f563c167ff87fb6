"""The tests of a model: what they find, that nothing real is touched, and that the ledger keeps the outcomes."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.records import ModelTests
from tidemill.simulation import Past
from tidemill.testing.hidden import without_later_rows
from tidemill.testing.scratch import open_scratch

from .data import FEATURES_SQL, SPEC, TRAINED, Mill

EXPECTED = """\
test:
  directions: {weight_kg: increasing}
  invariant: {express: 0.2}
  cases:
    heavy: {row: {weight_kg: 9, queue_h: 9}, minimum: 0.9}
"""
NAMES = {
    "loss_falls_on_200_rows", "fit_survives_a_column_without_information[constant]",
    "fit_survives_a_column_without_information[null]", "saved_model_scores_the_same", "order_of_columns_does_not_matter",
    "behaviour", "expectation[increasing: weight_kg]", "expectation[invariant: express]", "expectation[heavy]",
    "features_ignore_rows_after_the_cutoff", "release_is_built_again",
    "rollback_returns_the_rows_of_the_earlier_champion",
}  # fmt: skip


def test_sound_model_passes_every_test_and_nothing_real_is_touched(mill: Mill, tmp_path: Path) -> None:
    mill.write(SPEC + EXPECTED)
    junit = tmp_path / "junit.xml"
    command = ["test", mill.model, "--partition", TRAINED, "--junit", str(junit)]
    answer = CliRunner().invoke(app, command, env=mill.environment, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    cases = ElementTree.parse(junit).getroot().iter("testcase")
    assert {case.attrib["name"].removeprefix("test_") for case in cases if len(case) == 0} == NAMES
    ((step, result),) = mill.sql("SELECT step, result FROM tidemill.run WHERE model = '{m}'")
    assert (step, {test["name"] for test in result["tests"] if test["outcome"] == "passed"}) == ("run_tests", NAMES)
    assert not (mill.workspace.storage / mill.model).exists()


def test_pytest_finds_the_same_tests_by_its_option(mill: Mill) -> None:
    mill.write(SPEC + EXPECTED)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "tidemill.testing.plugin"]
    done = subprocess.run(
        [*command, "--tidemill-model", mill.model, "-o", "addopts=--import-mode=importlib", "-o", "filterwarnings="],
        env=os.environ | mill.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = {line.partition("::test_")[2] for line in done.stdout.splitlines() if "::" in line}
    assert found == NAMES


def test_model_that_cannot_be_trained_fails_its_tests_with_the_reason(mill: Mill) -> None:
    done = ModelTests.from_dict(mill.step("test", "run_tests", TRAINED, rows=60))
    failed = {test.name: test.message for test in done.failed}
    assert "NotTrainable" in failed["behaviour"]
    assert failed.keys() >= {"loss_falls_on_200_rows", "release_is_built_again"}


LEAKY = FEATURES_SQL.replace(
    "WHERE q.carrier = p.carrier AND q.delivered_at <= CAST(:cutoff AS timestamptz))", "WHERE q.carrier = p.carrier)"
)


@pytest.mark.parametrize(("features", "changed"), [(FEATURES_SQL, ()), (LEAKY, ("carrier_late_share",))])
def test_feature_that_counts_rows_after_the_cutoff_is_named(
    mill: Mill, features: str, changed: tuple[str, ...]
) -> None:
    mill.write(features=features)
    past = Past(spec=mill.spec, first=TRAINED, last=TRAINED, workspace=mill.workspace)
    with open_scratch(past, 1_000) as scratch:
        found = without_later_rows(past, scratch.sandbox)
        again = without_later_rows(past, scratch.sandbox)
    assert "already exists" in again.why_not  # the copies of the first call
    assert (found.changed, found.n_hidden > 0, found.n_compared > 0) == (changed, True, True)
