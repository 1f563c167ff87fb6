"""Inspect: examine a sealed run as `monitor` would, and withhold it if it differs too much from the model's past.

The rows stay where they are, the pointer does not move, and an alert opens. A person publishes or discards the run, in
Airflow's form or by ``tidemill publish`` and ``tidemill discard``.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from tidemill.intervals import key_order
from tidemill.monitoring.alerts.inspection import compare_with_previous, decide_publication, withholds
from tidemill.monitoring.alerts.rules import raise_alerts
from tidemill.monitoring.freshness import examine_volume
from tidemill.records import Answer, CollectedRef, Decision, MetricValue, PredictionRef, SnapshotRef, Verdict
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.steps.findings.alert_updates import judged, opens_at_once
from tidemill.steps.findings.measured_rows import measure_rows
from tidemill.steps.findings.past_rows import measure_set_aside, newest_published, usual_counts
from tidemill.steps.findings.reference import count_partition, count_scores, has_reference, read_reference
from tidemill.steps.findings.thresholds import thresholds
from tidemill.steps.findings.withheld import close_withheld_alert, open_withheld_alert
from tidemill.steps.predict.look_back import record_revision
from tidemill.steps.predict.resolution import Resolution, resolve_withheld
from tidemill.storage.layout import SAMPLE_ROWS
from tidemill.warehouse.connections import kept_open

__all__ = ["inspect"]


@declarations.inspect
def inspect(
    job: Job, prediction: PredictionRef, snapshot: SnapshotRef, answer: Answer | None = None, dry_run: bool = False
) -> Decision:
    """Return whether a written run may be published; withhold it if not.

    Parameters
    ----------
    answer : Answer, optional
        A person's answer about a run that is withheld already.
    dry_run : bool, default False
        Whether the run is never published, so that nothing needs to be withheld.

    Raises
    ------
    StaleAttempt
        If a newer attempt has claimed the partition.
    """
    decision = job.withholding.known(prediction.prediction_run_id) or _decide(job, prediction, snapshot, dry_run)
    if dry_run:
        return decision
    runs = job.withholding.runs(job.spec.model, job.partition.key)
    waiting = next((run for run in runs if run.prediction_run_id == prediction.prediction_run_id), None)
    if waiting is None:
        close_withheld_alert(job.workspace, job.spec, prediction, job.run_id)
        return _replaced(decision) if (decision.kind, decision.verdict) == ("inspect", Verdict.REJECT) else decision
    if answer is None:
        open_withheld_alert(job, decision.reasons)
        return decision
    return resolve_withheld(job.workspace, job.spec, waiting, _said(job, answer), run_id=job.run_id)


def _decide(job: Job, prediction: PredictionRef, snapshot: SnapshotRef, dry_run: bool) -> Decision:
    """Return the decision about a run that was never withheld; withhold it, unless the run is dry."""
    with kept_open():
        decision, rules = _look(job, prediction, snapshot)
        if not dry_run and (differs := record_revision(job, prediction, snapshot)):
            decision = replace(decision, reasons=(*decision.reasons, differs))
    if decision.verdict is Verdict.REJECT and not dry_run:
        return job.withholding.withhold(prediction, decision, _evidence(job, prediction, rules), job.run_id)
    return decision


def _replaced(decision: Decision) -> Decision:
    """Return the decision about withheld rows that a newer run has replaced."""
    return replace(
        decision, reasons=(*decision.reasons, "Newer rows have replaced these, so no answer changes anything.")
    )


def _look(job: Job, prediction: PredictionRef, snapshot: SnapshotRef) -> tuple[Decision, tuple[str, ...]]:
    """Return the decision about a run, and the rules that withhold it."""
    if job.spec.predict.withhold is None:
        return _accept("Nothing is withheld: predict.withhold is null."), ()
    if not prediction.n_rows:  # predict.on_empty has decided already
        return _accept("The partition is empty."), ()
    past = [item for item in newest_published(job) if key_order(item.partition) < key_order(job.partition.key)]
    collected = _collected(job, prediction, snapshot)
    compared = has_reference(job, collected)
    metrics = _measure(job, collected) if compared else ()
    peers, others = usual_counts(job, past)
    _, volume = examine_volume(prediction.n_rows, peers, others, volume_ratio=job.spec.monitor.volume_ratio)
    metrics = (*metrics, *measure_set_aside(prediction, past))
    found = (*raise_alerts(metrics, thresholds(job)), *(() if volume is None else (volume,)))
    findings = judged(job.spec, tuple(item for item in found if withholds(item)))
    at_once = partial(opens_at_once, job.spec)
    decision = decide_publication(findings, at_once, n_past=len(past))
    if not compared:
        only_rows = f"Release {collected.release_id} has no reference profile, so only the number of rows was compared."
        decision = replace(decision, reasons=(*decision.reasons, only_rows))
    return decision, tuple(item.rule for item in findings if at_once(item))


def _measure(job: Job, collected: CollectedRef) -> tuple[MetricValue, ...]:
    reference = read_reference(job, collected)
    analysis = count_partition(job, collected, reference, SAMPLE_ROWS)
    metrics = measure_rows(job, collected, reference, analysis)
    visible = next(
        (run for run in job.publisher.published(job.spec.model) if run.partition == collected.partition), None
    )
    if visible is None or visible.task != job.spec.task:
        return metrics
    previous = count_scores(job, visible.prediction_run_id, reference[-1])
    same = visible.release_id == collected.release_id
    agreement = compare_with_previous(previous, analysis[-1], same_release=same, psi_threshold=job.spec.monitor.psi)
    return (*metrics, *agreement)


def _collected(job: Job, prediction: PredictionRef, snapshot: SnapshotRef) -> CollectedRef:
    """Return the run as monitoring collects a published one."""
    release = job.releases.release(job.spec.model, prediction.release_id)
    assert release is not None  # a foreign key says so
    return CollectedRef(
        model=job.spec.model,
        partition=job.partition.key,
        prediction_run_id=prediction.prediction_run_id,
        release_id=prediction.release_id,
        snapshot_digest=snapshot.digest,
        snapshot_uri=snapshot.uri,
        evaluation_uri=release.evidence.get("uri", ""),
        matured=(),
        n_rows=prediction.n_rows,
    )


def _evidence(job: Job, prediction: PredictionRef, rules: tuple[str, ...]) -> dict[str, Any]:
    return {
        "prediction_run_id": prediction.prediction_run_id,
        "requested_by": job.origin.person,
        "rules": list(rules),
    }


def _accept(reason: str) -> Decision:
    return Decision(kind="inspect", verdict=Verdict.ACCEPT, reasons=(reason,))


def _said(job: Job, answer: Answer) -> Resolution:
    """Return an answer as a resolution; without a person it is the fallback that the spec declares."""
    withhold = job.spec.predict.withhold
    waited = f" within {withhold.after}" if withhold else ""
    reason = answer.comment if answer.by else f"Nobody decided{waited}; the spec declares publish_marked."
    return Resolution(publish=answer.approved, by=answer.by, reason=reason, marked=not answer.by)
