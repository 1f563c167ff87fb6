"""A lake for each test."""

from pathlib import Path

import pytest

from .lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    (tmp_path / "lake").mkdir()
    return Lake(tmp_path)
