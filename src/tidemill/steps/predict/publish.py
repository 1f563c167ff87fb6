"""Publish: make a written prediction run the visible one of its partition."""

from dataclasses import replace

from tidemill.records import PredictionRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.storage.audit_anchor import anchor_audit

__all__ = ["publish"]


@declarations.publish
def publish(job: Job, prediction: PredictionRef, dry_run: bool = False) -> PredictionRef:
    """Move the partition's pointer to a prediction run, in one short transaction; then anchor the audit's head.

    A withheld run stays invisible.

    Raises
    ------
    StaleAttempt
        If a newer attempt has claimed the partition.
    IncompletePublish
        If the run is not completely written.
    """
    if dry_run:
        return prediction
    published = job.publisher.publish(prediction)
    anchor_audit(job.workspace, job.spec.model)
    return replace(prediction, published=published, withheld=not published)
