"""Mirror: what MLflow is shown of a training. The ledger comes first; nothing here decides or promotes."""

from dataclasses import replace

from tidemill.modeling.bundle import Bundle
from tidemill.records import EvaluationReport, MetricValue, ProfileRef
from tidemill.report.card import CardFacts, card_page, model_card
from tidemill.report.pages import evaluation_page
from tidemill.steps.running import Job
from tidemill.storage.pyfunc_loader import requirements, signature_of
from tidemill.tracking import Tracking, Training
from tidemill.versions import code_version, lock_digest

__all__ = ["show_training"]


def show_training(
    job: Job, facts: CardFacts, profile: ProfileRef, bundle: Bundle, *, promoted: bool
) -> tuple[str | None, str | None]:
    """Log a training, and its release if it is one; give MLflow's run and version, or None where there is none.

    Raises
    ------
    TrackingUnavailable
        If MLflow cannot be reached.
    """
    if not job.workspace.tracking_uri:
        return None, None
    tracking = Tracking(job.workspace.tracking_uri)
    run_id = tracking.log_training(
        job.spec.model, _training(job, facts, profile), job.store.path(facts.bundle.uri), signature_of(bundle),
        requirements(),
    )  # fmt: skip
    if facts.release_id is None:
        return run_id, None
    job.promoter.note_mlflow_run(facts.release_id, run_id)
    version = tracking.mirror_release(job.spec.model, run_id, facts.release_id, facts.bundle.digest, champion=promoted)
    return run_id, version


def _training(job: Job, facts: CardFacts, profile: ProfileRef) -> Training:
    spec, evaluation, decision, card = job.spec, facts.evaluation, facts.decision, model_card(facts)
    pictures = job.store.path(evaluation.uri)
    svgs = [path.read_text(encoding="utf-8") for path in sorted(pictures.glob("*.svg"))]
    return Training(
        key=f"{job.partition.key}:{evaluation.bundle.digest}:{decision.decision_id}",
        name=f"{job.partition.key} {evaluation.estimator}",
        params={
            "estimator": evaluation.estimator,
            "partition": job.partition.key,
            "train.window": spec.train.window,
            "n_train": facts.split.n_train,
            "n_validation": facts.split.n_validation,
            "n_test": facts.split.n_test,
            **facts.parameters,
        },
        metrics=[
            *evaluation.metrics,
            *(replace(item, name=f"{item.name} over {item.slice}", slice=None) for item in _differences(evaluation)),
        ],
        tags={
            "tidemill.verdict": decision.verdict.value,
            "tidemill.release_id": str(facts.release_id or ""),
            "tidemill.bundle_digest": evaluation.bundle.digest,
            "tidemill.snapshot_digest": facts.snapshot.digest,
            "tidemill.spec_digest": spec.digest,
            "tidemill.code_version": code_version(),
            "tidemill.lock_digest": lock_digest(),
        },
        snapshot=facts.snapshot,
        texts={
            "model_card.md": card,
            "model_card.html": card_page(facts),
            "evaluation.html": evaluation_page(facts.snapshot, evaluation, decision, pictures=svgs),
        },
        folders={"evaluation": pictures, "profile": job.store.path(profile.uri)},
        note=card,
    )


def _differences(evaluation: EvaluationReport) -> list[MetricValue]:
    champion = evaluation.champion_difference
    return [*evaluation.baselines, *([] if champion is None else [champion])]
