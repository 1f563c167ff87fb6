"""The step that runs the tests of a model in this process, and records each outcome."""

from pathlib import Path

import pytest

from tidemill.errors import FatalError
from tidemill.records import ModelTest, ModelTests, Outcome
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.storage.scratch import temporary
from tidemill.testing import plugin
from tidemill.testing.plugin import N_ROWS, WORKSPACE
from tidemill.workspace import Workspace

__all__ = ["run_tests"]

LONGEST = 500  # characters of a message; JUnit's file has all of it
_COMPLETED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


class _Outcomes:
    """A plugin that hands over the workspace, and collects the outcome of each test."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.found: dict[str, ModelTest] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[WORKSPACE] = self._workspace

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first failure or skip of set-up, call and tear-down, or that the call passed."""
        name = report.nodeid.rpartition("::")[2].removeprefix("test_")
        before = self.found.get(name)
        if (report.when == "call" or not report.passed) and (before is None or before.outcome is Outcome.PASSED):
            self.found[name] = ModelTest(name=name, outcome=Outcome(report.outcome), message=_message(report))


@declarations.run_tests
def run_tests(job: Job, rows: int = N_ROWS, junit: str = "") -> ModelTests:
    """Run the tests of a model as of a partition.

    Parameters
    ----------
    junit : str, default ""
        File for the outcomes as JUnit's XML; empty for none.

    Raises
    ------
    FatalError
        If pytest cannot run the tests; a failed test is an outcome.
    """
    outcomes = _Outcomes(job.workspace)
    with temporary() as folder:
        settings = folder / "pytest.ini"  # those of the folder that the command is run in are about other tests
        settings.write_text("[pytest]\naddopts = --import-mode=importlib\n", encoding="utf-8")
        options = ["--tidemill-model", job.spec.model, "--tidemill-partition", job.partition.key]
        options += ["--tidemill-rows", str(rows), *([f"--junit-xml={Path(junit).resolve()}"] if junit else [])]
        plugins = ["--disable-plugin-autoload", "-p", "no:cacheprovider"]
        quiet = ["-q", "--no-header", "--capture=no", "-rs", "-c", str(settings), "--rootdir", str(folder)]
        code = pytest.main([*plugins, *quiet, *options], plugins=[plugin, outcomes])
    if code not in _COMPLETED or not outcomes.found:
        raise FatalError(
            f"The tests of {job.spec.model!r} did not run: pytest ended with {pytest.ExitCode(code).name}.",
            "Its output above says why.",
        )
    return ModelTests(model=job.spec.model, partition=job.partition.key, tests=tuple(outcomes.found.values()))


def _message(report: pytest.TestReport) -> str:
    """Return why a test failed or was skipped, in one line."""
    if isinstance(report.longrepr, tuple):
        said = report.longrepr[2].removeprefix("Skipped: ")
    else:
        crash = getattr(report.longrepr, "reprcrash", None)
        said = "" if report.passed else crash.message if crash else str(report.longrepr)
    return " ".join(said.split())[:LONGEST]
