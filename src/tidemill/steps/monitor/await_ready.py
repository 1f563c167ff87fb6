"""Await ready: whether a partition's data are complete, and what happens at the deadline if they are not.

The step answers and returns at once. Airflow's task waits between two calls, without occupying a process.
"""

from datetime import datetime

from tidemill.delivery.sending import send_waiting
from tidemill.errors import NotReady
from tidemill.intervals import Partition
from tidemill.records import Alert, Examination, Readiness, Severity
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec, Ready, Then
from tidemill.steps.data.extract import query_parameters
from tidemill.steps.findings.alert_updates import update_alerts
from tidemill.warehouse.readiness import ask_ready
from tidemill.workspace import Workspace

__all__ = ["await_ready", "refuse_unready"]

OUTCOMES = {Then.WAIT: "wait", Then.PREDICT: "start", Then.SKIP: "skip"}
AGAIN = "Once they are loaded, run 'tidemill predict {model} --partition {key}'."
DONE = {
    "wait": "The run keeps waiting, and begins once they are loaded.",
    "start": f"The partition is scored as it is. {AGAIN}",
    "skip": f"The run is skipped. {AGAIN}",
}
"""What was done at the deadline, and what remains to be done."""


@declarations.await_ready
def await_ready(job: Job, chain: str, *, tick: datetime | None = None, missing: tuple[str, ...] = ()) -> Readiness:
    """Return whether the run may begin.

    From the deadline on, the alert ``late`` is open until the partition is found ready.

    Parameters
    ----------
    chain : str
        ``train``, ``predict`` or ``monitor``, whose ``ready`` applies.
    tick : datetime, optional
        Instant for which the run was scheduled, or at which it was triggered; the deadline is counted from it.
    missing : tuple of str, default ()
        Assets of ``ready.after`` that have no event of the partition.

    Raises
    ------
    SpecError
        If the query does not return one row with a boolean.
    """
    ready: Ready | None = getattr(job.spec, chain).ready
    reason = "" if ready is None else _why_not(job.workspace, job.spec, job.partition, ready, missing)
    deadline = job.spec.deadline(tick) if chain == "predict" and tick is not None else None
    late = bool(reason) and deadline is not None and job.ledger.now() >= deadline
    outcome = "start" if not reason else OUTCOMES[job.spec.predict.then] if late else "wait"
    found = Readiness(ready=not reason, reason=reason, deadline=deadline, late=late, outcome=outcome)
    if deadline is not None and (late or found.ready):
        _tell(job, found)
    return found


def refuse_unready(workspace: Workspace, spec: ModelSpec, partition: Partition) -> None:
    """Refuse to score a partition whose ready query says no; only Airflow knows assets, so they are not checked.

    Raises
    ------
    NotReady
        If so; the error gives the reason.
    """
    reason = "" if spec.predict.ready is None else _why_not(workspace, spec, partition, spec.predict.ready, ())
    if reason:
        raise NotReady(
            f"Partition {partition.key!r} of {spec.model!r} is not ready: {reason}.",
            "Wait for its data, or pass --force to score what is there.",
        )


def _why_not(
    workspace: Workspace, spec: ModelSpec, partition: Partition, ready: Ready, missing: tuple[str, ...]
) -> str:
    """Return why the data are not ready; empty if they are."""
    if missing:
        return f"no event of partition {partition.key!r} from {', '.join(missing)}"
    if ready.query is None:
        return ""
    url, parameters = (
        workspace.connection(spec.source.connection),
        query_parameters(partition.interval, partition.cutoff),
    )
    return ask_ready(url, workspace.query(ready.query), ready.query, parameters)[1]


def _tell(job: Job, found: Readiness) -> None:
    """Open or resolve the alert ``late``, and send the news; what cannot be sent stays in the outbox."""
    findings = (_late(job, found),) if found.late else ()
    told = update_alerts(job, Examination(partition=job.partition.key, parts=("ready",), findings=findings))
    if told.changes:
        send_waiting(job.workspace, model=job.spec.model)


def _late(job: Job, found: Readiness) -> Alert:
    assert found.deadline is not None  # only a deadline makes a run late
    key = job.partition.key
    minutes = (job.ledger.now() - found.deadline).total_seconds() / 60
    return Alert(
        rule="late",
        severity=Severity.FAIL,
        message=f"The data of partition {key} were not ready by {job.spec.predict.by} ({job.spec.timezone}): {found.reason}. "
        f"{DONE[found.outcome].format(model=job.spec.model, key=key)}",
        value=minutes,
        threshold=0.0,
    )
