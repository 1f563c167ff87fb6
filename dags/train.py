"""Train: from the source to a champion, or to the reasons for none. One DAG per model."""

from tidemill.spec import BASELINES
from tidemill_airflow.assets import release_asset
from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import (
    AnalyseOperator,
    ApproveOperator,
    AwaitReadyOperator,
    EvaluateOperator,
    ExtractOperator,
    PrepareOperator,
    RegisterOperator,
    TrainOperator,
    ValidateDataOperator,
    ValidateModelOperator,
)
from tidemill_airflow.resources import queue_of

for spec in specs_beside(__file__):
    model = spec.model
    with model_dag(spec, "train", "partition", "cutoff", "trials", "dry_run", "reason", max_active_runs=1):
        extract = ExtractOperator(task_id="extract", model=model, purpose="train")
        if spec.train.ready:
            AwaitReadyOperator(task_id="await_ready", model=model) >> extract
        validate_data = ValidateDataOperator(task_id="validate_data", model=model, snapshot=extract.output)
        analyse = AnalyseOperator(task_id="analyse", model=model, snapshot=extract.output)
        prepare = PrepareOperator(task_id="prepare", model=model, snapshot=extract.output)
        train = TrainOperator.partial(
            task_id="train", model=model, split=prepare.output, map_index_template="{{ task.estimator }}"
        ).expand(estimator=[*spec.train.estimators, *BASELINES])
        evaluate = EvaluateOperator(task_id="evaluate", model=model, split=prepare.output, bundles=train.output)
        validate_model = ValidateModelOperator(task_id="validate_model", model=model, evaluation=evaluate.output)
        approval = None
        if spec.accept.approval == "manual":
            approval = ApproveOperator(
                task_id="approve",
                model=model,
                evaluation=evaluate.output,
                decision=validate_model.output,
                timeout=spec.accept.approval_timeout,
            ).output
        register = RegisterOperator(
            task_id="register",
            model=model,
            snapshot=extract.output,
            profile=analyse.output,
            split=prepare.output,
            evaluation=evaluate.output,
            decision=validate_model.output,
            approval=approval,
            outlets=[release_asset(spec)],
            queue=queue_of("register"),
        )
        validate_data >> [analyse, prepare]
