"""The pytest plugin: ``--tidemill-model`` adds the tests of a model to those that pytest is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tidemill.workspace import Workspace

__all__ = ["N_ROWS", "WORKSPACE", "pytest_addoption", "pytest_configure"]

N_ROWS = 10_000
"""Default size of the sample: two trainings of the example take a minute on two cores."""

WORKSPACE: "pytest.StashKey[Workspace]" = pytest.StashKey()
"""Folders and connections, where a program runs the tests; those of the environment by default."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("tidemill", "tests of a model")
    group.addoption("--tidemill-model", metavar="MODEL", help="name of the model to test")
    group.addoption("--tidemill-partition", metavar="KEY", help="partition as of which to train; the newest by default")
    group.addoption("--tidemill-rows", metavar="N", type=int, default=N_ROWS, help="rows of the sample (%(default)s)")


def pytest_configure(config: pytest.Config) -> None:
    """Collect the pack: beside the files that were named, or by itself."""
    if config.getoption("tidemill_model"):
        named = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        config.args[:] = [*named, str(Path(__file__).with_name("pack.py"))]
