"""Monitor: whether the model is fine today, and if not, why not. One DAG per model."""

from tidemill_airflow.assets import predictions_asset, release_asset
from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import (
    AlertOperator,
    AwaitReadyOperator,
    CollectOperator,
    ComputeOperator,
    DriftOperator,
    FreshnessOperator,
    NotifyOperator,
    PerformanceOperator,
    ReportOperator,
    SettleOperator,
    ShadowOperator,
)
from tidemill_airflow.resources import queue_of

for spec in specs_beside(__file__):
    model = spec.model
    with model_dag(spec, "monitor", "partition"):
        collect = CollectOperator(task_id="collect", model=model, inlets=[predictions_asset(spec)])
        if spec.monitor.ready:
            AwaitReadyOperator(task_id="await_ready", model=model) >> collect
        parts = [
            operator(task_id=operator.step, model=model, collected=collect.output)
            for operator in (DriftOperator, PerformanceOperator, ComputeOperator, FreshnessOperator)
        ]
        if spec.accept.in_shadow:
            shadow = ShadowOperator(task_id="shadow", model=model, collected=collect.output)
            SettleOperator(
                task_id="settle",
                model=model,
                shadow=shadow.output,
                outlets=[release_asset(spec), predictions_asset(spec)],
                queue=queue_of("register"),
            )
        alert = AlertOperator(
            task_id="alert", model=model, collected=collect.output, parts=[part.output for part in parts]
        )
        report = ReportOperator(task_id="report", model=model, collected=collect.output, alerts=alert.output)
        # A teardown runs whatever the state of the earlier tasks, and does not change whether the run has failed.
        report >> NotifyOperator(task_id="notify", model=model).as_teardown()
