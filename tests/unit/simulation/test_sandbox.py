from pathlib import Path

import pytest

from tidemill.simulation.database import SimulationDatabase
from tidemill.simulation.sandbox import Sandbox
from tidemill.spec import ModelSpec
from tidemill.spec_file import read_spec


@pytest.mark.parametrize(("engine", "there"), [("dask", "external_memory"), ("local", "local")])
def test_what_a_cluster_would_train_is_trained_on_this_machine(tmp_path: Path, engine: str, there: str) -> None:
    (tmp_path / "models").mkdir()
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
    database = SimulationDatabase(server_url="postgresql://127.0.0.1/postgres", name="simulation")
    Sandbox(folder=tmp_path, database=database).declare(spec, "never")
    assert read_spec(tmp_path / "models" / "never.yaml").train.engine == there
