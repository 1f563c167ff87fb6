"""Make a judged bundle a release and an accepted one the champion, and show every training in MLflow.

The ledger is written first, MLflow second: if MLflow is down, the champion serves nevertheless, and the training is
logged later.
"""

from typing import Unpack

from tidemill.metrics.staleness import aged_losses, staleness_curve, suggested_age
from tidemill.mlflow_mirror.mirror import show_training
from tidemill.modeling.bundle import INTERVAL_COVERAGE, Bundle
from tidemill.records import BundleRef, Decision, DeploymentRef, EvaluationReport, SnapshotRef, SplitRef, percent
from tidemill.report.card import CardFacts, model_card
from tidemill.runtime import declarations
from tidemill.runtime.declarations import TrainingRecords
from tidemill.runtime.job import Job
from tidemill.score import read_scorecard
from tidemill.steps.train.successor import enters_shadow, start_in_shadow, tolerated, watch_predecessor
from tidemill.storage.audit_anchor import anchor_audit
from tidemill.storage.bundles import load_bundle
from tidemill.storage.bundles.mlflow_model import requirements
from tidemill.storage.bundles.save import keep_card
from tidemill.versions import code_version, lock_digest
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.releases.registry import NewRelease

__all__ = ["register"]

GATE = "gate"  # approver of automatic promotions


@declarations.register
def register(
    job: Job, *, dry_run: bool = False, reason: str = "", **training: Unpack[TrainingRecords]
) -> DeploymentRef:
    """Release a bundle with its evidence, promote it unless it is refused, and log the training to MLflow.

    The gate and, if the spec requires it, a person can refuse; without an answer the release waits.

    Raises
    ------
    LostRace
        If the champion is no longer the one that the bundle was compared with, or the bundle has been judged again since.
    """
    evaluation, decision, approval = training["evaluation"], training["decision"], training.get("approval")
    release_id = None
    if not dry_run:
        release_id = _release(job, training["snapshot"], training["split"], evaluation, decision)
    waiting = decision.accepted and approval is None and job.spec.accept.approval == "manual"
    agreed = decision.accepted and not waiting and (approval is None or approval.accepted)
    compared = enters_shadow(job, evaluation, decision, agreed=agreed)
    in_shadow = release_id is not None and compared and start_in_shadow(job, release_id, evaluation, decision)
    promoted = (
        release_id is not None
        and agreed
        and not compared
        and _promote(job, release_id, evaluation, decision, approval, reason)
    )
    if release_id is not None:
        anchor_audit(job.workspace, job.spec.model)
    bundle_folder = job.store.path(evaluation.bundle.uri)
    bundle = load_bundle(bundle_folder, evaluation.bundle.digest, job.spec.train.trusted)
    facts = _card_facts(job, training, release_id, bundle)
    if release_id is not None:
        keep_card(job.store, evaluation.bundle.uri, model_card(facts))
    shown = show_training(job, facts, training["profile"])
    return DeploymentRef(
        model=job.spec.model,
        decision=decision,
        release_id=release_id,
        promoted=promoted,
        mlflow_run_id=shown.run_id,
        mlflow_version=shown.version,
        mirror_problem=shown.problem,
        waiting=waiting and release_id is not None,
        approval=approval,
        in_shadow=in_shadow,
    )


def _release(job: Job, snapshot: SnapshotRef, split: SplitRef, evaluation: EvaluationReport, decision: Decision) -> int:
    metric = job.spec.accept.metric
    return job.promoter.register(
        NewRelease(
            model=job.spec.model,
            partition=job.partition.key,
            bundle=evaluation.bundle,
            snapshot_digest=snapshot.digest,
            split_digest=split.digest,
            metric=metric,
            metric_value=next(figure.value for figure in evaluation.metrics if figure.name == metric),
            evidence=evaluation.to_dict(),
            decision=decision,
            learnt_until=split.test_start if evaluation.refit is None else snapshot.cutoff,
            known_until=snapshot.cutoff,
            spec_digest=job.spec.digest,
            code_version=code_version(),
            lock_digest=lock_digest(),
            run_id=job.run_id,
            requested_by=job.origin.person,
        )
    )


def _promote(
    job: Job,
    release_id: int,
    evaluation: EvaluationReport,
    decision: Decision,
    approval: Decision | None,
    reason: str,
) -> bool:
    deciding = evaluation.metrics[0]
    found = f"{deciding.name} {deciding.value:.4f} on {evaluation.n_test:,} test rows"
    if approval is not None:
        found = f"{found}. {approval.reasons[0]}"
    promoted = job.promoter.promote(
        job.spec.model,
        Promotion(
            release_id=release_id,
            expected=evaluation.champion_release,
            live_from=job.partition.cutoff,
            approved_by=_approver(approval),
            reason=f"{reason}: {found}" if reason else found,
            decision_id=decision.decision_id,
        ),
    )
    if promoted:
        watch_predecessor(job.workspace, job.spec, successor=release_id, margin=tolerated(job.spec, evaluation))
    return promoted


def _approver(approval: Decision | None) -> str:
    return GATE if approval is None or not approval.by else approval.by


def _card_facts(job: Job, training: TrainingRecords, release_id: int | None, bundle: Bundle) -> CardFacts:
    spec, evaluation = job.spec, training["evaluation"]
    curve = staleness_curve(aged_losses(job.ledger.metrics(spec.model, "staleness", until=job.partition.key)))
    return CardFacts(
        model=spec.model,
        description=spec.description,
        owner=spec.owner,
        purpose=f"Scores of one {spec.partitions.every.value} at a time, known {spec.partitions.known}.",
        task=spec.task.value,
        release_id=release_id,
        snapshot=training["snapshot"],
        split=training["split"],
        bundle=evaluation.bundle,
        evaluation=evaluation,
        decision=training["decision"],
        approver=_approver(training.get("approval")),
        code_version=code_version(),
        features=bundle.schema.names,
        parameters={
            **_stages(bundle),
            "random_state": str(bundle.random_state),
            "n_threads": str(bundle.n_threads),
            **{name: str(value) for name, value in evaluation.bundle.parameters.items()},
        },
        versions={item.partition("==")[0]: item.partition("==")[2] for item in requirements(bundle)},
        test_score=_test_score(job),
        staleness=curve,
        max_age=suggested_age(curve, spec.accept.margin or 0.0),
        limits=("Labels that never arrive are left out of training and evaluation.", *bundle.remarks),
        reproduce=(_command(spec.model, job.partition.key, evaluation.bundle),),
    )


def _test_score(job: Job) -> dict[str, float]:
    with transaction(job.ledger.url) as cursor:
        return read_scorecard(cursor, job.spec).points


def _command(model: str, partition: str, bundle: BundleRef) -> str:
    trials = "" if bundle.search is None else f" --trials {bundle.search.n_trials}"
    return f"tidemill train {model} --partition {partition}{trials}"


def _stages(bundle: Bundle) -> dict[str, str]:
    """Return how a score becomes an answer, as the card shows it: calibration, threshold, classes, interval."""
    found = {}
    if bundle.calibration is not None:
        found["calibration"] = bundle.calibration.described
    if bundle.threshold is not None:
        found["threshold"] = f"{bundle.threshold:.4f} ({bundle.threshold_criterion})"
    if bundle.task_type.score_per_class:
        found |= {"classes": ", ".join(map(str, bundle.classes)), "answer": bundle.threshold_criterion}
    if bundle.residual_quantiles is not None:
        below, above = bundle.residual_quantiles
        found["interval"] = (
            f"{below:+.4g} to {above:+.4g} around the value, for {percent(INTERVAL_COVERAGE)} of the labels"
        )
    return found
