"""Retrain: decide whether a new challenger is due, train it if so, and record the outcome. One DAG per model."""

from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import DecideOperator, RecordOutcomeOperator, TriggerTrainingOperator

for spec in specs_beside(__file__):
    model = spec.model
    with model_dag(spec, "retrain", "partition", "dry_run", "reason", max_active_runs=1):
        decide = DecideOperator(task_id="decide", model=model)
        trigger = TriggerTrainingOperator(
            task_id="trigger_training",
            model=model,
            decision=decide.output,
            waits=spec.accept.approval == "automatic",
        )
        record = RecordOutcomeOperator(
            task_id="record_outcome", model=model, decision=decide.output, trigger_rule="all_done"
        )
        trigger >> record
