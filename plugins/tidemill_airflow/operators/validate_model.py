"""The task of the step ``validate_model``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["ValidateModelOperator"]


class ValidateModelOperator(StepOperator):
    """Let the acceptance gate decide.

    Parameters
    ----------
    evaluation : EvaluationReport
        Output of ``evaluate``.
    """

    step: ClassVar[str] = "validate_model"
    template_fields = ("evaluation",)

    def __init__(self, *, evaluation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluation = evaluation
