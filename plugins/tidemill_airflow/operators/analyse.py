"""The task of the step ``analyse``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["AnalyseOperator"]


class AnalyseOperator(StepOperator):
    """Draw the profile of a training snapshot.

    Parameters
    ----------
    snapshot : SnapshotRef
        Output of ``extract``.
    """

    step: ClassVar[str] = "analyse"
    template_fields = ("snapshot",)

    def __init__(self, *, snapshot: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
