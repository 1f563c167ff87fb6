"""From a table to a published partition by 'init --yes', 'check', 'train' and 'predict', without an edit."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import SettingsError

from .tables import TABLES, create_orders

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "your-own-data.md"
NO_TIME = "## Rows without a time"
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
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
    model, partition = steps[0][1:]
    assert (
        f"tidemill try {model} --partition {partition}" in output
    )  # without it, today's is tried, which may have no row
    for step in steps:
        output = command(step[0], step[1], "--partition", step[2])
        assert step[0] != "train" or "\nAccepted" in f"\n{output}", output
    return steps[0][1:]


@pytest.mark.parametrize("name", [name for name in TABLES if name != "panel"])  # whose test comes next
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


def test_an_entity_with_a_row_on_each_day_is_the_key_and_labels_carry_the_time(
    project: Path, command: Command, warehouse: Any
) -> None:
    make, options = TABLES["panel"]
    make(np.random.default_rng(5)).to_csv(project / "visited.csv", index=False)
    command("load", str(project / "visited.csv"), "newcomer.visited", "--replace")
    for key in ([], ["--key", "customer_id"], ["--key", "customer_id", "--key", "day"]):
        output = command("init", "--table", "newcomer.visited", *options, *key, "--yes", "--force")
        assert "Key: customer_id (once per day" in output
    spec = (project / "dags" / "models" / "visited_churned.yaml").read_text(encoding="utf-8")
    labels = (project / "sql" / "visited_churned" / "labels.sql").read_text(encoding="utf-8")
    assert "entity_key: customer_id # once per day; it recurs, so labels.sql returns the time too" in spec
    assert "CAST(day AS timestamp) AT TIME ZONE 'UTC' AS day,\n" in labels
    model, partition = follow(output, command)
    found = warehouse.rows(f"SELECT customer_id FROM predictions.{model} WHERE partition = '{partition}'")
    assert sorted(int(key) for (key,) in found) == list(range(60))


def test_an_entity_with_two_rows_on_a_day_needs_a_key_of_both_columns(project: Path, command: Command) -> None:
    frame = TABLES["panel"][0](np.random.default_rng(5))
    frame["at"] = [f"{day} {hour:02}:00" for day, hour in zip(frame["day"], frame.index % 7, strict=True)]
    twice = frame.assign(at=[f"{day} 12:30" for day in frame["day"]])
    (project / "twice.csv").write_text(
        frame.drop(columns="day").to_csv(index=False) + twice.drop(columns="day").to_csv(index=False, header=False),
        encoding="utf-8",
    )
    command("load", str(project / "twice.csv"), "newcomer.twice", "--replace")
    output = command("init", "--table", "newcomer.twice", "--label", "churned", "--yes")
    assert "Key: customer_id, at (unique in all rows of the table)" in output


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


def make_file_of(section: str) -> list[list[str]]:
    """Run a section's program; return the arguments of its ``tidemill`` commands, in order."""
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    lines = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).splitlines()
    found = [shlex.split(line)[1:] for line in lines if line.startswith("tidemill ")]
    return [[word.replace("$(date -u +%F)", TODAY) for word in words] for words in found]


def test_the_page_leads_from_a_file_to_published_rows(
    project: Path, command: Command, warehouse: Any, monkeypatch: Any
) -> None:
    warehouse.rows("DROP TABLE IF EXISTS shop.orders, shop.customers CASCADE")
    monkeypatch.chdir(project)
    commands = make_file_of(PAGE.read_text(encoding="utf-8").partition(NO_TIME)[0])
    outputs = [command(*arguments) for arguments in commands]
    assert [arguments[0] for arguments in commands] == ["load", "init", "check", "train", "predict"]
    assert all(" ".join(arguments) in outputs[1] for arguments in commands[3:])
    assert "\nAccepted" in outputs[3]
    ((n_rows, n_releases),) = warehouse.rows(
        "SELECT count(*), count(DISTINCT release_id) FROM predictions.orders_returned WHERE partition = '2024-04-26'"
    )
    assert n_releases == 1
    assert n_rows == 34


def test_the_page_leads_from_a_table_without_time_to_published_and_measured_rows(
    project: Path, command: Command, warehouse: Any, monkeypatch: Any
) -> None:
    warehouse.rows("DROP TABLE IF EXISTS shop.orders, shop.customers CASCADE")
    monkeypatch.chdir(project)
    commands = make_file_of(PAGE.read_text(encoding="utf-8").partition(NO_TIME)[2])
    assert [arguments[0] for arguments in commands] == ["load", "init", "train", "predict"]
    outputs = [command(*arguments) for arguments in commands]
    assert "No time of the event: no column has the date or time of each row." in outputs[1]
    assert "\nAccepted" in outputs[2]
    assert "how the model fares on later rows is not known" in outputs[2]
    assert command("check", "customers_churned").splitlines() == ["Specs, contracts and queries are in order."]
    published = (
        "SELECT count(*) FROM predictions.customers_churned WHERE partition = '{}' AND partition_start = '{} 00:00Z'"
    )
    assert warehouse.rows(published.format(TODAY, TODAY)) == [(4000,)]
    later = str(date.fromisoformat(TODAY) + timedelta(days=2))  # then the labels have matured
    command("predict", "customers_churned", "--partition", later)
    command("monitor", "customers_churned", "--partition", later)
    (counted,) = warehouse.rows(
        "SELECT n FROM tidemill.metric WHERE model = 'customers_churned' AND part = 'performance' AND name = 'roc_auc' "
        f"AND slice IS NULL AND partition = '{TODAY}'"
    )
    assert counted == (sum(is_tested(f"C{number:05}") for number in range(4000)),)
    command("reproduce", "customers_churned")


def is_tested(key: str) -> bool:
    return int(sha256(key.encode()).hexdigest()[:16], 16) % 100 >= 80


@pytest.fixture
def visits(warehouse: Any) -> str:
    """Create a table that the reader may not read, without any time."""
    warehouse.rows(
        "DROP SCHEMA IF EXISTS closed CASCADE; CREATE SCHEMA closed; "
        "CREATE TABLE closed.visits AS SELECT n, n % 2 = 0 AS won FROM generate_series(1, 300) AS n"
    )
    return "closed.visits"


def test_missing_right_is_answered_with_its_grant_and_a_missing_time_by_folds_of_the_key(
    visits: str, project: Path, warehouse: Any
) -> None:
    arguments = ["init", "--table", visits, "--label", "won", "--yes"]
    refused = CliRunner().invoke(app, arguments).exception
    assert isinstance(refused, SettingsError)
    grant = str(refused).partition("owner: ")[2]
    assert grant == "GRANT USAGE ON SCHEMA closed TO tidemill_reader; GRANT SELECT ON closed.visits TO tidemill_reader;"
    warehouse.rows(grant)
    assert list(project.rglob("*.yaml")) == []
    assert "No column of closed.visits can be a feature" in str(CliRunner().invoke(app, arguments).exception)


def test_files_are_kept_unless_forced(project: Path, command: Command) -> None:
    TABLES["small"][0](np.random.default_rng(5)).to_csv(project / "kept.csv", index=False)
    command("load", str(project / "kept.csv"), "newcomer.kept", "--replace")
    arguments = ["init", "--table", "newcomer.kept", "--label", "churned", "--yes"]
    command(*arguments)
    query = project / "sql" / "kept_churned" / "features.sql"
    drafted = query.read_text(encoding="utf-8")
    query.write_text("mine", encoding="utf-8")
    assert "exists already; nothing was written" in str(CliRunner().invoke(app, arguments).exception)
    assert query.read_text(encoding="utf-8") == "mine"
    command(*arguments, "--force")
    assert query.read_text(encoding="utf-8") == drafted


def test_a_model_whose_tables_are_not_loaded_yet_is_a_hint_until_it_is_named(project: Path, command: Command) -> None:
    model = "written_ahead"  # a name that no other test has promoted: the servers are shared
    (project / "dags" / "models").mkdir(parents=True)
    spec = (PROJECT / "examples" / "models" / "order_returns.yaml").read_text(encoding="utf-8")
    (project / "dags" / "models" / f"{model}.yaml").write_text(spec.replace("order_returns", model), encoding="utf-8")
    shutil.copytree(PROJECT / "sql" / "order_returns", project / "sql" / model)
    for query in (project / "sql" / model).iterdir():
        query.write_text(query.read_text(encoding="utf-8").replace("demo_shop.", "not_there_yet."), encoding="utf-8")
    assert "Specs, contracts and queries are in order." in command("check")
    named = CliRunner().invoke(app, ["check", model])
    assert named.exit_code == 1
    assert "not_there_yet.orders" in named.output


def test_a_terminal_is_asked_for_table_label_and_time(
    project: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = TABLES["small"][0](np.random.default_rng(5)).assign(
        birth_day="1990-01-01", store_id=lambda rows: rows.index % 3
    )
    frame.to_csv(project / "asked.csv", index=False)
    command("load", str(project / "asked.csv"), "newcomer.asked", "--replace")
    with monkeypatch.context() as terminal:
        terminal.setattr("tidemill.cli.onboarding.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
        answered = CliRunner().invoke(app, ["init"], input="newcomer.asked\nchurned\n\n")
    assert answered.exit_code == 0, answered.output
    assert "Which column has the time of the event (day, birth_day, or none)? [day]" in answered.output
    assert "store_id is an id with few values, and became a category." in answered.output
    assert "birth_day is not used: a date or time; " in answered.output
    refused = CliRunner().invoke(app, ["init", "--yes"])
    assert refused.exit_code == 2
