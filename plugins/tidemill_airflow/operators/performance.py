"""The task of the step ``performance``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["PerformanceOperator"]


class PerformanceOperator(StepOperator):
    """Measure the quality of partitions whose labels have matured.

    Parameters
    ----------
    collected : CollectedRef
        Output of ``collect``.
    """

    step: ClassVar[str] = "performance"
    template_fields = ("collected",)

    def __init__(self, *, collected: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collected = collected
