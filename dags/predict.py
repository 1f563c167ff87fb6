"""Predict: the rows of one partition, scored by the release that was live for it. One DAG per model."""

from airflow.sdk import DAG

from tidemill_airflow.assets import predictions_asset, release_asset
from tidemill_airflow.model_dags import dag_arguments, specs_beside
from tidemill_airflow.operators import (
    ExtractOperator,
    PredictOperator,
    PublishOperator,
    ResolveReleaseOperator,
    ValidateDataOperator,
)
from tidemill_airflow.schedules import timetable

for spec in specs_beside(__file__):
    model = spec.model
    form = ("partition", "cutoff", "release", "simulate", "dry_run")
    with DAG(schedule=timetable(spec, spec.predict.schedule), **dag_arguments(spec, "predict", *form)):
        resolve_release = ResolveReleaseOperator(task_id="resolve_release", model=model, inlets=[release_asset(spec)])
        extract = ExtractOperator(task_id="extract", model=model, purpose="score")
        validate_data = ValidateDataOperator(task_id="validate_data", model=model, snapshot=extract.output)
        predict = PredictOperator(
            task_id="predict", model=model, release=resolve_release.output, snapshot=extract.output
        )
        publish = PublishOperator(
            task_id="publish", model=model, prediction=predict.output, outlets=[predictions_asset(spec)]
        )
        resolve_release >> extract
        validate_data >> predict
