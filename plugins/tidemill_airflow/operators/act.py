"""The task that does what a person asked for."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from tidemill.errors import SettingsError
from tidemill_airflow.asset_events import announce, changes_in_ledger
from tidemill_airflow.console.actions import ACTIONS
from tidemill_airflow.params import RunParams

__all__ = ["ActOperator"]


class ActOperator(BaseOperator):
    """Perform the action of the run's parameters, in the name of the person who triggered the run.

    Parameters
    ----------
    model : str
        Name of the model.
    """

    ui_color = "#f1ddd0"

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> str:
        """Perform the action, and return what was done in one sentence."""
        from tidemill.operations.actions import PERFORM, Asked
        from tidemill.workspace import LEDGER
        from tidemill_airflow.workspaces import workspace_of

        params = RunParams.check(context["params"], context["dag"].params)
        values = _values(params)
        workspace = workspace_of(context)
        by = context["dag_run"].triggering_user_name or "Airflow"
        asked = Asked(workspace=workspace, spec=workspace.spec(self.model), by=by, reason=params.reason)
        assert params.action is not None  # `_values` has looked it up
        done = PERFORM[params.action](asked, **values)
        self.log.info("%s", done)
        published = [values["partition"]] if params.action == "publish" else []
        url = workspace.connection(LEDGER)
        announce(
            self,
            context,
            changes_in_ledger(url, self.model, champion=params.action == "promote", partitions=published),
        )
        return done


def _values(params: RunParams) -> dict[str, Any]:
    """Return the values that the action takes.

    Raises
    ------
    SettingsError
        If there is no action, a value or the reason is missing, or there is one that the action does not take.
    """
    if params.action is None:
        raise SettingsError("The run names no action.", "Choose one in the form, or use the console's buttons.")
    action = ACTIONS[params.action]
    given = {name: value for name, value in params if value not in (None, "", False)}
    missing = [name for name in (*action.needs, "reason") if name not in given]
    excess = [name for name in given if name not in ("action", "reason", "policy", *action.fields)]
    if missing or excess:
        said = [f"needs {', '.join(missing)}"] if missing else []
        said += [f"does not take {', '.join(excess)}"] if excess else []
        raise SettingsError(
            f"The action {params.action!r} {' and '.join(said)}.", "Correct the form, and trigger the DAG again."
        )
    return {name: value for name, value in given.items() if name in action.fields}
