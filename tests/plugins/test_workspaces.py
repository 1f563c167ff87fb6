"""A task's specs and queries are those of the bundle that its DAG came from."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tidemill_airflow.workspaces import workspace_of


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEMILL_STORAGE", str(tmp_path))
    for name in ("TIDEMILL_MODELS", "TIDEMILL_SQL"):
        monkeypatch.delenv(name, raising=False)


def of(file: str) -> Any:
    return {"dag": SimpleNamespace(fileloc=file)}


def test_specs_and_queries_lie_beside_the_file_of_the_dag() -> None:
    found = workspace_of(of("/bundles/mill/versions/0a1b/dags/train.py"))
    assert (found.models, found.sql) == (
        Path("/bundles/mill/versions/0a1b/dags/models"),
        Path("/bundles/mill/versions/0a1b/sql"),
    )


def test_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_MODELS", "/at/models")
    monkeypatch.setenv("TIDEMILL_SQL", "/at/sql")
    found = workspace_of(of("/bundles/dags/train.py"))
    assert (found.models, found.sql) == (Path("/at/models"), Path("/at/sql"))


def test_without_a_dag_the_project_is_where_the_process_runs() -> None:
    found = workspace_of({})
    assert (found.models, found.sql) == (Path("dags/models"), Path("sql"))
