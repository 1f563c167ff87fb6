"""The task that asks a person whether an accepted model may serve."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

__all__ = ["ApproveOperator"]

COMMENT = "comment"


def _with_comment(params: ParamsDict | None) -> ParamsDict:
    """Add a comment field beside the two buttons; Airflow leaves the run's own parameters out of that form."""
    form = ParamsDict(params or {})
    form[COMMENT] = Param(
        "", source="task", type="string", maxLength=500, title="Comment", description="Why, for the record."
    )
    return form


class ApproveOperator(StepOperator, HITLOperator):
    """Ask a person about what the gate accepts, and record the answer; no answer in time counts as a refusal.

    Nobody is asked about what the gate refuses or about a dry run. While it waits, the task holds no worker. Airflow keeps
    the first form of a task when the task is cleared: if the figures have changed since, the task fails instead of asking.

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
            params=_with_comment(kwargs.pop("params", None)),
            **kwargs,
        )
        self.evaluation = evaluation
        self.decision = decision
        self.answer: dict[str, Any] | None = None

    def execute(self, context: Context) -> Any:
        """Ask and wait, or go on if there is nothing to ask."""
        params = RunParams.check(self.asked(context), context["dag"].params)
        if self.decision["verdict"] != "accept" or params.dry_run:
            return StepOperator.execute(self, context)
        from tidemill.records import Decision, EvaluationReport
        from tidemill.report.approval import approval_request
        from tidemill.steps.train.approve import refuse_stale_form
        from tidemill_airflow.workspaces import origin_of, workspace_of

        self.body = approval_request(EvaluationReport.from_dict(self.evaluation), Decision.from_dict(self.decision))
        refuse_stale_form(workspace_of(context), self.model, origin_of(context), self.body)
        return HITLOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer."""
        said = HITLOperator.execute_complete(self, context, event)
        by = said["responded_by_user"] or {}
        self.answer = {
            "approved": said["chosen_options"] == [self.YES],
            "by": by.get("name") or by.get("id") or "",
            "at": said["responded_at"].isoformat(),
            "comment": said["params_input"].get(COMMENT) or "",
        }
        return StepOperator.execute(self, context)

    def asked(self, context: Context) -> Mapping[str, Any]:
        """Return the run's parameters without the comment, which belongs to the answer."""
        return {name: context["params"][name] for name in context["params"] if name != COMMENT}

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Return the answer beside the inputs that the person who triggered the run chose."""
        return super().chosen(params) | {"answer": self.answer}
