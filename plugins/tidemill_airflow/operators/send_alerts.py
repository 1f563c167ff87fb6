"""The task that sends the waiting messages of all models."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from tidemill_airflow.params import RunParams

__all__ = ["SendAlertsOperator"]


class SendAlertsOperator(BaseOperator):
    """Send every message about alerts that is due; a message that a channel refuses keeps waiting.

    The task's XCom has the number sent, and the problem of each channel. A dry run sends nothing.
    """

    ui_color = "#e8d8d8"

    def execute(self, context: Context) -> dict[str, Any]:
        """Send, or in a dry run only count."""
        from tidemill.delivery.sending import send_waiting
        from tidemill.warehouse.alerts.outbox import Outbox
        from tidemill.workspace import LEDGER
        from tidemill_airflow.workspaces import workspace_of

        params = RunParams.check(context["params"], context["dag"].params)
        workspace = workspace_of(context)
        if params.dry_run:
            return {"n_sent": 0, "n_waiting": Outbox(workspace.connection(LEDGER)).n_waiting()}
        sent = send_waiting(workspace)
        for problem in sent.problems:
            self.log.warning("%s", problem)
        return sent.to_dict()
