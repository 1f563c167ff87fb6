"""The task of the step ``freshness``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["FreshnessOperator"]


class FreshnessOperator(StepOperator):
    """Compare the partition's rows, ages, columns and versions with those of the partitions before.

    Parameters
    ----------
    collected : CollectedRef
        Output of ``collect``.
    """

    step: ClassVar[str] = "freshness"
    template_fields = ("collected",)

    def __init__(self, *, collected: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collected = collected
