"""The task of the step ``predict``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["PredictOperator"]


class PredictOperator(StepOperator):
    """Score a snapshot and write the rows, not yet visible; or write what ``score`` has scored of it.

    Parameters
    ----------
    release : ReleaseRef
        Output of ``resolve_release``.
    snapshot : SnapshotRef
        Output of ``extract``.
    scores : sequence of ScoresRef, default ()
        Output of ``score``, where the spec cuts partitions into shards.
    """

    step: ClassVar[str] = "predict"
    template_fields = ("release", "snapshot", "scores")

    def __init__(self, *, release: Any, snapshot: Any, scores: Any = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.snapshot = snapshot
        self.scores = scores
