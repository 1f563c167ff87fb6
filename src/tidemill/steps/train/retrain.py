"""Retrain: whether a new challenger is due, and the outcome. The gate decides whether it serves."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from statistics import fmean
from zoneinfo import ZoneInfo

from tidemill.errors import RetrainingFailed
from tidemill.metrics.definitions import definition_of, greater_is_better
from tidemill.metrics.staleness import aged_losses, loss_per_day
from tidemill.monitoring.retrain_policy import PartitionFigure, RetrainEvidence, RetrainPolicy, decide_retraining
from tidemill.records import Decision, MetricValue, Verdict
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.steps.findings.days import whole_days
from tidemill.warehouse.releases.registry import Release

__all__ = ["decide", "record_outcome"]

NO_VERDICT = "Training was due, but has not come to a verdict."


@declarations.decide
def decide(job: Job) -> Decision:
    """Decide from the ledger whether to train now, and record the decision with its evidence."""
    evidence = _evidence(job)
    decision = decide_retraining(evidence, _policy(job))
    decision_id = job.ledger.record_decision(
        job.spec.model, job.partition.key, decision, _as_json(evidence), job.run_id
    )
    return replace(decision, decision_id=decision_id)


@declarations.record_outcome
def record_outcome(job: Job, decision: Decision, dry_run: bool = False) -> Decision:
    """Record the outcome of a decision, and return the decision with a sentence about it.

    Raises
    ------
    RetrainingFailed
        If a training was due but reached no verdict; that outcome is recorded too.
    """
    outcome = _outcome(job, decision, dry_run=dry_run)
    job.ledger.append_audit(
        "retrain_outcome",
        job.spec.model,
        {"partition": job.partition.key, "decision_id": decision.decision_id, "outcome": outcome or NO_VERDICT},
    )
    if outcome is None:
        raise RetrainingFailed(
            f"{NO_VERDICT} (decision {decision.decision_id} about {job.spec.model!r})",
            "Look at the training's failed task; when it has come to a verdict, run this step again.",
        )
    return replace(decision, reasons=(*decision.reasons, outcome))


def _outcome(job: Job, decision: Decision, *, dry_run: bool) -> str | None:
    """Return the outcome of a decision; None if one is due but missing."""
    if not decision.accepted:
        return "No training was started."
    if dry_run:
        return "Training is due; this was a dry run, so none was started."
    gate = job.ledger.decision_after(job.spec.model, "accept", job.partition.key, decision.decision_id or 0)
    if gate is not None:
        verdict, reasons = gate
        return f"The challenger was trained; the gate said {verdict.replace('_', ' ')}: {reasons[0]}"
    if job.spec.accept.approval == "manual":
        return "Training was started; a person has the last word on what comes of it."
    return None


def _policy(job: Job) -> RetrainPolicy:
    retrain, metric = job.spec.retrain, job.spec.accept.metric
    n_drifted, n_recent = retrain.persistence.split(" of ")
    return RetrainPolicy(
        cooldown=retrain.cooldown,
        max_age=retrain.max_age,
        drift_share=retrain.drift_share,
        n_drifted=int(n_drifted),
        n_recent=int(n_recent),
        quality_drop=retrain.quality_drop,
        label_coverage=job.spec.monitor.label_coverage,
        greater_is_better=greater_is_better(metric),
        relative=definition_of(job.spec.task, metric).in_label_unit,
        budget=retrain.budget,
        cost=retrain.cost,
        worth=retrain.worth,
        min_labels=retrain.min_labels,
    )


def _evidence(job: Job) -> RetrainEvidence:
    spec, metric = job.spec, job.spec.accept.metric
    champion = job.releases.champion(spec.model)
    trainings = job.ledger.trainings(spec.model)
    refused = itertools.takewhile(lambda verdict: verdict != Verdict.ACCEPT, (verdict for _, verdict in trainings))
    served = {
        run.partition
        for run in job.publisher.published(spec.model)
        if champion is not None and run.release_id == champion.release_id
    }

    def figures(part: str, name: str) -> tuple[PartitionFigure, ...]:
        found = job.ledger.metrics(spec.model, part, name, until=job.partition.key)
        return tuple(
            PartitionFigure(partition=key, value=values[0].value, label_coverage=values[0].label_coverage)
            for key, values in found.items()
            if key in served  # figures of an earlier champion do not apply to this one
        )

    def days(part: str, name: str) -> tuple[PartitionFigure, ...]:
        known = {figure.partition: figure for figure in figures(part, name)}
        return tuple(_mean_figure(day, [known[key] for key in hours]) for day, hours in whole_days(spec, known).items())

    zone = ZoneInfo(spec.timezone)  # within one zone Python subtracts wall-clock times, so that days stay days
    return RetrainEvidence(
        as_of=job.partition.cutoff.astimezone(zone),
        trainings=tuple(sorted(spec.partition(key).cutoff.astimezone(zone) for key, _ in trainings)),
        n_refused=sum(1 for _ in refused),
        trained_until=None if champion is None else champion.known_until.astimezone(zone),
        drift_weighted=figures("drift", "drift_weighted"),
        quality=days("performance", metric),
        estimates=days("estimate", f"estimated_{metric}"),
        estimate_errors=days("performance", f"{metric}_estimate_error"),
        acceptance=None if champion is None else _at_acceptance(champion, metric),
        lead=None if champion is None else _lead(champion, metric),
        loss_per_day=loss_per_day(aged_losses(job.ledger.metrics(spec.model, "staleness", until=job.partition.key))),
        n_new_labels=_new_labels(job, max((spec.partition(key).cutoff for key, _ in trainings), default=None)),
    )


def _new_labels(job: Job, trained: datetime | None) -> int:
    """Return how many labels of published partitions have matured since the newest training; 0 before the first."""
    if trained is None or not job.spec.retrain.min_labels:
        return 0
    spec = job.spec
    found = job.ledger.metrics(spec.model, "performance", spec.accept.metric, until=job.partition.key)
    matured = (
        values[0] for key, values in found.items() if spec.partition(key).due(spec.label.matures_after) > trained
    )
    return sum(figure.n or 0 for figure in matured if figure.slice is None)


def _mean_figure(day: str, hours: Sequence[PartitionFigure]) -> PartitionFigure:
    """Return the mean of a day's figures; one that is not defined is left out."""
    values = [hour.value for hour in hours if math.isfinite(hour.value)]
    covered = [hour.label_coverage for hour in hours if hour.label_coverage is not None]
    return PartitionFigure(
        partition=day,
        value=fmean(values) if values else math.nan,
        label_coverage=fmean(covered) if covered else None,
    )


def _at_acceptance(champion: Release, metric: str) -> MetricValue | None:
    """Return the metric of single test partitions, so that one day is compared with one day.

    None if the champion was accepted by another metric than the spec's current one.
    """
    metrics = (MetricValue.from_dict(item) for item in champion.evidence["metrics"])
    return next((item for item in metrics if item.name == f"{metric}_of_partitions"), None)


def _lead(champion: Release, metric: str) -> float | None:
    """Return a champion's lead over the baseline ``prior``; None if its metric was a different one."""
    baselines = (MetricValue.from_dict(item) for item in champion.evidence["baselines"])
    found = next((item.value for item in baselines if (item.name, item.slice) == (metric, "prior")), None)
    return None if found is None else found if greater_is_better(metric) else -found


def _as_json(evidence: RetrainEvidence) -> dict[str, object]:
    values = asdict(evidence)
    return {name: value if isinstance(value, dict | None) else str(value) for name, value in values.items()} | {
        "drift_weighted": [item.to_dict() for item in evidence.drift_weighted],
        "quality": [item.to_dict() for item in evidence.quality],
        "estimates": [item.to_dict() for item in evidence.estimates],
        "estimate_errors": [item.to_dict() for item in evidence.estimate_errors],
        "acceptance": None if evidence.acceptance is None else evidence.acceptance.to_dict(),
        "loss_per_day": None if evidence.loss_per_day is None else evidence.loss_per_day.to_dict(),
    }
