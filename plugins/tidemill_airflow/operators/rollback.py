"""The task that goes back to an earlier champion."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from tidemill_airflow.asset_events import AssetChange, Changes, announce
from tidemill_airflow.assets import MODELS, PREDICTIONS
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
        announce(self, context, _changes(self.model, workspace, done))
        return done


def _changes(model: str, workspace: Any, done: dict[str, Any]) -> Changes:
    """Return the champion, if it has changed, and the partitions whose rows were withdrawn."""
    from tidemill.warehouse.predictions.publisher import Publisher
    from tidemill.warehouse.releases.registry import Releases
    from tidemill.workspace import LEDGER

    url = workspace.connection(LEDGER)
    release = Releases(url).release(model, done["release_id"])
    assert release is not None  # it serves
    champion = AssetChange(
        partition=release.partition,
        release=release.release_id,
        rows=release.evidence["n_test"],
        digest=release.bundle_digest,
    )
    again = {*done["restored"], *done["rescored"]}
    published = [
        AssetChange(partition=run.partition, release=run.release_id, rows=run.n_rows, digest=run.checksum)
        for run in Publisher(url).published(model)
        if run.partition in again
    ]
    return {MODELS: [champion] if done["undone"] else [], PREDICTIONS: published}
