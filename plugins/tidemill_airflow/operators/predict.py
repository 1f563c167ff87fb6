"""The task of the step ``predict``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["PredictOperator"]


class PredictOperator(StepOperator):
    """Score a snapshot and write the rows, not yet visible.

    Parameters
    ----------
    release : ReleaseRef
        Output of ``resolve_release``.
    snapshot : SnapshotRef
        Output of ``extract``.
    """

    step: ClassVar[str] = "predict"
    template_fields = ("release", "snapshot")

    def __init__(self, *, release: Any, snapshot: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.snapshot = snapshot
