"""The task of the step ``decide``."""

from typing import ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["DecideOperator"]


class DecideOperator(StepOperator):
    """Decide whether a new challenger is due."""

    step: ClassVar[str] = "decide"
