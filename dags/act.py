"""Act: what a person asks for in the console, one short change of the ledger per run. By hand only. One DAG per model."""

from tidemill_airflow.assets import predictions_asset, release_asset
from tidemill_airflow.console.actions import FORM
from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import ActOperator
from tidemill_airflow.resources import queue_of

for spec in specs_beside(__file__):
    with model_dag(spec, "act", *FORM, max_active_runs=1):
        ActOperator(
            task_id="act",
            model=spec.model,
            retries=0,
            queue=queue_of("register"),
            outlets=[release_asset(spec), predictions_asset(spec)],
        )
