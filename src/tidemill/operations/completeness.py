"""Whether a partition may still get rows, because its end or the cutoff of its features lies ahead."""

from tidemill.spec import ModelSpec
from tidemill.warehouse.connections import fetch_value, transaction
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, Workspace

__all__ = ["incomplete"]


def incomplete(workspace: Workspace, spec: ModelSpec, key: str) -> str | None:
    """Return a sentence if a partition's rows may be incomplete, by the warehouse's clock; otherwise None.

    Raises
    ------
    PartitionError
        If the key is malformed or outside the model's data.
    """
    partition = spec.asked(key)
    if not spec.has_time:  # its rows are those of the moment
        return None
    with transaction(workspace.connection(LEDGER)) as cursor:
        execute(cursor, "now")
        now = fetch_value(cursor)
    ahead = {"ends": partition.interval.end, "has its cutoff": partition.cutoff}
    what, at = max(ahead.items(), key=lambda item: item[1])
    if at <= now:
        return None
    return f"Partition {key} {what} at {at:%Y-%m-%d %H:%M %Z}, which lies ahead: its rows may be incomplete."
