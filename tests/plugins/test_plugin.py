"""What Airflow finds of Tidemill by itself."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from tidemill_airflow.operators import TrainOperator
from tidemill_airflow.plugin import TidemillPlugin

FLIGHTS = Path(__file__).parents[2] / "dags" / "models" / "flight_delays.yaml"


def test_airflow_finds_the_plugin_wherever_the_package_is_installed() -> None:
    (found,) = [item for item in entry_points(group="airflow.plugins") if item.name == "tidemill"]
    assert found.load() is TidemillPlugin


def test_a_task_does_not_load_the_console() -> None:
    # Airflow imports plugins in every process.
    script = "import sys, tidemill_airflow.plugin; print('fastapi' in sys.modules, 'tidemill.report' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["False", "False"]


@pytest.mark.parametrize(("component", "n_specs"), [("dag-processor", 1), ("scheduler", 0)])
def test_only_the_dag_processor_reads_specs_before_it_forks(component: str, n_specs: int, tmp_path: Path) -> None:
    text = FLIGHTS.read_text(encoding="utf-8")
    (tmp_path / "tiny.yaml").write_text(text.replace("model: flight_delays", "model: tiny", 1), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("model: [", encoding="utf-8")
    script = (
        f"import sys; sys.argv = ['airflow', '{component}']\n"
        "from airflow import plugins_manager; plugins_manager.ensure_plugins_loaded()\n"
        "from tidemill import spec_file; print(sorted(spec_file._PARSED), 'tidemill_airflow.operators' in sys.modules)"
    )
    environment = os.environ | {"TIDEMILL_MODELS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{['tiny.yaml'][:n_specs]} {n_specs == 1}"


def test_every_view_leads_to_the_app() -> None:
    ((app,), views) = TidemillPlugin.fastapi_apps, TidemillPlugin.external_views
    assert [view["destination"] for view in views] == ["nav", "dag", "dag_run", "task_instance"]
    assert len({view["url_route"] for view in views}) == 4
    assert all(view["href"].startswith(f"{app['url_prefix']}/") for view in views)


def test_every_step_s_task_has_a_button_to_its_partition() -> None:
    task = TrainOperator(task_id="train", model="flight_delays", split={}, estimator="xgboost")
    (link,) = task.operator_extra_links
    found = link.get_link(
        task, ti_key=SimpleNamespace(dag_id="flight_delays_train", run_id="manual__2013-07-08T05:00+00:00")
    )
    assert (link.name, found) == ("Partition", "/tidemill/run/flight_delays_train/manual__2013-07-08T05%3A00%2B00%3A00")
    assert link.name in [item.name for item in TidemillPlugin.operator_extra_links]


def test_the_button_survives_airflow_s_serialization() -> None:
    with DAG("flight_delays_train", schedule=None) as dag:
        TrainOperator(task_id="train", model="flight_delays", split={}, estimator="xgboost")
    stored = DagSerialization.to_dict(dag)
    restored = DagSerialization.from_dict(stored).get_task("train")
    assert [(link.name, link.xcom_key) for link in restored.operator_extra_links] == [
        ("Partition", "_link_PartitionLink")
    ]
