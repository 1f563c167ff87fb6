"""Dismiss failures: a person removes them from the open ones, and the audit records who and why."""

from tidemill.errors import FatalError
from tidemill.records import FailedStep
from tidemill.warehouse.ledger import Ledger
from tidemill.warehouse.overview import Overview
from tidemill.workspace import LEDGER, Workspace

__all__ = ["dismiss_failures"]


def dismiss_failures(
    workspace: Workspace, model: str, partition: str, *, dismissed_by: str, reason: str
) -> tuple[FailedStep, ...]:
    """Dismiss the open failures of a partition, and return them; a later failure is shown again.

    Parameters
    ----------
    dismissed_by, reason : str
        Name of the person and the reason; both are recorded in the audit.

    Raises
    ------
    FatalError
        If the partition has no open failure, or the reason is empty.
    """
    url = workspace.connection(LEDGER)
    if not reason.strip():
        raise FatalError("A dismissal needs a reason.", "Pass --reason 'why nobody has to act'.")
    found = tuple(item for item in Overview(url).failures(model) if item.partition == partition)
    if not found:
        raise FatalError(
            f"Partition {partition!r} of {model!r} has no open failure.",
            "The model's page lists the open ones.",
        )
    for item in found:
        step = {"run_id": item.run_id, "chain": item.chain, "step": item.step, "partition": item.partition}
        Ledger(url).append_audit("dismiss", model, step | {"by": dismissed_by, "reason": reason})
    return found
