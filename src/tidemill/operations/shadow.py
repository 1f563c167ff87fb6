"""Settle: promote, drop or keep on comparing the release in the shadow; roll back where the former champion has won.

The decision is recorded before anything changes, so that the next monitoring finishes what a killed process has begun. This
step is among the operations because a rollback is one.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import mean

from tidemill.faults import fault_point
from tidemill.intervals import day_of
from tidemill.mlflow_mirror.alias import follow, note_promotion
from tidemill.modeling.gate.shadow import decide_shadow
from tidemill.operations.rollback import roll_back
from tidemill.records import Decision, Role, Shadow, ShadowRef, Verdict
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.steps.monitor.shadow import compared
from tidemill.steps.train.successor import watch_predecessor
from tidemill.storage.audit_anchor import anchor_audit
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.releases.shadows import Shadows
from tidemill.workspace import PROMOTER

__all__ = ["by_block", "settle"]

SHADOW = "shadow"  # approver of promotions and rollbacks by what was measured in the shadow


@declarations.settle
def settle(job: Job, shadow: ShadowRef) -> Decision:
    """Record the decision about the release in the shadow once there is one, and act on it."""
    running = shadow.shadow
    if running is None:
        return _waits("Nothing scores in the shadow.")
    recorded = job.shadows.verdict(job.spec.model, running)
    problem = _void(job, running, decided=recorded is not None and recorded.accepted)
    if problem:
        _end(job, running, "void")
        return _waits(problem)
    decision = _decided(job, running) if recorded is None else recorded
    if decision.verdict is Verdict.NOT_ENOUGH_EVIDENCE:
        return decision
    fault_point("settle-decided")
    if decision.accepted:
        _replace_champion(job, running, decision)
    _end(job, running, "won" if decision.accepted else "lost")
    return decision


def _waits(reason: str) -> Decision:
    return Decision(kind="shadow", verdict=Verdict.NOT_ENOUGH_EVIDENCE, reasons=(reason,))


def _void(job: Job, running: Shadow, *, decided: bool) -> str | None:
    """Return why the comparison no longer counts, or None."""
    champion = job.releases.champion(job.spec.model)
    serving = None if champion is None else champion.release_id
    if serving != running.against and not (decided and serving == running.release_id):
        return f"Release {serving} has become the champion, so the comparison with release {running.against} is void."
    release = job.releases.release(job.spec.model, running.release_id)
    if running.role is Role.CHALLENGER and release is not None and release.decision_id != running.decision_id:
        return f"Release {running.release_id} has been judged again, so its comparison in the shadow is void."
    return None


def _decided(job: Job, running: Shadow) -> Decision:
    """Decide, and record a decision that ends the comparison."""
    gains, over = compared(job, running), _is_over(job, running)
    unit = job.spec.partitions.every.block_unit
    decision = decide_shadow(running, by_block(gains, over=over), over=over, unit=unit)
    if decision.verdict is Verdict.NOT_ENOUGH_EVIDENCE:
        return decision
    evidence = {"shadow": running.to_dict(), "gains": gains}
    decision_id = job.ledger.record_decision(job.spec.model, job.partition.key, decision, evidence, job.run_id)
    return replace(decision, decision_id=decision_id)


def by_block(gains: Mapping[str, float], *, over: bool) -> list[float]:
    """Return the mean gain of each block of time, oldest first; hours are of one day, and the newest day may be incomplete.

    Examples
    --------
    >>> by_block({"2013-07-01T00+0000": 0.1, "2013-07-01T01+0000": 0.3, "2013-07-02T00+0000": 0.5}, over=False)
    [0.2]
    >>> by_block({"2013-07-01": 0.1, "2013-07-02": 0.3}, over=False)
    [0.1, 0.3]
    """
    blocks: dict[str, list[float]] = {}
    for key, gain in gains.items():
        blocks.setdefault(day_of(key), []).append(gain)
    hourly = any(key != day_of(key) for key in gains)
    return [mean(found) for found in blocks.values()][: -1 if hourly and not over else None]


def _is_over(job: Job, running: Shadow) -> bool:
    """Whether the labels of every partition that the release scores were due."""
    length = job.partition.interval.end - job.partition.interval.start
    return job.partition.cutoff >= job.partition.shift(running.end, length + job.spec.label.matures_after)


def _replace_champion(job: Job, running: Shadow, decision: Decision) -> None:
    reason = decision.reasons[0]
    if running.role is Role.PREDECESSOR:
        republish = _published_by_successor(job, running) if job.spec.accept.republish else None
        roll_back(
            job.spec, job.workspace, to=running.release_id, republish=republish, approved_by=SHADOW, reason=reason
        )
        fault_point("settle-rolled-back")
        return
    following = job.spec.partitions.every.move(job.partition, 1, job.spec.partitions.cutoff)
    wanted = Promotion(
        release_id=running.release_id,
        expected=running.against,
        live_from=following.cutoff,  # this partition is published already
        approved_by=SHADOW,
        reason=reason,
        decision_id=running.decision_id,
    )
    job.promoter.promote(job.spec.model, wanted)
    watch_predecessor(job.workspace, job.spec, successor=running.release_id, margin=running.margin)
    note_promotion(job.workspace, job.spec.model)
    anchor_audit(job.workspace, job.spec.model)
    follow(job.workspace, job.spec.model)


def _published_by_successor(job: Job, running: Shadow) -> tuple[str, str] | None:
    keys = [run.partition for run in job.publisher.published(job.spec.model) if run.release_id == running.against]
    return (keys[0], keys[-1]) if keys else None  # in order of time


def _end(job: Job, running: Shadow, state: str) -> None:
    Shadows(job.workspace.connection(PROMOTER)).end(running, state)
