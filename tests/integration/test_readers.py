"""A reader's login: what it may read, what it may not, and the comments that it finds."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest
import sqlalchemy
from psycopg2.errors import InsufficientPrivilege
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import SettingsError
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.predictions.readers import allow_reader

PAGE = Path(__file__).parents[2] / "docs" / "readers.md"


@pytest.fixture
def bi(warehouse: Any) -> Any:
    """A function that asks as the login ``bi``."""
    Publisher(warehouse.url("tidemill_writer")).declare("read_before", "k", "t", "binary")
    login = allow_reader(warehouse.url("tidemill_owner"), "bi", new_password=True)

    def ask(query: str) -> list[tuple]:
        with psycopg2.connect(login.url, password=login.password) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    return ask


def test_a_reader_reads_the_views_of_models_before_and_after_it(bi: Any, warehouse: Any) -> None:
    Publisher(warehouse.url("tidemill_writer")).declare("read_after", "k", "t", "regression")
    for view in ("predictions.read_before", "predictions.read_after"):
        assert bi(f"SELECT * FROM {view}") == []
    for view in ("published_partition", "realised_quality", "live"):
        assert bi(f"SELECT * FROM tidemill.{view} WHERE model = 'read_before'") == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM tidemill.prediction",
        "SELECT * FROM tidemill.run",
        "CREATE TABLE predictions.mine (n integer)",
        "SELECT tidemill.comment_view('read_before')",
    ],
)
def test_a_reader_may_do_nothing_else(bi: Any, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        bi(statement)


def test_the_command_keeps_a_password_and_writes_a_new_one_into_a_private_file(
    bi: Any, warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_CONN_TIDEMILL_OWNER", warehouse.url("tidemill_owner"))
    again = CliRunner().invoke(app, ["reader", "bi"])
    assert "password is unchanged" in again.output
    assert bi("SELECT 1") == [(1,)]
    file = tmp_path / "bi.pgpass"
    written = CliRunner().invoke(app, ["reader", "bi", "--new-password", "--passfile", str(file)])
    assert written.exit_code == 0, written.output
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg2.OperationalError):
        bi("SELECT 1")
    (program,) = re.findall(r"```python\n(import pandas.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    program = program.replace("127.0.0.1:5432", f"127.0.0.1:{warehouse.port}").replace("bi.pgpass", str(file))
    found: dict[str, Any] = {}
    exec(program.replace("flight_delays", "read_before"), found)
    assert isinstance(found["rows"], pd.DataFrame)
    assert list(found["rows"].columns[:3]) == ["partition", "k", "t"]
    found["engine"].dispose()
    assert isinstance(found["engine"], sqlalchemy.Engine)


@pytest.mark.parametrize("name", ["tidemill_writer", "pg_monitor", "postgres"])
def test_names_of_others_are_refused(name: str, warehouse: Any) -> None:
    with pytest.raises(SettingsError, match="not the name of a reader"):
        allow_reader(warehouse.url("tidemill_owner"), name)


def comments(warehouse: Any, model: str) -> dict[str, str | None]:
    return dict(
        warehouse.rows(
            "SELECT attname::text, col_description(attrelid, attnum) FROM pg_attribute "
            f"WHERE attrelid = 'predictions.{model}'::regclass AND attnum > 0"
        )
    )


def test_every_column_of_every_task_has_a_comment_and_one_of_another_stays(warehouse: Any) -> None:
    publisher = Publisher(warehouse.url("tidemill_writer"))
    for task in ("binary", "multiclass", "regression"):
        publisher.declare("read_tasks", "k", "t", task)
        assert all(comments(warehouse, "read_tasks").values())
    warehouse.rows("COMMENT ON COLUMN predictions.read_tasks.k IS 'number of the parcel'")
    publisher.declare("read_tasks", "parcel", "t", "regression")
    assert comments(warehouse, "read_tasks")["parcel"] == "number of the parcel"
    publisher.declare("read_tasks", "parcel", "t", "binary")
    found = comments(warehouse, "read_tasks")
    assert found["parcel"] == "number of the parcel"
    assert found["score"] == "Probability of the positive class, 0 to 1."
