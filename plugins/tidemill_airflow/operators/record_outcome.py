"""The task of the step ``record_outcome``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["RecordOutcomeOperator"]


class RecordOutcomeOperator(StepOperator):
    """Write down what came of a decision.

    Parameters
    ----------
    decision : Decision
        Output of ``decide``.
    """

    step: ClassVar[str] = "record_outcome"
    template_fields = ("decision",)

    def __init__(self, *, decision: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decision = decision
