"""From a table to a published partition by 'init --yes', 'check', 'train' and 'predict', without an edit."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tidemill.cli import app

from .tables import TABLES, create_orders

PAGE = Path(__file__).parents[2] / "docs" / "your-own-data.md"
Command = Callable[..., str]


@pytest.fixture
def project(warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the variables of a project without a model."""
    for name, value in {
        "TIDEMILL_MODELS": str(tmp_path / "dags" / "models"),
        "TIDEMILL_SQL": str(tmp_path / "sql"),
        "TIDEMILL_STORAGE": str(tmp_path / "storage"),
        "TIDEMILL_CONN_WAREHOUSE": warehouse.url("tidemill_reader"),
        "TIDEMILL_CONN_TIDEMILL": warehouse.url("tidemill_writer"),
        "TIDEMILL_CONN_TIDEMILL_PROMOTER": warehouse.url("tidemill_promoter"),
        "TIDEMILL_CONN_TIDEMILL_OWNER": warehouse.url("tidemill_owner"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def command(project: Path) -> Command:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, f"{arguments}\n{result.output}\n{result.exception!r}"
        return result.output

    return run


def follow(output: str, command: Command) -> tuple[str, str]:
    """Run the commands that ``init`` ends with; return model and partition."""
    steps = re.findall(r"tidemill (train|predict) (\S+) --partition (\S+)", output)
    assert [verb for verb, _, _ in steps] == ["train", "predict"], output
    for step in steps:
        output = command(step[0], step[1], "--partition", step[2])
        assert step[0] != "train" or "\nAccepted" in f"\n{output}", output
    return steps[0][1:]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_becomes_a_published_partition_without_an_edit(
    name: str, project: Path, command: Command, warehouse: Any
) -> None:
    make, options = TABLES[name]
    make(np.random.default_rng(5)).to_csv(project / f"{name}.csv", index=False)
    command("load", str(project / f"{name}.csv"), f"newcomer.{name}", "--replace")
    output = command("init", "--table", f"newcomer.{name}", *options, "--yes")
    model, partition = follow(output, command)
    ((n_rows,),) = warehouse.rows(f"SELECT count(*) FROM predictions.{model} WHERE partition = '{partition}'")
    assert n_rows > 0


def test_odd_names_and_types_become_a_published_partition(project: Path, command: Command, warehouse: Any) -> None:
    create_orders(warehouse.url("tidemill_owner"))
    output = command("init", "--table", '"Odd Sales"."Customer Order"', "--label", "Returned?", "--yes")
    query = (project / "sql" / "customer_order_returned" / "features.sql").read_text(encoding="utf-8")
    follow(output, command)
    select, left_out = query.split("-- Left out:")
    for expected in (
        'CAST("Price" AS numeric) AS price',
        "payload ->> 'channel' AS payload_channel",
        "AS attr_start_0,",
    ):
        assert expected in select
    for column in ('"Ship Date"', '"Customer ID"', "blob", '"copy of label"', "ip"):
        assert column in left_out
        assert f" {column}" not in select


def page_commands() -> list[list[str]]:
    """Return the arguments of the page's ``tidemill`` commands, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line)[1:] for line in "".join(blocks).splitlines() if line.startswith("tidemill ")]


def test_the_page_leads_from_a_file_to_published_rows(
    project: Path, command: Command, warehouse: Any, monkeypatch: Any
) -> None:
    warehouse.rows("DROP SCHEMA IF EXISTS shop CASCADE")
    monkeypatch.chdir(project)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    commands = page_commands()
    outputs = [command(*arguments) for arguments in commands]
    assert [arguments[0] for arguments in commands] == ["load", "init", "check", "train", "predict"]
    assert all(" ".join(arguments) in outputs[1] for arguments in commands[3:])
    assert "\nAccepted" in outputs[3]
    ((n_rows, n_keys),) = warehouse.rows(
        "SELECT count(*), count(DISTINCT entity_key) FROM predictions.orders_returned WHERE partition = '2024-04-26'"
    )
    assert n_rows == n_keys > 40
