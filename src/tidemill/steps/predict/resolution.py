"""A decision on a withheld run: a person publishes or discards it, or the fallback that the spec declares does."""

from dataclasses import dataclass

from tidemill.errors import NotApproved, NotPublished
from tidemill.records import Decision, Verdict
from tidemill.spec import ModelSpec
from tidemill.steps.findings.withheld import close_withheld_alert
from tidemill.warehouse.predictions.withholding import WithheldRun, Withholding
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Resolution", "find_withheld", "resolve_withheld"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What is decided about a withheld run."""

    publish: bool
    """Whether it is published; otherwise it is discarded."""
    by: str
    """Person who decides; empty if nobody did in time."""
    reason: str
    """Why, for the record."""
    marked: bool = False
    """Whether the rows are published and marked, because nobody decided."""


def find_withheld(workspace: Workspace, spec: ModelSpec, partition: str) -> WithheldRun:
    """Return the withheld run of a partition.

    Raises
    ------
    NotPublished
        If there is none.
    """
    withholding = Withholding(workspace.connection(LEDGER))
    runs = withholding.runs(spec.model, spec.asked(partition).key)
    if not runs:
        others = ", ".join(run.partition for run in withholding.runs(spec.model)) or "none"
        raise NotPublished(
            f"Partition {partition!r} of {spec.model!r} has no withheld rows; withheld partitions: {others}.",
            f"Predict it: 'tidemill predict {spec.model} --partition {partition}'.",
        )
    return runs[0]


def resolve_withheld(
    workspace: Workspace, spec: ModelSpec, run: WithheldRun, said: Resolution, *, run_id: int | None = None
) -> Decision:
    """Publish or discard a withheld run, close its alert, and return the recorded decision.

    Raises
    ------
    NotApproved
        If the spec requires four eyes, and the person who asked for the run would publish it.
    StaleAttempt
        If a newer attempt has claimed the partition.
    NotPublished
        If somebody else has decided meanwhile.
    """
    if said.publish and spec.accept.four_eyes and said.by and said.by == run.requested_by:
        raise NotApproved(
            f"{said.by} asked for the run of partition {run.partition!r} of {spec.model!r}, and may not publish it too.",
            f"Ask somebody else to: 'tidemill publish {spec.model} {run.partition} --reason …'.",
        )
    word = "Published" if said.publish else "Discarded"
    decision = Decision(
        kind="publish",
        verdict=Verdict.ACCEPT if said.publish else Verdict.REJECT,
        reasons=(f"{word} by {said.by}: {said.reason}" if said.by else said.reason,),
        by=said.by,
    )
    # The alert first: a process killed in between leaves a run that the same command, or the doctor, still finds.
    close_withheld_alert(workspace, spec, run.prediction, run_id or run.run_id)
    return Withholding(workspace.connection(LEDGER)).resolve(
        run.prediction, decision, marked=said.marked, run_id=run_id
    )
