"""What holds for every test: how properties are tried, and an Airflow of no one's."""

import atexit
import importlib.util
import os
import shutil
import tempfile
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import settings

from tidemill.versions import OPTIONAL_LIBRARIES

from .cases import FIGURES, PROOFS

# The first call of some examples imports a library: time says nothing about the code. CI tries the same examples each time,
# in `make slow` too: a change is red for what it does, not for its luck. `make search` tries others.
settings.register_profile("search", deadline=None, max_examples=500)
settings.register_profile("tidemill", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("tidemill")

# Before anything imports Airflow, which reads these once: no test may see the settings of the person who runs it.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="tidemill-airflow-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "slow: a simulation or a search for bad input, which `make test` leaves to `make slow`"
    )
    config.addinivalue_line("markers", "case(item): the test proves an item of a table; `make cases` prints them")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", action="store_true", help="Print each item of the marked tests with its verdict.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items_of = {test: item for item, tests in PROOFS.items() for test in tests}
    for item in items:
        proved = items_of.get(item.nodeid.partition("[")[0])
        if proved is not None:
            item.add_marker(pytest.mark.case(proved))
        item.user_properties += [("case", mark.args[0]) for mark in item.iter_markers("case")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of an estimator whose optional library is not installed."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    for library in OPTIONAL_LIBRARIES:
        if library in map(str, parameters) and importlib.util.find_spec(library) is None:
            pytest.skip(f"needs tidemill[{library}]")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table of items: each with its outcome, its verdict if it records one, and its test."""
    if not config.getoption("--cases"):
        return
    rows = defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            said = "; ".join(str(value) for name, value in report.user_properties if name == "verdict")
            for item in {value for name, value in report.user_properties if name == "case"}:
                rows[item].append((report.nodeid.partition("::")[2], outcome, said))
    terminalreporter.section("items")
    for item in sorted(rows):
        for test, outcome, said in sorted(rows[item]):
            terminalreporter.write_line(f"{item:8} {outcome:8} {test}{f'  ->  {said}' if said else ''}")
    for number in sorted({item.partition(" ")[0] for item in rows} & set(FIGURES)):
        terminalreporter.write_line(f"{number:8} before: {FIGURES[number][0]}; now: {FIGURES[number][1]}")
