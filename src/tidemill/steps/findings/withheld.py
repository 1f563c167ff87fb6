"""The alert about a withheld run: it opens with the run, and ends when somebody has decided."""

from collections.abc import Callable, Sequence
from functools import partial

from tidemill.monitoring.alerts.inspection import withheld_alert
from tidemill.records import AlertChange, AlertEvent, OpenAlert, PredictionRef
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.findings.alert_updates import judged, owner_of
from tidemill.warehouse.alerts.state import Alerts
from tidemill.warehouse.ledger import Ledger
from tidemill.warehouse.predictions.withholding import Withholding
from tidemill.workspace import LEDGER, Workspace

__all__ = ["close_withheld_alert", "open_withheld_alert"]


def open_withheld_alert(job: Job, reasons: Sequence[str]) -> None:
    """Open or update the alert about the partition's withheld run."""
    spec, key = job.spec, job.partition.key
    (alert,) = judged(spec, (withheld_alert(spec.model, key, reasons),))

    def decide(opened: Sequence[OpenAlert]) -> tuple[AlertChange, ...]:
        known = next((item.alert_id for item in opened if item.alert.rule == alert.rule), None)
        event = AlertEvent.OPENED if known is None else AlertEvent.UPDATED
        owner = owner_of(spec, alert.family)
        return (
            AlertChange(event=event, alert=alert, owner=owner, first_partition=key, last_partition=key, alert_id=known),
        )

    _change(job.workspace, spec, key, job.run_id, decide)


def close_withheld_alert(workspace: Workspace, spec: ModelSpec, prediction: PredictionRef, run_id: int) -> None:
    """Resolve the alert about a partition's withheld run, if it is open; not while a newer run than this one is withheld."""
    withheld = Withholding(workspace.connection(LEDGER)).runs(spec.model, prediction.partition)
    if any(run.token > prediction.token for run in withheld):
        return
    partition, rule = prediction.partition, f"withheld:{prediction.partition}"
    if any(item.alert.rule == rule for item in Alerts(workspace.connection(LEDGER)).open(spec.model)):
        _change(workspace, spec, partition, run_id, partial(_resolved, rule))


def _resolved(rule: str, opened: Sequence[OpenAlert]) -> tuple[AlertChange, ...]:
    return tuple(
        AlertChange(
            event=AlertEvent.RESOLVED,
            alert=item.alert,
            owner=item.owner,
            first_partition=item.first_partition,
            last_partition=item.last_partition,
            alert_id=item.alert_id,
        )
        for item in opened
        if item.alert.rule == rule
    )


def _change(
    workspace: Workspace,
    spec: ModelSpec,
    partition: str,
    run_id: int,
    decide: Callable[[Sequence[OpenAlert]], tuple[AlertChange, ...]],
) -> None:
    url = workspace.connection(LEDGER)
    Alerts(url).change(
        spec.model,
        partition,
        decide,
        channels=[(item.channel, item.severity) for item in spec.alerts],
        run_id=run_id,
        now=Ledger(url).now(),
    )
