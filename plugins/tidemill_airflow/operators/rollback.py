"""The tasks that change the champion after its training: a rollback by hand, and the end of a comparison in the shadow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, Context

from tidemill_airflow.asset_events import Changes, announce, changes_in_ledger
from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

if TYPE_CHECKING:
    from tidemill.workspace import Workspace

__all__ = ["RollbackOperator", "SettleOperator"]


class RollbackOperator(BaseOperator):
    """Make an earlier champion the champion again, as the person who triggered the run chose."""

    ui_color = "#f1ddd0"

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> dict[str, Any]:
        """Roll back, and return what was done."""
        from tidemill.operations.rollback import roll_back
        from tidemill.workspace import LEDGER
        from tidemill_airflow.workspaces import workspace_of

        workspace = workspace_of(context)
        params = RunParams.check(context["params"], context["dag"].params)
        bounds = (params.republish_from, params.republish_to)
        done = roll_back(
            workspace.spec(self.model),
            workspace,
            to=params.to,
            republish=(bounds[0], bounds[1]) if bounds[0] and bounds[1] else None,
            approved_by=context["dag_run"].triggering_user_name or "Airflow",
            reason=params.reason or "by hand, without a reason",
        ).to_dict()
        again = (*done["restored"], *done["rescored"])
        url = workspace.connection(LEDGER)
        announce(self, context, changes_in_ledger(url, self.model, champion=bool(done["undone"]), partitions=again))
        return done


class SettleOperator(StepOperator):
    """Decide about the release in the shadow; one that has won is the champion afterwards.

    Parameters
    ----------
    model : str
        Name of the model.
    shadow : ShadowRef
        Output of ``shadow``.
    """

    step: ClassVar[str] = "settle"
    template_fields = ("shadow",)

    def __init__(self, *, model: str, shadow: Any, **kwargs: Any) -> None:
        super().__init__(model=model, **kwargs)
        self.shadow = shadow

    def changes(
        self, workspace: "Workspace", record: Mapping[str, Any], partition: str, inputs: Mapping[str, Any]
    ) -> Changes:
        """Return the champion, if the comparison has changed it, and the partitions whose rows it has taken back."""
        from tidemill.records import Role
        from tidemill.warehouse.predictions.publisher import Publisher
        from tidemill.workspace import LEDGER

        if record["verdict"] != "accept":
            return {}
        url, running = workspace.connection(LEDGER), self.shadow["shadow"]
        returned = running["role"] == Role.PREDECESSOR
        partitions = Publisher(url).taken_back(self.model, running["against"]) if returned else ()
        return changes_in_ledger(url, self.model, champion=True, partitions=partitions)
