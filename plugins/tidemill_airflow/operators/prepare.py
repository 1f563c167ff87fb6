"""The task of the step ``prepare``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["PrepareOperator"]


class PrepareOperator(StepOperator):
    """Cut a training snapshot by time into train, validation and test.

    Parameters
    ----------
    snapshot : SnapshotRef
        Output of ``extract``.
    """

    step: ClassVar[str] = "prepare"
    template_fields = ("snapshot",)

    def __init__(self, *, snapshot: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
