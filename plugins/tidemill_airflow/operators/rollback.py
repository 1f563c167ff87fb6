"""The task that goes back to an earlier champion."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from tidemill_airflow.asset_events import announce, changes_by_hand
from tidemill_airflow.params import RunParams

__all__ = ["RollbackOperator"]


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
        announce(self, context, changes_by_hand(url, self.model, champion=bool(done["undone"]), partitions=again))
        return done
