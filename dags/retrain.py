"""Retrain: is a new challenger due? The decision is recorded, whatever it is. One DAG per model."""

from airflow.sdk import DAG

from tidemill_airflow.model_dags import dag_arguments, specs_beside
from tidemill_airflow.operators import DecideOperator, RecordOutcomeOperator, TriggerTrainingOperator
from tidemill_airflow.schedules import timetable

for spec in specs_beside(__file__):
    model = spec.model
    arguments = dag_arguments(spec, "retrain", "partition", "dry_run")
    with DAG(schedule=timetable(spec, spec.retrain.schedule), **arguments, max_active_runs=1):
        decide = DecideOperator(task_id="decide", model=model)
        trigger = TriggerTrainingOperator(task_id="trigger_training", model=model, decision=decide.output)
        record = RecordOutcomeOperator(
            task_id="record_outcome", model=model, decision=decide.output, trigger_rule="all_done"
        )
        trigger >> record
