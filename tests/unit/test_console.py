"""What is printed holds what people and data say; square brackets in it are text."""

import subprocess
import sys

import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.cli.console import err, out, table_of


@pytest.mark.parametrize("console", [out, err])
@pytest.mark.parametrize("said", ["see [/x]", "origin=[ewr]", "[bold]"])
def test_square_brackets_are_printed_as_they_are(console: Console, said: str) -> None:
    table = Table("why")
    table.add_row(said)
    with console.capture() as printed:
        console.print(said)
        console.print(table)
    assert printed.get().count(said) == 2


def test_a_long_word_in_a_narrow_table_is_broken_and_not_cut_off() -> None:
    table = table_of("found", "remedy")
    table.add_row("/opt/tidemill/dags/of/somebody", "install it")
    console = Console(width=30)
    with console.capture() as printed:
        console.print(table)
    lines = printed.get().splitlines()
    assert "".join(line.split("│")[1].strip() for line in lines if "│" in line) == "/opt/tidemill/dags/of/somebody"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--from", "2013-07-01"], ["--partition", "2013-07-01", "--to", "2013-07-02"],
     ["--from", "2013-07-01", "--to", "2013-07-02", "--dry-run"]],
)  # fmt: skip
def test_predict_takes_one_partition_or_both_ends_of_many(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_STORAGE", "nowhere")
    result = CliRunner().invoke(app, ["predict", "flight_delays", *arguments])
    assert "give --partition, or --from and --to" in " ".join(result.output.replace("│", "").split())


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "tidemill", "--help"], capture_output=True, text=True, check=True)
    assert "rollback" in done.stdout
