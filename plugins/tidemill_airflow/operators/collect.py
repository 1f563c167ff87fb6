"""The task of the step ``collect``."""

from typing import ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["CollectOperator"]


class CollectOperator(StepOperator):
    """Gather what monitoring needs about a partition."""

    step: ClassVar[str] = "collect"
