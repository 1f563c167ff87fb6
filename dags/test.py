"""Test: the tests of a model, on a sample of its source. One DAG per model whose spec has a schedule for it."""

from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import RunTestsOperator

for spec in specs_beside(__file__):
    if spec.test.schedule:
        with model_dag(spec, "test", "partition", max_active_runs=1):
            RunTestsOperator(task_id="run_tests", model=spec.model)
