"""The task that runs the doctor, and fails if a check fails."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from tidemill.errors import FatalError

__all__ = ["DoctorOperator"]


class DoctorOperator(BaseOperator):
    """Examine ledger, storage, MLflow and machine. If a check fails, the task fails at once, without a retry.

    The task's XCom holds the findings that are not ``ok``. It runs inside Airflow; to notice that Airflow itself is dead,
    run ``tidemill doctor`` from cron or a probe.
    """

    ui_color = "#e8d8d8"

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Write to MLflow what it has missed, then examine, and log every finding."""
        from tidemill.doctor import Health, examine
        from tidemill.mlflow_mirror.alias import follow_all
        from tidemill.mlflow_mirror.mirror import show_all_waiting
        from tidemill_airflow.quiet import without_chatter
        from tidemill_airflow.workspaces import workspace_of

        with without_chatter():
            workspace = workspace_of(context)
            show_all_waiting(workspace)
            follow_all(workspace)
            findings = examine(workspace)
        for item in findings:
            self.log.info("%s %s %s: %s %s", item.severity.value, item.check, item.subject, item.message, item.remedy)
        failed = [
            f"{item.check} of {item.subject}: {item.message}" for item in findings if item.severity is Health.FAIL
        ]
        if failed:
            raise FatalError(
                "\n".join([f"{len(failed)} check(s) failed:", *failed]), "The task's log has the remedy of each."
            )
        return [item.to_dict() for item in findings if item.severity is not Health.OK]
