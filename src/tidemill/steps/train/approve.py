"""Approve: a person's word on a model that the gate accepts, recorded with who gave it and when.

Asking is the orchestrator's work; without one, training ends with a release that waits for ``tidemill promote``.
"""

from dataclasses import replace

from tidemill.records import Answer, Decision, EvaluationReport, Verdict
from tidemill.runtime import declarations
from tidemill.runtime.job import Job

__all__ = ["approve"]


@declarations.approve
def approve(
    job: Job, evaluation: EvaluationReport, decision: Decision, answer: Answer | None = None, dry_run: bool = False
) -> Decision:
    """Turn an answer into a decision of kind ``approve``.

    Parameters
    ----------
    job : Job
        Model, partition, workspace.
    evaluation : EvaluationReport
        What was judged.
    decision : Decision
        The gate's.
    answer : Answer, optional
        What a person said; None if nobody was asked.
    dry_run : bool, default False
        True in a run that promotes nothing, so that nobody is asked.
    """
    if answer is None:
        why = "This is a dry run." if dry_run else "The gate has not accepted the model."
        return Decision(kind="approve", verdict=Verdict.REJECT, reasons=(f"{why} Nobody was asked.",))
    judged = _judge(job, answer)
    decision_id = job.ledger.record_decision(
        job.spec.model,
        job.partition.key,
        judged,
        {**answer.to_dict(), "decision_id": decision.decision_id, "bundle_digest": evaluation.bundle.digest},
        job.run_id,
    )
    return replace(judged, decision_id=decision_id)


def _judge(job: Job, answer: Answer) -> Decision:
    """Return what an answer is worth: two pairs of eyes may be asked for, and silence is a no."""
    comment = f": {answer.comment}" if answer.comment else ""
    at = f"{answer.at:%Y-%m-%d %H:%M %Z}"
    if not answer.by:
        waited = job.spec.accept.approval_timeout
        return _decision(False, "", f"Nobody answered within {waited}, by {at}: that is a no.")
    if answer.approved and job.spec.accept.four_eyes and answer.by == job.origin.requested_by:
        return _decision(
            False, answer.by, f"{answer.by} said yes at {at}, but asked for the training too: another person has to."
        )
    word = "Approved" if answer.approved else "Rejected"
    return _decision(answer.approved, answer.by, f"{word} by {answer.by} at {at}{comment}")


def _decision(approved: bool, by: str, reason: str) -> Decision:
    return Decision(kind="approve", verdict=Verdict.ACCEPT if approved else Verdict.REJECT, reasons=(reason,), by=by)
