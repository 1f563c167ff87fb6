"""The task of the step ``drift``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["DriftOperator"]


class DriftOperator(StepOperator):
    """Compare the partition's rows and scores with the training snapshot's.

    Parameters
    ----------
    collected : CollectedRef
        Output of ``collect``.
    """

    step: ClassVar[str] = "drift"
    template_fields = ("collected",)

    def __init__(self, *, collected: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collected = collected
