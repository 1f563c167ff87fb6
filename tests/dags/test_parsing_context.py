"""In a task, Airflow asks for one DAG: it is the same as among all, and no other model's spec is read for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PROJECT, Described, describe

MODELS = ("flight_delays", "flight_punctuality", "flight_air_time")
VERBS = ("act", "monitor", "predict", "reproduce", "retrain", "rollback", "test", "train")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example models, in one folder."""
    folder = tmp_path_factory.mktemp("models")
    for path in [*(PROJECT / "dags" / "models").glob("*.yaml"), *(PROJECT / "examples" / "models").glob("*.yaml")]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def everything(models: Path) -> Described:
    return describe(models)


def in_context(models: Path, dag_id: str) -> Described:
    return describe(models, _AIRFLOW_PARSING_CONTEXT_DAG_ID=dag_id)


@pytest.mark.parametrize("dag_id", ["flight_delays_train", "flight_punctuality_predict", "flight_air_time_monitor"])
def test_a_tasks_dag_is_the_one_among_all(models: Path, everything: Described, dag_id: str) -> None:
    found = in_context(models, dag_id)
    assert found["errors"] == {}
    assert found["dags"][dag_id] == everything["dags"][dag_id]
    model = dag_id.rpartition("_")[0]
    assert set(found["dags"]) == {f"{model}_{verb}" for verb in VERBS if f"{model}_{verb}" in everything["dags"]} | {
        "tidemill_maintenance"
    }


def test_no_other_spec_is_read_for_a_task(models: Path, tmp_path: Path) -> None:
    shutil.copy(models / "flight_delays.yaml", tmp_path)
    shutil.copy(models / "flight_punctuality.yaml", tmp_path)
    found = in_context(tmp_path, "flight_delays_train")
    assert [dag_id for dag_id in found["dags"] if dag_id.startswith("flight_punctuality")] == []


@pytest.mark.parametrize("dag_id", ["tidemill_maintenance", "somebody_elses", "no_such_model_train"])
def test_where_the_dag_is_of_no_model_here_every_spec_is_read(models: Path, everything: Described, dag_id: str) -> None:
    assert set(in_context(models, dag_id)["dags"]) == set(everything["dags"])


def test_a_broken_spec_of_the_tasks_own_model_has_no_dag(describe_models: Callable[..., Described]) -> None:
    assert set(describe_models(typo="model: typo\n")["dags"]) == {"tidemill_maintenance"}
