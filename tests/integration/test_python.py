"""The Python API: the methods of `tidemill.open`, and the page and the notebook that show it."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import tidemill
from tidemill.errors import NotPublished, SettingsError, SpecError
from tidemill.model import Model
from tidemill.runtime.run import run_step

from .data import SCORED, TRAINED, Mill

PROJECT = Path(__file__).parents[2]
PAGE, NOTEBOOK = PROJECT / "docs" / "python.md", PROJECT / "docs" / "python.ipynb"


@pytest.fixture(scope="module")
def mill(new_mill: Any, trained_mill: Any) -> Mill:
    mill = new_mill()
    mill.adopt(trained_mill[1])
    return mill


@pytest.fixture(scope="module")
def model(mill: Mill) -> Model:
    return Model(mill.model, mill.workspace)


def test_a_snapshot_has_the_rows_of_the_source(model: Model, mill: Mill) -> None:
    rows = model.snapshot(SCORED)
    expected = mill.sql("SELECT parcel_id, weight_kg FROM {t} WHERE shipped_at::date = %s ORDER BY 1", SCORED)
    assert list(rows[["parcel_id", "weight_kg"]].itertuples(index=False, name=None)) == expected


def test_a_training_snapshot_has_the_label_of_each_row(model: Model, mill: Mill) -> None:
    rows = model.snapshot(TRAINED, "train")
    truth = dict(mill.sql("SELECT parcel_id, late::int FROM {t}"))
    known = rows.dropna(subset=["late"])
    assert len(known) > 1000
    assert known["late"].astype(int).tolist() == [truth[key] for key in known["parcel_id"]]


def test_an_evaluation_is_a_trainings_and_releases_nothing(model: Model, trained_mill: Any) -> None:
    before = model.releases()
    evaluation = model.evaluate(TRAINED)
    metrics = model.metrics(evaluation)
    whole = metrics[metrics["slice"].isna()].set_index("name")["value"]
    recorded = {item["name"]: item["value"] for item in trained_mill[1]["evaluate"]["metrics"] if item["slice"] is None}
    assert whole.to_dict() == pytest.approx(recorded)
    assert len(model.releases()) == len(before)
    assert model.importance_chart(evaluation).to_dict()["title"]["text"]


def test_training_promotes_what_the_gate_accepts(new_mill: Any) -> None:
    fresh = new_mill()
    model = Model(fresh.model, fresh.workspace)
    outcome = model.train(TRAINED, reason="by hand")
    assert (outcome.decision.verdict, outcome.promoted) == ("accept", True)
    assert model.releases()[["release_id", "live"]].to_numpy().tolist() == [[outcome.release_id, "champion"]]


def test_predictions_are_the_published_rows(model: Model, mill: Mill) -> None:
    run = model.predict(SCORED)
    rows = model.predictions(SCORED)
    assert run.published
    assert len(rows) == run.n_rows == 60
    assert list(zip(rows["parcel_id"], rows["score"], strict=True)) == mill.view()


def test_predicting_returns_the_rows_of_an_equal_run_that_published_meanwhile(
    model: Model, mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer: list[dict[str, Any]] = []

    def extract_and_be_overtaken(chain: str, step: str, *given: Any, **named: Any) -> dict[str, Any]:
        record = run_step(chain, step, *given, **named)
        if step == "extract" and not newer:
            newer.append({})  # before its own chain comes here
            newer.append(mill.predict()["publish"])
        return record

    monkeypatch.setattr("tidemill.runtime.chains.run_step", extract_and_be_overtaken)
    assert model.predict(SCORED).to_dict() == newer[1]


def test_an_explanation_adds_up_to_the_score(model: Model) -> None:
    model.predict(SCORED)
    rows = model.predictions(SCORED)
    key, score = rows[["parcel_id", "score"]].iloc[7]
    parts = model.explain(key, SCORED)
    other = model.explain(rows["parcel_id"].iloc[8], SCORED)
    logit = np.log(score / (1 - score)) - np.log(rows["score"].iloc[8] / (1 - rows["score"].iloc[8]))
    assert parts["contribution"].sum() - other["contribution"].sum() == pytest.approx(logit, abs=1e-6)


def test_monitoring_returns_the_partitions_figures(model: Model) -> None:
    model.predict(SCORED)
    found = model.monitor(SCORED)
    assert set(found["partition"]) == {SCORED}
    assert {"drift", "compute", "freshness"} <= set(found["part"])
    assert set(found.query("name == 'psi'")["feature"].dropna()) >= {"weight_kg", "carrier"}
    assert model.quality_chart().to_dict()


def test_a_partition_that_is_not_published_is_reported(model: Model) -> None:
    with pytest.raises(NotPublished, match="tidemill predict"):
        model.predictions("2024-03-29")


def test_an_unknown_model_and_a_missing_configuration_are_reported(
    mill: Mill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in mill.environment.items():
        monkeypatch.setenv(name, value)
    assert tidemill.open(mill.model, tmp_path).spec == mill.spec
    with pytest.raises(SpecError, match="nobody"):
        tidemill.open("nobody", tmp_path)
    monkeypatch.delenv("TIDEMILL_STORAGE")
    with pytest.raises(SettingsError, match="TIDEMILL_STORAGE"):
        tidemill.open(mill.model, tmp_path)


# ------------------------------------------------------------ the page and the notebook


def page_cells() -> list[str]:
    return [block.rstrip("\n") for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)]


def notebook_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_cell(code: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does, and return the value of its last expression."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


SMALL = {"window": "42 days", "validation": "7 days", "test": "10 days", "estimators": ["logistic_regression"]}
"""A training that takes seconds; the code of the cells does not depend on it."""


@pytest.fixture(scope="module")
def outputs(warehouse: Any, flights_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run the notebook on the flights, and return each cell's output by its last line."""
    folder = tmp_path_factory.mktemp("notebook")
    spec = yaml.safe_load((PROJECT / "dags" / "models" / "flight_delays.yaml").read_text(encoding="utf-8"))
    spec["train"] = {key: value for key, value in spec["train"].items() if key not in {"search", "leave_out"}} | SMALL
    (folder / "flight_delays.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.chdir(PROJECT)
        environment.setenv("TIDEMILL_MODELS", str(folder))
        environment.setenv("TIDEMILL_STORAGE", str(folder / "storage"))
        environment.setenv("TIDEMILL_CONN_WAREHOUSE", warehouse.url("tidemill_reader"))
        environment.setenv("TIDEMILL_CONN_TIDEMILL", warehouse.url("tidemill_writer"))
        environment.setenv("TIDEMILL_CONN_TIDEMILL_PROMOTER", warehouse.url("tidemill_promoter"))
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        names: dict[str, Any] = {}
        yield {code.splitlines()[-1]: run_cell(code, names) for code in notebook_cells()}


def test_page_and_notebook_show_the_same_code() -> None:
    assert page_cells() == notebook_cells()


def test_the_notebook_runs(outputs: dict[str, Any]) -> None:
    verdict, release_id, promoted = outputs["outcome.decision.verdict, outcome.release_id, outcome.promoted"]
    assert (verdict, promoted) == ("accept", True)
    assert outputs["model.releases()"]["release_id"].tolist()[0] == release_id
    assert len(outputs['published.nlargest(5, "score")']) == 5


def test_its_charts_draw_in_jupyter(outputs: dict[str, Any]) -> None:
    for code in ("model.importance_chart(evaluation)", "model.quality_chart()"):
        assert "vega" in str(outputs[code]._repr_mimebundle_())


def test_every_public_method_is_on_the_page() -> None:
    public = {name for name in vars(Model) if not name.startswith("_")} - {"name", "workspace"}
    assert public <= set(re.findall(r"`(\w+)[(`]", PAGE.read_text(encoding="utf-8"))) | set(
        re.findall(r"`(\w+)\(", PAGE.read_text(encoding="utf-8"))
    )
