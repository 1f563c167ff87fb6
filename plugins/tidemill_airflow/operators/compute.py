"""The task of the step ``compute``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["ComputeOperator"]


class ComputeOperator(StepOperator):
    """Compare what the partition's steps cost with what they cost before.

    Parameters
    ----------
    collected : CollectedRef
        Output of ``collect``.
    """

    step: ClassVar[str] = "compute"
    template_fields = ("collected",)

    def __init__(self, *, collected: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collected = collected
