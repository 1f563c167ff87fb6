"""The operators against a real ledger: the prediction DAG's tasks one after the other, as Airflow runs them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from tidemill.errors import NoChampion
from tidemill_airflow.operators import (
    ExtractOperator,
    PredictOperator,
    PublishOperator,
    ResolveReleaseOperator,
    StepOperator,
    ValidateDataOperator,
)
from tidemill_airflow.params import RunParams, trigger_form

from .conftest import ROLES, Warehouse
from .data import SCORED, Mill

Settle = Callable[[Mill], None]


@pytest.fixture
def settle(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Settle:
    """Set the environment that a task of a model's Airflow has."""

    def set_environment(mill: Mill) -> None:
        monkeypatch.setenv("TIDEMILL_MODELS", str(mill.workspace.models))
        monkeypatch.setenv("TIDEMILL_SQL", str(mill.workspace.sql))
        monkeypatch.setenv("TIDEMILL_STORAGE", str(mill.workspace.storage))
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name, role in ROLES.items():
            url = warehouse.url(role).replace("postgresql://", "postgres://")
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", url)

    return set_environment


def execute(mill: Mill, operator: type[StepOperator], conf: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Run one task of a manual run; what other tasks gave comes as dicts, as from XCom."""
    form = trigger_form(*RunParams.model_fields)
    with DAG(f"{mill.model}_predict", schedule=None, params=form) as dag:
        task = operator(task_id=operator.step, model=mill.model, **arguments)
    names = {"dag_id": dag.dag_id, "run_id": "manual__1", "task_id": task.task_id, "map_index": -1, "try_number": 1}
    run = SimpleNamespace(run_id="manual__1", partition_key=None, data_interval_start=None, data_interval_end=None)
    params = {name: param.resolve() for name, param in form.items()} | {"partition": SCORED} | conf
    context: Any = {"dag": dag, "dag_run": run, "params": params, "ti": SimpleNamespace(**names)}
    return task.execute(context)


def predict(mill: Mill, **conf: Any) -> dict[str, Any]:
    release = execute(mill, ResolveReleaseOperator, conf)
    snapshot = execute(mill, ExtractOperator, conf, purpose="score")
    execute(mill, ValidateDataOperator, conf, snapshot=snapshot)
    prediction = execute(mill, PredictOperator, conf, release=release, snapshot=snapshot)
    return execute(mill, PublishOperator, conf, prediction=prediction)


def published(mill: Mill) -> int:
    return mill.sql("SELECT count(*) FROM tidemill.published WHERE model = '{m}' AND partition = %s", SCORED)[0][0]


def test_the_tasks_of_the_prediction_dag_publish_the_partition(serving: Mill, settle: Settle) -> None:
    settle(serving)
    assert predict(serving)["published"] is True
    assert published(serving) == 1


def test_a_dry_run_publishes_nothing(serving: Mill, settle: Settle) -> None:
    settle(serving)
    assert predict(serving, dry_run=True)["published"] is False
    assert published(serving) == 0


def test_the_ledger_knows_the_airflow_task_of_a_step(serving: Mill, settle: Settle) -> None:
    settle(serving)
    execute(serving, ResolveReleaseOperator, {})
    found = serving.sql(
        "SELECT chain, dag_id, dag_run_id, task_id, map_index, try_number FROM tidemill.run "
        "WHERE model = '{m}' ORDER BY run_id DESC LIMIT 1"
    )
    assert found == [("predict", f"{serving.model}_predict", "manual__1", "resolve_release", -1, 1)]


def test_the_release_chosen_in_the_form_is_the_one_that_scores(serving: Mill, settle: Settle) -> None:
    settle(serving)
    release = execute(serving, ResolveReleaseOperator, {})["release_id"]
    assert execute(serving, ResolveReleaseOperator, {"release": release})["release_id"] == release


def test_a_failed_step_is_in_the_ledger_with_its_message(mill: Mill, settle: Settle) -> None:
    settle(mill)
    with pytest.raises(NoChampion):
        execute(mill, ResolveReleaseOperator, {})
    found = mill.sql("SELECT status, error FROM tidemill.run WHERE model = '{m}' ORDER BY run_id DESC LIMIT 1")
    assert (found[0][0], found[0][1].partition(":")[0]) == ("failed", "NoChampion")
