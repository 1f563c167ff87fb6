"""Predict: the rows of one partition, scored by the release that was live for it. One DAG per model."""

from typing import Any

from tidemill_airflow.assets import predictions_asset, release_asset
from tidemill_airflow.model_dags import model_dag, specs_beside
from tidemill_airflow.operators import (
    AwaitReadyOperator,
    CutOperator,
    ExtractOperator,
    InspectOperator,
    LookBackOperator,
    PredictOperator,
    PublishOperator,
    ResolveReleaseOperator,
    ScoreAgainOperator,
    ScoreOperator,
    ValidateDataOperator,
)

for spec in specs_beside(__file__):
    model = spec.model
    with model_dag(spec, "predict", "partition", "cutoff", "release", "policy", "simulate", "dry_run"):
        resolve_release = ResolveReleaseOperator(task_id="resolve_release", model=model, inlets=[release_asset(spec)])
        if spec.predict.ready:
            AwaitReadyOperator(task_id="await_ready", model=model) >> resolve_release
        extract = ExtractOperator(task_id="extract", model=model, purpose="score")
        validate_data = ValidateDataOperator(task_id="validate_data", model=model, snapshot=extract.output)
        scores: Any = ()
        if spec.predict.shard_rows:
            cut = CutOperator(task_id="cut", snapshot=extract.output, shard_rows=spec.predict.shard_rows)
            score = ScoreOperator.partial(
                task_id="score", model=model, release=resolve_release.output, snapshot=extract.output
            ).expand(shard=cut.output)
            validate_data >> cut
            scores = score.output
        predict = PredictOperator(
            task_id="predict", model=model, release=resolve_release.output, snapshot=extract.output, scores=scores
        )
        inspect = InspectOperator(
            task_id="inspect",
            model=model,
            prediction=predict.output,
            snapshot=extract.output,
            withhold=spec.predict.withhold,
        )
        publish = PublishOperator(
            task_id="publish", model=model, prediction=predict.output, outlets=[predictions_asset(spec)]
        )
        resolve_release >> extract
        validate_data >> predict
        inspect >> publish
        if spec.predict.lookback:
            look_back = LookBackOperator(task_id="look_back", model=model)
            ScoreAgainOperator.partial(task_id="score_again", model=model).expand(changed=look_back.output)
            publish >> look_back
