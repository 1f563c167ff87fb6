"""The task that looks at written rows, and asks a person about those that it withholds."""

from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import Context

from tidemill.errors import ChannelUnavailable
from tidemill.spec import Unanswered, Withhold
from tidemill_airflow.operators.ask import AskOperator
from tidemill_airflow.operators.step import StepOperator

__all__ = ["InspectOperator"]


class InspectOperator(AskOperator):
    """Inspect written rows; ask a person whether withheld ones are published, discarded, or stay as they are.

    Nobody is asked about rows that are not withheld, or about a dry run. Without an answer in time, the rows stay withheld,
    or are published and marked, as the spec declares.

    Parameters
    ----------
    prediction : PredictionRef
        Output of ``predict``.
    snapshot : SnapshotRef
        Output of ``extract``.
    withhold : Withhold, optional
        What the spec declares; None if it withholds nothing.
    """

    step: ClassVar[str] = "inspect"
    template_fields = ("prediction", "snapshot")

    PUBLISH, DISCARD, KEEP = "Publish", "Discard", "Keep withheld"

    def __init__(
        self, *, model: str, prediction: Any, snapshot: Any, withhold: Withhold | None = None, **kwargs: Any
    ) -> None:
        marked = withhold is not None and withhold.then is Unanswered.PUBLISH_MARKED
        super().__init__(
            model=model,
            subject=f"May readers see the new rows of {model}?",
            options=[self.PUBLISH, self.DISCARD, self.KEEP],
            defaults=[self.PUBLISH if marked else self.KEEP],
            response_timeout=timedelta(hours=4) if withhold is None else withhold.after,
            **kwargs,
        )
        self.prediction = prediction
        self.snapshot = snapshot

    def execute(self, context: Context) -> Any:
        """Inspect; report and ask if the rows are withheld."""
        decision = StepOperator.execute(self, context)
        if (decision["kind"], decision["verdict"]) != ("inspect", "reject") or self.is_dry(context):
            return decision
        from tidemill.records import Decision, PredictionRef
        from tidemill.report.approval import publication_request

        self._notify(context)
        form = publication_request(PredictionRef.from_dict(self.prediction), Decision.from_dict(decision))
        return self.ask(context, form, f"See 'tidemill history {self.model}', then 'tidemill publish' or 'discard'.")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Do what the answer says."""
        answer = self.said(context, event, self.PUBLISH)
        self.answer = None if event["chosen_options"] == [self.KEEP] else answer
        return StepOperator.execute(self, context)

    def _notify(self, context: Context) -> None:
        """Send the message about the withheld rows now; one that cannot go out waits in the outbox for the next sender."""
        from tidemill.runtime.run import run_step
        from tidemill_airflow.workspaces import origin_of, workspace_of

        options: Any = {"workspace": workspace_of(context), "origin": origin_of(context)}
        try:
            run_step("predict", "notify", self.model, self.prediction["partition"], {}, **options)
        except ChannelUnavailable as error:
            self.log.warning("%s", error)
