"""Drafts: models without a champion, whose scheduled runs do nothing until the first promotion."""

from typing import TYPE_CHECKING

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from tidemill.spec import ModelSpec

if TYPE_CHECKING:
    from tidemill.workspace import Workspace

__all__ = ["skip_draft"]

BY_ITSELF = ("scheduled", "asset_triggered")
"""Types of runs that neither a person nor another DAG of the model started."""


def skip_draft(context: Context, spec: ModelSpec, workspace: "Workspace") -> None:
    """Skip the task if its run was scheduled and the model is a draft; the log says how to change that.

    The ledger is asked when the run starts, not when the DAG file is parsed, so the first run after the promotion works.

    Raises
    ------
    AirflowSkipException
        If both are true.
    """
    if not spec.draft or context["dag_run"].run_type not in BY_ITSELF:
        return
    from tidemill.warehouse.releases.registry import Releases
    from tidemill.workspace import LEDGER

    if Releases(workspace.connection(LEDGER)).champion(spec.model) is None:
        raise AirflowSkipException(
            f"{spec.model} is a draft: no release has been promoted yet, so its scheduled runs do nothing. "
            f"Trigger {spec.model}_train with a partition, or write 'draft: false' in its spec."
        )
