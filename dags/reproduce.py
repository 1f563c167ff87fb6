"""Reproduce: build a release again, and compare every step. One DAG per model."""

from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import ReproduceOperator

for spec in specs_beside(__file__):
    with model_dag(spec, "reproduce", "partition", "release", "prediction_run", "as_declared", max_active_runs=1):
        ReproduceOperator(task_id="reproduce", model=spec.model)
