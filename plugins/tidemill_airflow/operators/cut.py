"""The task that cuts a partition into shards."""

from typing import Any

from airflow.sdk import BaseOperator, Context

__all__ = ["CutOperator"]


class CutOperator(BaseOperator):
    """Give the shards of a snapshot, for the task ``score`` to be mapped over.

    Parameters
    ----------
    snapshot : SnapshotRef
        Output of ``extract``.
    shard_rows : int
        Most rows of a shard.
    """

    template_fields = ("snapshot",)
    ui_color = "#d8e8e4"

    def __init__(self, *, snapshot: Any, shard_rows: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.shard_rows = shard_rows

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Cut, and return the shards' records."""
        from tidemill.steps.shards import cut

        return [shard.to_dict() for shard in cut(self.snapshot["n_rows"], self.shard_rows)]
