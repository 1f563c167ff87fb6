"""The task that asks a person whether an accepted model may serve."""

from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import Context

from tidemill_airflow.operators.ask import AskOperator
from tidemill_airflow.operators.step import StepOperator

__all__ = ["ApproveOperator"]


class ApproveOperator(AskOperator):
    """Ask a person about what the gate accepts, and record the answer; no answer in time counts as a refusal.

    Nobody is asked about what the gate refuses or about a dry run.

    Parameters
    ----------
    evaluation : EvaluationReport
        Output of ``evaluate``.
    decision : Decision
        Output of ``validate_model``.
    timeout : timedelta, default 2 days
        Time for the answer.
    """

    step: ClassVar[str] = "approve"
    template_fields = ("evaluation", "decision")

    YES, NO = "Approve", "Reject"

    def __init__(
        self, *, model: str, evaluation: Any, decision: Any, timeout: timedelta = timedelta(days=2), **kwargs: Any
    ) -> None:
        super().__init__(
            model=model,
            subject=f"May the new model of {model} serve?",
            options=[self.YES, self.NO],
            defaults=[self.NO],
            response_timeout=timeout,
            **kwargs,
        )
        self.evaluation = evaluation
        self.decision = decision

    def execute(self, context: Context) -> Any:
        """Ask and wait, or continue if there is nothing to ask."""
        if self.is_dry(context) or self.decision["verdict"] != "accept":
            return StepOperator.execute(self, context)
        from tidemill.records import Decision, EvaluationReport
        from tidemill.report.approval import approval_request

        form = approval_request(EvaluationReport.from_dict(self.evaluation), Decision.from_dict(self.decision))
        return self.ask(
            context,
            form,
            f"Trigger a new run of {self.dag_id}: its form shows the newest figures. Or look at the newest evaluation"
            " and use 'tidemill promote'.",
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer."""
        self.answer = self.said(context, event, self.YES)
        return StepOperator.execute(self, context)
