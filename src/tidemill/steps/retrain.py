"""Retrain: whether a new challenger is due, and what came of it. Whether it serves is the gate's decision."""

from dataclasses import asdict, replace

from tidemill.monitoring.retrain_policy import PartitionFigure, RetrainEvidence, RetrainPolicy, decide_retraining
from tidemill.records import Decision, MetricValue
from tidemill.spec.metrics import greater_is_better
from tidemill.steps.running import Job
from tidemill.warehouse.releases import Champion

__all__ = ["decide", "record_outcome"]

RELATIVE = ("mean_absolute_error", "root_mean_squared_error", "median_absolute_error")  # in the label's own unit


def decide(job: Job) -> Decision:
    """Decide, from what the ledger knows, whether to train now; the decision is recorded with its evidence."""
    evidence = _evidence(job)
    decision = decide_retraining(evidence, _policy(job))
    decision_id = job.ledger.record_decision(
        job.spec.model, job.partition.key, decision, _as_json(evidence), job.run_id
    )
    return replace(decision, decision_id=decision_id)


def record_outcome(job: Job, decision: Decision) -> Decision:
    """Write down what came of a decision, and give it with a sentence about that."""
    outcome = "No training was started."
    if decision.accepted:
        gate = job.ledger.decision_after(job.spec.model, "accept", job.partition.key, decision.decision_id or 0)
        if gate is None:
            outcome = "Training was due, but has not come to a verdict."
        else:
            verdict, reasons = gate
            outcome = f"The challenger was trained; the gate said {verdict.replace('_', ' ')}: {reasons[0]}"
    job.ledger.append_audit(
        "retrain_outcome",
        job.spec.model,
        {"partition": job.partition.key, "decision_id": decision.decision_id, "outcome": outcome},
    )
    return replace(decision, reasons=(*decision.reasons, outcome))


def _policy(job: Job) -> RetrainPolicy:
    retrain, metric = job.spec.retrain, job.spec.accept.metric
    n_drifted, n_recent = retrain.persistence.split(" of ")
    return RetrainPolicy(
        cooldown=retrain.cooldown, max_age=retrain.max_age, drift_share=retrain.drift_share, n_drifted=int(n_drifted),
        n_recent=int(n_recent), quality_drop=retrain.quality_drop, label_coverage=job.spec.monitor.label_coverage,
        greater_is_better=greater_is_better(metric), relative=metric in RELATIVE,
    )  # fmt: skip


def _evidence(job: Job) -> RetrainEvidence:
    spec, until = job.spec, job.partition.key
    champion = job.releases.champion(spec.model)
    last = job.ledger.last_training(spec.model)
    return RetrainEvidence(
        as_of=job.partition.cutoff,
        last_training=None if last is None else spec.partition(last).cutoff,
        trained_until=None if champion is None else champion.known_until,
        drift_shares=_figures(job.ledger.metrics(spec.model, "drift", "drift_share", until=until)),
        quality=_figures(job.ledger.metrics(spec.model, "performance", spec.accept.metric, until=until)),
        acceptance=None if champion is None else _at_acceptance(champion),
    )


def _figures(found: dict[str, tuple[MetricValue, ...]]) -> tuple[PartitionFigure, ...]:
    return tuple(
        PartitionFigure(partition=key, value=values[0].value, label_coverage=values[0].label_coverage)
        for key, values in found.items()
    )


def _at_acceptance(champion: Champion) -> MetricValue | None:
    """The metric over single partitions of the test set: one day's figure compares with one day's."""
    metrics = (MetricValue.from_dict(item) for item in champion.evidence["metrics"])
    return next((item for item in metrics if item.name == f"{champion.metric}_of_partitions"), None)


def _as_json(evidence: RetrainEvidence) -> dict[str, object]:
    values = asdict(evidence)
    return {name: value if isinstance(value, dict | None) else str(value) for name, value in values.items()} | {
        "drift_shares": [item.to_dict() for item in evidence.drift_shares],
        "quality": [item.to_dict() for item in evidence.quality],
        "acceptance": None if evidence.acceptance is None else evidence.acceptance.to_dict(),
    }
