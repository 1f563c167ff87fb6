"""Validate the model with the acceptance gate, and record its decision."""

from dataclasses import replace

from tidemill.modeling.gate.gate import decide_acceptance
from tidemill.records import Decision, EvaluationReport
from tidemill.runtime import declarations
from tidemill.runtime.job import Job

__all__ = ["validate_model"]


@declarations.validate_model
def validate_model(job: Job, evaluation: EvaluationReport) -> Decision:
    """Return the gate's decision whether the candidate may serve; a refusal is not an error."""
    decision = decide_acceptance(evaluation, job.spec.accept, unit=job.spec.block_unit)
    decision_id = job.ledger.record_decision(
        job.spec.model, job.partition.key, decision, evaluation.to_dict(), job.run_id
    )
    return replace(decision, decision_id=decision_id)
