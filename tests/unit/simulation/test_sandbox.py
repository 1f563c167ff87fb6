from pathlib import Path

import pytest

from tidemill.simulation.database import SimulationDatabase
from tidemill.simulation.sandbox import QUERIES, Sandbox
from tidemill.spec import ModelSpec, Search, Source
from tidemill.spec_file import read_spec

PROJECT = Path(__file__).parents[3]


EXAMPLES = [*(PROJECT / "dags" / "models").glob("*.yaml"), *(PROJECT / "examples" / "models").glob("*.yaml")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_model_of_any_task_is_declared_as_it_is_except_for_its_source_and_search(tmp_path: Path, path: Path) -> None:
    spec = read_spec(path)
    quick = spec.train.model_copy(update={"search": Search(), "leave_out": None})
    declared = {"model": "never", "source": Source(**QUERIES), "train": quick}
    assert declare(spec, tmp_path) == spec.model_copy(update=declared)


@pytest.mark.parametrize(("engine", "there"), [("dask", "external_memory"), ("local", "local")])
def test_what_a_cluster_would_train_is_trained_on_this_machine(tmp_path: Path, engine: str, there: str) -> None:
    spec = ModelSpec.model_validate(
        {
            "model": "parcels",
            "task": "binary",
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "m/f.sql", "labels": "m/l.sql"},
            "label": {"column": "late"},
            "train": {"estimators": ["xgboost"], "engine": engine},
        }
    )
    assert declare(spec, tmp_path).train.engine == there


def declare(spec: ModelSpec, folder: Path) -> ModelSpec:
    (folder / "models").mkdir()
    database = SimulationDatabase(server_url="postgresql://127.0.0.1/postgres", name="simulation")
    Sandbox(folder=folder, database=database).declare(spec, "never")
    return read_spec(folder / "models" / "never.yaml")
