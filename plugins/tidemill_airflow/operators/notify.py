"""The task of the step ``notify``."""

from typing import ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["NotifyOperator"]


class NotifyOperator(StepOperator):
    """Tell the model's channels what waits for them; it fails while anything still waits."""

    step: ClassVar[str] = "notify"
