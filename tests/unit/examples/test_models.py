"""An example's files come into a project once, and never over others unasked."""

import shutil
from pathlib import Path

import pytest

from tidemill.errors import SettingsError
from tidemill.workspace import Workspace
from tidemill_examples.models import EXAMPLES, copy_files, find_example


def project(folder: Path) -> Workspace:
    return Workspace(
        models=folder / "models",
        sql=folder / "sql",
        storage=folder / "storage",
        tracking_uri=None,
        connection=lambda name: "",
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_examples_spec_and_queries_are_copied_and_its_partition_is_that_of_the_example(
    name: str, tmp_path: Path
) -> None:
    example, workspace = EXAMPLES[name], project(tmp_path)
    assert len(copy_files(example, workspace, force=False)) >= 3
    spec = workspace.spec(example.model)
    assert spec.asked(example.partition).key == example.partition
    for query in spec.source.queries(labelled=True):
        assert workspace.query(query)
    assert copy_files(example, workspace, force=False) == []


def test_files_with_another_content_are_kept_unless_forced(tmp_path: Path) -> None:
    example, workspace = EXAMPLES["orders"], project(tmp_path)
    spec, *_ = reversed(copy_files(example, workspace, force=False))
    spec.write_text("mine", encoding="utf-8")
    shutil.rmtree(workspace.sql)
    with pytest.raises(SettingsError, match="another content"):
        copy_files(example, workspace, force=False)
    assert not workspace.sql.exists()
    assert spec in copy_files(example, workspace, force=True)


def test_an_unknown_example_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="Choose one of flights, orders, demand, panel"):
        find_example("titanic")
