"""What a command imports: each library takes a tenth of a second to four seconds, and most commands need few."""

import json
import os
import subprocess
import sys

import pytest

from .data import SCORED, Mill

PROGRAM = """
import json, sys
from tidemill.__main__ import main
sys.argv = ["tidemill", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as ended:
    status = ended.code
print(json.dumps([status, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
ENGINES = {"great_expectations", "mlflow", "sklearn", "scipy", "xgboost", "skops", "numba", "shap", "optuna", "altair"}
ROWS = {"pandas", "pyarrow", "numpy"}
SPEC_READERS = {"tidemill.spec", "yaml", "psycopg2", "croniter", "jinja2"}


def loaded(mill: Mill, *arguments: str) -> set[str]:
    """Run a command in a new process, and return the packages that it has imported."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(arguments)]
    done = subprocess.run(
        command, env=os.environ | mill.environment, capture_output=True, text=True, check=True, timeout=120
    )
    status, packages = json.loads(done.stdout.splitlines()[-1])
    assert status in (0, None), done.stdout + done.stderr
    return set(packages)


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_imports_only_what_prints_it(mill: Mill, arguments: list[str]) -> None:
    assert loaded(mill, *arguments) & (ENGINES | ROWS | SPEC_READERS) == set()


def test_history_imports_nothing_that_holds_rows(serving: Mill) -> None:
    assert loaded(serving, "history", serving.model) & (ENGINES | ROWS) == set()


def test_checking_a_plain_contract_against_the_source_starts_no_engine(mill: Mill) -> None:
    assert loaded(mill, "check", mill.model) & ENGINES == set()


def test_predicting_starts_no_engine_that_the_model_does_not_need(serving: Mill) -> None:
    found = loaded(serving, "predict", serving.model, "--partition", SCORED)
    assert found & (ENGINES - {"sklearn", "scipy", "xgboost", "skops"}) == set()
