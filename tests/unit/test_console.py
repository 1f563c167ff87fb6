"""What is printed holds what people and data say; square brackets in it are text."""

import csv
import json
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from tidemill import __version__
from tidemill.cli import app
from tidemill.cli.console import err, out, show, table_of
from tidemill.cli.progress import bars, running, usual_seconds
from tidemill.cli.simulation import PolicyName
from tidemill.simulation import Policy
from tidemill.warehouse.ledger import StepRun


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


ROWS = [{"known_to": None, "since": datetime(2013, 7, 1, 6, tzinfo=UTC), "what": "a\tb " + "x" * 200}]


def test_piped_rows_are_tab_separated_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, as_json=False)
    header, row = csv.reader(capsys.readouterr().out.splitlines(), delimiter="\t")
    assert header == ["known_to", "since", "what"]
    assert row == ["-", "2013-07-01 06:00 UTC", ROWS[0]["what"]]


def test_json_keeps_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert row == ROWS[0] | {"since": "2013-07-01T06:00:00+00:00"}
    show([], as_json=True, empty="Nothing is held.")
    assert json.loads(capsys.readouterr().out) == []


def test_no_rows_leave_a_pipe_empty(capsys: pytest.CaptureFixture[str]) -> None:
    show([], as_json=False, empty="Nothing is held.")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "Nothing is held.\n")


@pytest.mark.parametrize(("width", "is_table"), [(80, False), (400, True)])
def test_a_terminal_too_narrow_for_the_table_gets_a_list(
    width: int, is_table: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tidemill.cli.console.out", Console(markup=False, force_terminal=True, width=width))
    show(ROWS, as_json=False)
    printed = capsys.readouterr().out
    assert ("┃" in printed) == is_table
    assert ("x" * 200) in printed


def test_version_is_printed() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__


def test_every_command_has_a_group_in_the_help() -> None:
    assert [
        command.callback for command in app.registered_commands if not isinstance(command.rich_help_panel, str)
    ] == []


@pytest.mark.parametrize(
    "arguments", [[], ["--from", "2013-07-01"], ["--partition", "2013-07-01", "--to", "2013-07-02"],
                  ["--partition", "2013-07-01", "--from", "2013-07-01", "--to", "2013-07-02"]],
)  # fmt: skip
def test_monitor_takes_one_partition_or_both_ends_of_many(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["monitor", "flight_delays", *arguments])
    assert "give --partition, or --from and --to" in " ".join(result.output.replace("│", "").split())


@pytest.mark.parametrize(
    ("command", "choice"), [("run", "retrain"), ("hold", "prediction_run"), ("simulate", "weekly")]
)
def test_choices_are_in_the_help(command: str, choice: str) -> None:
    assert choice in CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output


def test_the_help_knows_every_policy() -> None:
    assert [item.value for item in PolicyName] == [item.value for item in Policy]


def step_run(chain: str, step: str, seconds: float) -> StepRun:
    return StepRun(
        chain=chain, step=step, partition="2013-07-01", wall_s=seconds, cpu_s=0.0, peak_rss_bytes=0, n_rows=None
    )


def test_the_usual_duration_of_a_chain_is_that_of_its_last_run() -> None:
    runs = [
        step_run("train", "register", 2.0),
        step_run("predict", "publish", 1.0),
        step_run("train", "train", 30.0),
        step_run("train", "train", 8.0),
        step_run("train", "extract", 4.0),
        step_run("train", "register", 100.0),
    ]
    assert usual_seconds(runs, "train", "extract") == 44.0
    assert usual_seconds(runs, "monitor", "collect") is None


def test_progress_shows_the_time_left_on_a_terminal_and_nothing_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, said in ((True, ("extract …", "about 10 min left", "day", "3/4")), (False, ())):
        shown = Console(file=StringIO(), force_terminal=terminal, width=120, _environ={"TERM": "xterm"})
        monkeypatch.setattr("tidemill.cli.progress.err", shown)
        with running(600.0) as show:
            show("extract")
        with bars() as on_progress:
            on_progress("day", 3, 4)
        printed = shown.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
        assert all(word in printed for word in said)
        assert bool(printed) is terminal
