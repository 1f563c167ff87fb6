"""The task that removes runs and folders beyond the models' retention."""

from collections import Counter
from typing import Any

from airflow.sdk import BaseOperator, Context

from tidemill_airflow.params import RunParams

__all__ = ["CollectGarbageOperator"]


class CollectGarbageOperator(BaseOperator):
    """Remove prediction runs and folders of all models that nothing needs; each removal is in the audit.

    The task's XCom counts them by outcome; the log and ``tidemill.collected`` list each with its reason.
    """

    ui_color = "#e8e4d8"

    def execute(self, context: Context) -> dict[str, Any]:
        """Remove them, or only list them in a dry run."""
        from tidemill.retention import collect_garbage
        from tidemill_airflow.workspaces import workspace_of

        params = RunParams.check(context["params"], context["dag"].params)
        removals = collect_garbage(workspace_of(context), dry_run=params.dry_run)
        for item in removals:
            self.log.info(
                "%s: %s %s of %s, %s bytes: %s",
                item.outcome,
                item.kind,
                item.name,
                item.model,
                item.size_bytes,
                item.reason,
            )
        counts = Counter(item.outcome for item in removals)
        return {
            **counts,
            "size_bytes": sum(item.size_bytes for item in removals if item.outcome in ("due", "collected")),
        }
