import os
from pathlib import Path

import pytest

from tidemill.errors import SettingsError, SpecError
from tidemill.workspace import Workspace, connection_from_environment, read_environment_file

SPEC = """\
model: {model}
task: binary
entity_key: id
event_time: at
source: {{features: {model}/features.sql, labels: {model}/labels.sql}}
label: {{column: y}}
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIDEMILL_MODELS", "TIDEMILL_SQL", "TIDEMILL_STORAGE", "MLFLOW_TRACKING_URI", "TIDEMILL_CONN_MINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for name in ("apples", "pears"):
        (tmp_path / f"{name}.yaml").write_text(SPEC.format(model=name))
    return Workspace(models=tmp_path, sql=tmp_path / "sql", storage=tmp_path / "storage", tracking_uri=None)


def test_connection_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_CONN_MINE", "postgresql://me@127.0.0.1/mine")
    assert connection_from_environment("mine") == "postgresql://me@127.0.0.1/mine"


def test_missing_connection_names_its_variable() -> None:
    with pytest.raises(SettingsError, match="TIDEMILL_CONN_MINE is not set"):
        connection_from_environment("mine")


def test_one_connection_to_the_warehouse_serves_the_ledger_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tidemill", "tidemill_promoter"):
        monkeypatch.delenv(f"TIDEMILL_CONN_{name.upper()}", raising=False)
        monkeypatch.setenv("TIDEMILL_CONN_WAREHOUSE", "postgresql://mill@127.0.0.1/mine")
        assert connection_from_environment(name) == "postgresql://mill@127.0.0.1/mine"


def test_empty_connection_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_CONN_MINE", "")
    with pytest.raises(SettingsError):
        connection_from_environment("mine")


def test_missing_storage_names_its_variable() -> None:
    with pytest.raises(SettingsError, match="TIDEMILL_STORAGE is not set"):
        Workspace.from_environment()


def test_folders_are_read_from_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELS", "SQL", "STORAGE"):
        monkeypatch.setenv(f"TIDEMILL_{name}", f"/at/{name}")
    found = Workspace.from_environment()
    assert (found.models, found.sql, found.storage) == (Path("/at/MODELS"), Path("/at/SQL"), Path("/at/STORAGE"))


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_STORAGE", "/storage")
    unset = Workspace.from_environment()
    for name in ("TIDEMILL_MODELS", "TIDEMILL_SQL", "MLFLOW_TRACKING_URI", "TIDEMILL_PAGES", "TIDEMILL_RUNBOOK"):
        monkeypatch.setenv(name, "")
    assert Workspace.from_environment() == unset
    monkeypatch.setenv("TIDEMILL_STORAGE", "")
    with pytest.raises(SettingsError, match="TIDEMILL_STORAGE is not set"):
        Workspace.from_environment()


def test_without_mlflow_there_is_no_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_STORAGE", "/at")
    assert Workspace.from_environment().tracking_uri is None


def test_connections_may_come_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_STORAGE", "/at")
    assert Workspace.from_environment(connection=str.upper).connection("mine") == "MINE"


def test_spec_is_read_by_the_name_of_its_model(workspace: Workspace) -> None:
    assert workspace.spec("pears").model == "pears"


def test_specs_come_in_order_of_name(workspace: Workspace) -> None:
    assert [spec.model for spec in workspace.specs()] == ["apples", "pears"]


def test_missing_spec_says_which_models_there_are(workspace: Workspace) -> None:
    with pytest.raises(SpecError, match="apples, pears"):
        workspace.spec("plums")


def test_model_outside_the_folder_is_not_read(workspace: Workspace) -> None:
    outside = Workspace(
        models=workspace.models / "inner", sql=workspace.sql, storage=workspace.storage, tracking_uri=None
    )
    with pytest.raises(SpecError):
        outside.spec("../pears")


def test_query_is_read_as_it_stands(workspace: Workspace) -> None:
    (workspace.sql / "pears").mkdir(parents=True)
    (workspace.sql / "pears" / "features.sql").write_text("SELECT 'é'\n", encoding="utf-8")
    assert workspace.query("pears/features.sql") == "SELECT 'é'\n"


def test_missing_query_is_named_with_its_folder(workspace: Workspace) -> None:
    with pytest.raises(SpecError, match=r"sql/pears/labels\.sql does not exist"):
        workspace.query("pears/labels.sql")


# --- the environment file


def test_variables_of_the_file_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_STORAGE", "gone")  # so that it is put back afterwards
    monkeypatch.delenv("TIDEMILL_STORAGE")
    (tmp_path / "environment").write_text("TIDEMILL_STORAGE=/a=b c\n")
    read_environment_file(tmp_path / "environment")
    assert Workspace.from_environment().storage == Path("/a=b c")


def test_variable_that_is_set_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_STORAGE", "/mine")
    (tmp_path / "environment").write_text("TIDEMILL_STORAGE=/theirs\n")
    read_environment_file(tmp_path / "environment")
    assert Workspace.from_environment().storage == Path("/mine")


@pytest.mark.parametrize(("server", "given"), [(None, "s3cret"), ("http://h:5000", "s3cret"), ("https://other", None)])
def test_the_login_of_the_files_server_is_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str | None, given: str | None
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, server or "")  # so that it is put back afterwards
        if server is None or name.endswith("PASSWORD"):
            monkeypatch.delenv(name)
    (tmp_path / "environment").write_text("MLFLOW_TRACKING_URI=http://h:5000\nMLFLOW_TRACKING_PASSWORD=s3cret\n")
    read_environment_file(tmp_path / "environment")
    assert os.environ.get("MLFLOW_TRACKING_PASSWORD") == given


def test_comments_and_empty_lines_set_nothing(tmp_path: Path) -> None:
    (tmp_path / "environment").write_text("# TIDEMILL_STORAGE=/theirs\n\nnothing\n")
    read_environment_file(tmp_path / "environment")
    with pytest.raises(SettingsError):
        Workspace.from_environment()


def test_missing_file_sets_nothing(tmp_path: Path) -> None:
    read_environment_file(tmp_path / "environment")
    with pytest.raises(SettingsError):
        Workspace.from_environment()


@pytest.mark.parametrize("text", [b"SELECT 1", b"\xef\xbb\xbfSELECT 1"])
def test_a_query_is_read_without_the_mark_that_editors_put_first(workspace: Workspace, text: bytes) -> None:
    workspace.sql.mkdir()
    (workspace.sql / "q.sql").write_bytes(text)
    assert workspace.query("q.sql") == "SELECT 1"


def test_a_query_that_is_not_utf_8_is_named(workspace: Workspace) -> None:
    workspace.sql.mkdir()
    (workspace.sql / "q.sql").write_bytes(b"SELECT 'M\xfcller'")
    with pytest.raises(SpecError, match=r"q\.sql is not UTF-8"):
        workspace.query("q.sql")
