"""Rollback: an earlier champion serves again. By hand only; needs no MLflow. One DAG per model."""

from tidemill_airflow.assets import predictions_asset, release_asset
from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import RollbackOperator
from tidemill_airflow.resources import queue_of

for spec in specs_beside(__file__):
    with model_dag(spec, "rollback", "to", "republish_from", "republish_to", "reason", max_active_runs=1):
        RollbackOperator(
            task_id="roll_back",
            model=spec.model,
            retries=0,
            queue=queue_of("register"),
            outlets=[release_asset(spec), predictions_asset(spec)],
        )
