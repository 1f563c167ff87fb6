"""The examples of the other tasks: a value and a class for each flight, through every chain."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tidemill.hints import cutoff_hints
from tidemill.runtime.chains import drive, monitor_chain, predict_chain, train_chain
from tidemill.workspace import Workspace
from tidemill_examples.flights import load_flights

PROJECT = Path(__file__).parents[2]
TRAINED, LOOKED_BACK = "2013-07-01", "2013-07-04"
MODELS = ("flight_air_time", "flight_punctuality")
NAMES = {
    "flight_air_time": ("prediction", "low", "high"),
    "flight_punctuality": ("predicted_label", "score", "probabilities"),
}

Lived = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def live(warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Lived]:
    """Train an example as of 1 July, score that day and the fourth, and look back from there."""
    load_flights(warehouse.url("tidemill_owner"), lambda table, done, total: None)
    roles = {"warehouse": "tidemill_reader", "tidemill": "tidemill_writer", "tidemill_promoter": "tidemill_promoter"}
    workspace = Workspace(
        models=PROJECT / "examples" / "models",
        sql=PROJECT / "sql",
        storage=tmp_path_factory.mktemp("examples") / "storage",
        tracking_uri=None,
        connection=lambda name: warehouse.url(roles[name]),
    )
    lived: dict[str, Lived] = {}

    def run(model: str) -> Lived:
        if model not in lived:
            spec = workspace.spec(model)
            records = lived[model] = {}
            for name, chain, partition in (
                ("train", train_chain(spec), TRAINED),
                ("predict", predict_chain(), TRAINED),
                ("predict", predict_chain(), LOOKED_BACK),
                ("monitor", monitor_chain(spec), LOOKED_BACK),
            ):
                if name == "predict":
                    assert records["validate_model"]["verdict"] == "accept", records["validate_model"]["reasons"]
                drive(
                    name,
                    chain,
                    model,
                    partition,
                    workspace,
                    on_step=lambda step, record: record is None or records.update({step: record}),
                )
        return lived[model]

    return run


@pytest.mark.parametrize("model", MODELS)
def test_gate_accepts_what_beats_every_baseline(live: Callable[[str], Lived], model: str) -> None:
    records = live(model)
    assert records["validate_model"]["verdict"] == "accept", records["validate_model"]["reasons"]
    assert records["register"]["promoted"]


@pytest.mark.parametrize("model", MODELS)
def test_every_flight_has_an_answer(warehouse: Any, live: Callable[[str], Lived], model: str) -> None:
    live(model)
    present = " AND ".join(f"{name} IS NOT NULL" for name in NAMES[model])
    found = warehouse.rows(
        f"SELECT partition, count(*), count(*) FILTER (WHERE {present}) FROM predictions.{model} GROUP BY 1 ORDER BY 1"
    )
    assert [(day, whole == answered) for day, whole, answered in found] == [(TRAINED, True), (LOOKED_BACK, True)]


def test_interval_of_air_time_holds_four_of_five(warehouse: Any, live: Callable[[str], Lived]) -> None:
    live("flight_air_time")
    ((share,),) = warehouse.rows(
        "SELECT avg((f.air_time BETWEEN p.low AND p.high)::int)::float8 FROM predictions.flight_air_time p"
        " JOIN raw.flights f USING (flight_id) WHERE f.air_time IS NOT NULL"
    )
    assert 0.7 < share < 0.9


def test_probabilities_are_those_of_the_answer_and_sum_to_one(warehouse: Any, live: Callable[[str], Lived]) -> None:
    live("flight_punctuality")
    ((odd,),) = warehouse.rows(
        "SELECT count(*) FROM predictions.flight_punctuality p, LATERAL (SELECT sum(value::float8) AS total,"
        " max(value::float8) AS most FROM jsonb_each_text(p.probabilities)) each"
        " WHERE abs(each.total - 1) > 1e-9 OR each.most <> p.score"
        " OR (p.probabilities ->> p.predicted_label)::float8 <> p.score"
    )
    assert odd == 0


@pytest.mark.parametrize("model", MODELS)
def test_matured_day_has_its_quality_with_an_interval(warehouse: Any, live: Callable[[str], Lived], model: str) -> None:
    metric = live(model)["evaluate"]["metrics"][0]["name"]
    ((value, low, high),) = warehouse.rows(
        f"SELECT value, low, high FROM tidemill.metric WHERE model = '{model}' AND part = 'performance'"
        f" AND name = '{metric}' AND partition = '{TRAINED}' AND slice IS NULL"
    )
    assert low < value < high


@pytest.mark.parametrize("model", MODELS)
def test_answers_are_watched_for_drift(warehouse: Any, live: Callable[[str], Lived], model: str) -> None:
    live(model)
    found = warehouse.rows(
        f"SELECT value FROM tidemill.metric WHERE model = '{model}' AND name = 'score_psi' AND partition = '{LOOKED_BACK}'"
    )
    assert len(found) == 1


def test_cutoffs_of_the_examples_give_nothing_to_hint_at(warehouse: Any, live: Callable[[str], Lived]) -> None:
    live(MODELS[0])
    reader = replace(WORKSPACE, connection=lambda name: warehouse.url("tidemill_reader"))
    assert cutoff_hints(reader, ["flight_delays"], source=True) == []
    examples = replace(reader, models=PROJECT / "examples" / "models")
    assert cutoff_hints(examples, list(MODELS), source=True) == []


def test_specs_of_the_examples_are_named_as_their_files() -> None:
    workspace = replace(WORKSPACE, models=PROJECT / "examples" / "models")
    assert [workspace.spec(model).model for model in MODELS] == list(MODELS)


WORKSPACE = Workspace(
    models=PROJECT / "dags" / "models", sql=PROJECT / "sql", storage=Path("nowhere"), tracking_uri=None
)
