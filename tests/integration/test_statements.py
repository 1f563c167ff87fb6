"""The ledger's SQL: every statement is used, every use has one, and Postgres can plan each against the migrated ledger."""

import ast
import re
from pathlib import Path

import psycopg2
import pytest

from tidemill.score.lines import LINES
from tidemill.warehouse.statements import sql_folder, statements

from .conftest import PROJECT, Warehouse

SOURCES = [*PROJECT.glob("src/tidemill/**/*.py")]


def names_used() -> set[str]:
    """Return the strings in code that runs statements by their names, and the queries of the score's lines."""
    trees = [
        ast.parse(text)
        for path in SOURCES
        if "warehouse.statements import" in (text := path.read_text(encoding="utf-8"))
    ]
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)} | {
        f"score_{line.name}" for line in LINES if line.needs
    }


def names_run() -> set[str]:
    """Return the first argument after the cursor of every call of ``execute``."""
    calls = [
        node
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "execute"
    ]
    return {call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)}


def test_every_statement_is_used() -> None:
    assert set(statements()) - names_used() == set()


def test_every_statement_that_is_run_exists() -> None:
    lines = {f"score_{line.name}" for line in LINES if line.needs}
    assert (names_run() | lines) - set(statements()) == set()


def test_no_query_of_the_ledger_stands_in_python() -> None:
    """All but what names a table per run, the source's own queries, sessions, and the migrations' own record."""
    allowed = {"reading.py", "connections.py", "migrations.py", "rows.py", "artifacts.py"}
    rooms = ("warehouse", "doctor", "retention", "mlflow_mirror")
    pattern = re.compile(r"\b(FROM|INTO|UPDATE) tidemill\.")
    found = [path for path in SOURCES if path.parts[len(PROJECT.parts) + 2] in rooms and path.name not in allowed]
    assert [str(path) for path in found if pattern.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("name", sorted(statements()))
def test_a_statement_can_be_planned_against_the_ledger(warehouse: Warehouse, name: str) -> None:
    sql, parameters = statements()[name], []

    def numbered(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if match["name"] not in parameters:
            parameters.append(match["name"])
        return f"${parameters.index(match['name']) + 1}"

    prepared = re.sub(r"%%|%\((?P<name>\w+)\)s", numbered, sql)
    with psycopg2.connect(warehouse.url("tidemill_owner")) as connection, connection.cursor() as cursor:
        cursor.execute("SET search_path = ''")
        cursor.execute(f"PREPARE statement AS {prepared}")
        connection.rollback()


@pytest.mark.parametrize(
    "text",
    ["-- name: one\nSELECT 1;\n", "-- name: one\n-- Once.\nSELECT 1;\n\n-- name: one\n-- Twice.\nSELECT 2;\n"],
    ids=["no comment", "two of one name"],
)
def test_a_block_without_a_comment_or_a_name_of_its_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "some.sql").write_text(text, encoding="utf-8")
    monkeypatch.setattr("tidemill.warehouse.statements.sql_folder", lambda name: tmp_path)
    with pytest.raises(ValueError, match=r"some\.sql"):
        statements.__wrapped__()


def test_the_wheel_ships_the_folder() -> None:
    assert sql_folder("queries").is_dir()
    assert '"sql/queries" = "tidemill/queries"' in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
