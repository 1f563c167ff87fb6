"""The task of the step ``score``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["ScoreOperator"]


class ScoreOperator(StepOperator):
    """Score one shard of a snapshot; map over ``shard`` for all.

    Parameters
    ----------
    release : ReleaseRef
        Output of ``resolve_release``.
    snapshot : SnapshotRef
        Output of ``extract``.
    shard : Shard
        One of the output of ``cut``.
    """

    step: ClassVar[str] = "score"
    template_fields = ("release", "snapshot", "shard")

    def __init__(self, *, release: Any, snapshot: Any, shard: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.snapshot = snapshot
        self.shard = shard
