"""The model of docs/first-model.md: its three files and its commands, run as a reader runs them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tidemill.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "first-model.md"
MODEL, PARTITION = "late_departures", "2013-07-01"
VIEW = f"SELECT count(*), count(DISTINCT release_id), min(score), max(score) FROM predictions.{MODEL}"


def page_files() -> dict[str, str]:
    """Return the page's YAML and SQL blocks by the file that the first line of each names."""
    blocks = re.findall(r"```(?:yaml|sql)\n(?:#|--) (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(blocks)


def page_commands() -> list[list[str]]:
    """Return the arguments of the page's ``tidemill`` commands about its model, in order."""
    lines = re.findall(rf"^tidemill (.*\b{MODEL}\b.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.fixture(scope="module")
def five_minutes(
    warehouse: Any, flights_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[list[str], Any]]]:
    """Write the files, run the commands on the example's data, and return each command's result."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in page_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TIDEMILL_MODELS", str(folder / "dags" / "models"))
        environment.setenv("TIDEMILL_SQL", str(folder / "sql"))
        environment.setenv("TIDEMILL_STORAGE", str(folder / "storage"))
        environment.setenv("TIDEMILL_CONN_WAREHOUSE", warehouse.url("tidemill_reader"))
        environment.setenv("TIDEMILL_CONN_TIDEMILL", warehouse.url("tidemill_writer"))
        environment.setenv("TIDEMILL_CONN_TIDEMILL_PROMOTER", warehouse.url("tidemill_promoter"))
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield [(command, CliRunner().invoke(app, command)) for command in page_commands()]


def test_the_page_shows_three_files() -> None:
    assert set(page_files()) == {
        f"dags/models/{MODEL}.yaml",
        f"sql/{MODEL}/features.sql",
        f"sql/{MODEL}/labels.sql",
    }


def test_the_page_checks_trains_and_predicts() -> None:
    assert [command[0] for command in page_commands()] == ["check", "train", "predict"]


def test_every_command_of_the_page_succeeds(five_minutes: list[tuple[list[str], Any]]) -> None:
    failed = {
        " ".join(command): (result.output, result.exception) for command, result in five_minutes if result.exit_code
    }
    assert failed == {}


def test_its_model_is_accepted(five_minutes: list[tuple[list[str], Any]]) -> None:
    assert "Accepted" in five_minutes[1][1].output


def test_its_model_has_a_row_for_every_flight_of_the_day(
    five_minutes: list[tuple[list[str], Any]], warehouse: Any
) -> None:
    ((n_rows, n_releases, lowest, highest),) = warehouse.rows(VIEW, role="tidemill_reader")
    assert (n_rows, n_releases) == (966, 1)
    assert 0 <= lowest < highest <= 1
