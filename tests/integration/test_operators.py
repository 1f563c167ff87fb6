"""The operators against a real ledger: the prediction DAG's tasks one after the other, as Airflow runs them."""

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils

from tidemill.errors import NoChampion
from tidemill_airflow.operators import (
    AlertOperator,
    CollectOperator,
    ExtractOperator,
    FreshnessOperator,
    PredictOperator,
    PublishOperator,
    ResolveReleaseOperator,
    StepOperator,
    ValidateDataOperator,
)
from tidemill_airflow.params import RunParams, trigger_form
from tidemill_airflow.telemetry import METRICS

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
    run = SimpleNamespace(
        run_id="manual__1", run_type="manual", partition_key=None, data_interval_start=None, data_interval_end=None
    )
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


def test_the_ledger_has_the_airflow_task_of_a_step(serving: Mill, settle: Settle) -> None:
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


# ---------------------------------------------------------------- what watchers are told


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """A StatsD on this machine, named by Airflow's own settings; return what has arrived."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.setblocking(False)
        for name, value in (
            ("ON", "True"),
            ("HOST", "127.0.0.1"),
            ("PORT", sink.getsockname()[1]),
            ("INFLUXDB_ENABLED", "True"),
        ):
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", str(value))
        sender = stats_utils.get_stats_factory()()
        stats.initialize(factory=lambda: sender, export_legacy_names=False)  # as a task begins

        def arrived() -> list[str]:
            found = []
            while True:
                try:
                    found.append(sink.recv(65536).decode())
                except BlockingIOError:
                    return found

        yield arrived
        sender.statsd.close()
        monkeypatch.undo()
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)


def test_a_day_of_a_model_reaches_a_statsd(serving: Mill, settle: Settle, statsd: Callable[[], list[str]]) -> None:
    settle(serving)
    predict(serving)
    collected = execute(serving, CollectOperator, {})
    parts = [execute(serving, FreshnessOperator, {}, collected=collected)]
    execute(serving, AlertOperator, {}, collected=collected, parts=parts)
    told = [line.partition(":") for line in statsd() if line.startswith("airflow.tidemill.")]
    assert {name.partition(",")[0] for name, _, _ in told} == {f"airflow.{name}" for name in METRICS}
    assert all(f",model={serving.model},step=" in name and value.endswith("|g") for name, _, value in told)
    values = {name: value for name, _, value in told}
    assert values[f"airflow.tidemill.rows,model={serving.model},step=predict"] == "60|g"
    assert values[f"airflow.tidemill.alerts_open,model={serving.model},step=alert"] == "0|g"
    assert float(values[f"airflow.tidemill.age_days,model={serving.model},step=freshness,of=model"].rstrip("|g")) > 0


def test_without_a_collector_nothing_is_sent_and_nothing_fails(serving: Mill, settle: Settle) -> None:
    settle(serving)
    assert execute(serving, ResolveReleaseOperator, {})["model"] == serving.model
