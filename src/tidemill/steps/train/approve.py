"""Approve: a person's answer about a model that the gate accepts, recorded with name and time.

The orchestrator asks; without one, training ends with a release that waits for ``tidemill promote``.
"""

import hashlib
from dataclasses import replace

from tidemill.errors import NotApproved
from tidemill.records import Answer, Decision, EvaluationReport, Verdict
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.warehouse.ledger import Ledger, Origin
from tidemill.workspace import LEDGER, Workspace

__all__ = ["approve", "refuse_stale_form"]


def refuse_stale_form(workspace: Workspace, model: str, origin: Origin, text: str, instead: str) -> None:
    """Record the text of a task's form, and raise if Airflow would show an older one.

    Airflow keeps the form text of a task's first attempt, even when the task is cleared.

    Parameters
    ----------
    text : str
        The question, and the figures behind it.
    instead : str
        What to do if it would show an older one.

    Raises
    ------
    NotApproved
        If the same task has already asked with another text.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    if Ledger(workspace.connection(LEDGER)).first_question(model, origin, digest) != digest:
        raise NotApproved(
            f"Airflow would show the figures of an earlier attempt of this task, but those of {model!r} have changed since.",
            instead,
        )


@declarations.approve
def approve(
    job: Job, evaluation: EvaluationReport, decision: Decision, answer: Answer | None = None, dry_run: bool = False
) -> Decision:
    """Return an answer as a decision of kind ``approve``.

    Parameters
    ----------
    answer : Answer, optional
        The person's answer; None if no one was asked.
    dry_run : bool, default False
        Whether the run promotes nothing, so that no one is asked.
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
    """Return the verdict of an answer: a second person may be required, and no answer is a refusal."""
    comment = f": {answer.comment}" if answer.comment else ""
    at = f"{answer.at:%Y-%m-%d %H:%M %Z}"
    if not answer.by:
        waited = job.spec.accept.approval_timeout
        return _decision(False, "", f"Nobody answered within {waited}, by {at}: that counts as a refusal.")
    if answer.approved and job.spec.accept.four_eyes and answer.by == job.origin.requested_by:
        return _decision(
            False, answer.by, f"{answer.by} said yes at {at}, but asked for the training too: another person has to."
        )
    word = "Approved" if answer.approved else "Rejected"
    return _decision(answer.approved, answer.by, f"{word} by {answer.by} at {at}{comment}")


def _decision(approved: bool, by: str, reason: str) -> Decision:
    return Decision(kind="approve", verdict=Verdict.ACCEPT if approved else Verdict.REJECT, reasons=(reason,), by=by)
