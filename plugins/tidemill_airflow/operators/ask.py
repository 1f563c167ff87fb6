"""The base of the tasks that ask a person, in Airflow's *Required Actions*."""

from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

__all__ = ["AskOperator"]

COMMENT = "comment"


class AskOperator(StepOperator, HITLOperator):
    """Run a step that a person's answer may come to; while it waits, the task holds no worker.

    Airflow keeps the first form of a task when the task is cleared, so a task whose form would be outdated fails instead.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(params=_with_comment(kwargs.pop("params", None)), **kwargs)
        self.answer: dict[str, Any] | None = None

    def is_dry(self, context: Context) -> bool:
        """Return whether the run changes nothing, so that nobody needs to be asked."""
        return RunParams.check(self.asked(context), context["dag"].params).dry_run

    def ask(self, context: Context, form: str, instead: str) -> Any:
        """Show a form, and wait.

        Parameters
        ----------
        context : Context
            The task's.
        form : str
            Markdown.
        instead : str
            What to do if Airflow would show an earlier form of this task.
        """
        from tidemill.steps.train.approve import refuse_stale_form
        from tidemill_airflow.workspaces import origin_of, workspace_of

        self.body = form
        refuse_stale_form(workspace_of(context), self.model, origin_of(context), form, instead)
        return HITLOperator.execute(self, context)

    def said(self, context: Context, event: dict[str, Any], yes: str) -> dict[str, Any]:
        """Return the answer; by nobody if the time ran out."""
        found = HITLOperator.execute_complete(self, context, event)
        by = found["responded_by_user"] or {}
        return {
            "approved": found["chosen_options"] == [yes],
            "by": by.get("name") or by.get("id") or "",
            "at": found["responded_at"].isoformat(),
            "comment": found["params_input"].get(COMMENT) or "",
        }

    def asked(self, context: Context) -> Mapping[str, Any]:
        """Return the run's parameters without the comment, which belongs to the answer."""
        return {name: context["params"][name] for name in context["params"] if name != COMMENT}

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Return the answer beside the inputs that the person who triggered the run chose."""
        return super().chosen(params) | {"answer": self.answer}


def _with_comment(params: ParamsDict | None) -> ParamsDict:
    """Add a comment field beside the buttons; Airflow leaves the run's own parameters out of that form."""
    form = ParamsDict(params or {})
    form[COMMENT] = Param(
        "", source="task", type="string", maxLength=500, title="Comment", description="Why, for the record."
    )
    return form
