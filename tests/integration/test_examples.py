"""The examples of the other tasks: their cutoffs, on the flights. The chains run in tests/e2e/test_examples.py."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tidemill.hints import cutoff_hints
from tidemill.workspace import Workspace

PROJECT = Path(__file__).parents[2]
MODELS = ("flight_air_time", "flight_punctuality")
WORKSPACE = Workspace(
    models=PROJECT / "dags" / "models", sql=PROJECT / "sql", storage=Path("nowhere"), tracking_uri=None
)


def test_cutoffs_of_the_examples_give_nothing_to_hint_at(warehouse: Any, flights_url: str) -> None:
    reader = replace(WORKSPACE, connection=lambda name: warehouse.url("tidemill_reader"))
    assert cutoff_hints(reader, ["flight_delays"], source=True) == []
    examples = replace(reader, models=PROJECT / "examples" / "models")
    assert cutoff_hints(examples, list(MODELS), source=True) == []


def test_specs_of_the_examples_are_named_as_their_files() -> None:
    workspace = replace(WORKSPACE, models=PROJECT / "examples" / "models")
    assert [workspace.spec(model).model for model in MODELS] == list(MODELS)
