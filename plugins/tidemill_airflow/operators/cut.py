"""The task that cuts a partition into shards."""

from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.configuration import conf

from tidemill.errors import SettingsError

__all__ = ["CutOperator"]


class CutOperator(BaseOperator):
    """Return the shards of a snapshot, over which the task ``score`` is mapped.

    Parameters
    ----------
    snapshot : SnapshotRef
        Output of ``extract``.
    shard_rows : int
        Maximum rows of a shard.
    """

    template_fields = ("snapshot",)
    ui_color = "#d8e8e4"

    def __init__(self, *, snapshot: Any, shard_rows: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.shard_rows = shard_rows

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the shards' records.

        Raises
        ------
        SettingsError
            If there are more shards than Airflow maps a task over.
        """
        from tidemill.steps.predict.shards import cut

        n_rows, most = self.snapshot["n_rows"], conf.getint("core", "max_map_length", fallback=1024)
        shards = cut(n_rows, self.shard_rows)
        if len(shards) > most:
            raise SettingsError(
                f"{n_rows:,} rows in shards of {self.shard_rows:,} are {len(shards):,} tasks; Airflow maps at most {most:,}.",
                f"Raise 'predict.shard_rows' of the spec to {-(-n_rows // most):,} or more, or [core] max_map_length.",
            )
        return [shard.to_dict() for shard in shards]
