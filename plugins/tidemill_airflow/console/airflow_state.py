"""What Airflow knows that the ledger does not: whether it lives, its DAGs, and runs that failed without a recorded step."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from airflow.api.common.airflow_health import UNHEALTHY, get_airflow_health
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.sdk.timezone import utcnow
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from tidemill.records import AskedRun, ModelState, Severity, UnrecordedFailure
from tidemill.warehouse.overview import Overview
from tidemill_airflow.console.actions import ACTIONS, RUN_PREFIX
from tidemill_airflow.model_dags import PURPOSE

__all__ = ["asked_runs", "observe", "outages", "partition_of", "waiting_approvals"]

RECENT = timedelta(days=7)
"""How long a failed run is shown, as for failed steps."""
N_ASKED = 10  # newest runs opened from the console that are shown
_PARTITION = func.coalesce(
    func.nullif(DagRun.partition_key, ""), func.nullif(DagRun.conf["partition"].as_string(), "")
).label("partition")
"""The partition key of a run, or the one that a person chose in the form."""
WAITING = (TaskInstanceState.AWAITING_INPUT, TaskInstanceState.DEFERRED)
_NAMES = {"scheduler": "scheduler", "triggerer": "triggerer", "dag_processor": "DAG processor"}
_BY_SCHEDULE = ("scheduled__", "asset_triggered__", "retrain__")
"""Prefixes of the ids of runs that the schedule started, as in the ledger's query of failed steps."""


def outages() -> tuple[str, ...]:
    """Return a sentence for each part of Airflow that should run and does not, by Airflow's own heartbeats."""
    health = get_airflow_health()
    return tuple(
        f"Airflow's {name} does not run; {_last_sign(health[part][f'latest_{part}_heartbeat'])}."
        for part, name in _NAMES.items()
        if health[part]["status"] == UNHEALTHY
    )


def _last_sign(heartbeat: str | None) -> str:
    if heartbeat is None:
        return "it has never given a sign of life"
    return f"its last sign of life was on {datetime.fromisoformat(heartbeat):%Y-%m-%d %H:%M:%S %Z}"


def observe(
    session: Session, overview: Overview, states: Sequence[ModelState], stopped: Sequence[str]
) -> tuple[ModelState, ...]:
    """Return the state of models together with what Airflow knows about their DAGs.

    Parameters
    ----------
    session : Session
        Of Airflow's metadata database.
    overview : Overview
        The ledger, which is asked whether it knows the failed runs.
    states : sequence of ModelState
        States according to the ledger.
    stopped : sequence of str
        Parts of Airflow that do not run, from `outages`.
    """
    failed = _failed_runs(session, [state.model for state in states])
    runs = [(model, item.dag_run_id) for model, items in failed.items() for item in items]
    recorded = overview.recorded_failures(runs, utcnow() - 2 * RECENT)
    late = [item.model for item in states if item.timeliness and item.timeliness.severity is Severity.FAIL]
    obstacles = _obstacles(session, late)
    return tuple(
        replace(
            state,
            unrecorded=tuple(item for item in failed[state.model] if (state.model, item.dag_run_id) not in recorded),
            obstacles=(*stopped, *obstacles.get(state.model, ())),
        )
        for state in states
    )


def _obstacles(session: Session, models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return why Airflow starts no scheduled run of late models, if their DAG is missing or paused."""
    dags = {model: f"{model}_predict" for model in models}
    columns = (DagModel.dag_id, DagModel.is_stale, DagModel.is_paused)
    found = {dag.dag_id: dag for dag in session.execute(select(*columns).where(DagModel.dag_id.in_(dags.values())))}
    return {model: _obstacle(dag_id, found.get(dag_id)) for model, dag_id in dags.items()}


def _obstacle(dag_id: str, dag: Any) -> tuple[str, ...]:
    if dag is None or dag.is_stale:
        return (f"Airflow has no DAG {dag_id}: its file is gone, or cannot be imported.",)
    return (f"The DAG {dag_id} is paused.",) if dag.is_paused else ()


def _failed_runs(session: Session, models: Sequence[str]) -> defaultdict[str, list[UnrecordedFailure]]:
    """Return each model's failed runs of the newest week that no later run of the same DAG and partition follows."""
    verbs = [verb for verb in PURPOSE if verb != "act"]  # a failed action changes nothing
    model_of = {f"{model}_{verb}": model for model in models for verb in verbs}
    recent = or_(DagRun.end_date.is_(None), DagRun.end_date > utcnow() - RECENT)  # a backfill's other dates are older
    failing = select(DagRun.dag_id).where(DagRun.dag_id.in_(model_of), DagRun.state == DagRunState.FAILED, recent)
    place = func.row_number().over(partition_by=(DagRun.dag_id, _PARTITION), order_by=DagRun.id.desc()).label("place")
    columns = (DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.end_date, _PARTITION, place)
    ranked = select(*columns).where(DagRun.dag_id.in_(failing), recent).subquery()
    newest = select(ranked).where(
        ranked.c.place == 1, ranked.c.state == DagRunState.FAILED, ranked.c.end_date.is_not(None)
    )
    found = defaultdict[str, list[UnrecordedFailure]](list)
    for run in session.execute(newest.order_by(ranked.c.id.desc())):
        failure = UnrecordedFailure(
            dag_id=run.dag_id,
            dag_run_id=run.run_id,
            partition=run.partition,
            ended_at=run.end_date,
            by_schedule=run.run_id.startswith(_BY_SCHEDULE),
        )
        found[model_of[run.dag_id]].append(failure)
    return found


def asked_runs(session: Session, model: str) -> tuple[AskedRun, ...]:
    """Return the newest runs that people have opened from the console, newest first."""
    columns = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.triggering_user_name, DagRun.conf, DagRun.queued_at)
    runs = session.execute(
        select(*columns)
        .where(DagRun.dag_id.in_([f"{model}_{verb}" for verb in PURPOSE]), DagRun.run_id.startswith(RUN_PREFIX))
        .order_by(DagRun.id.desc())
        .limit(N_ASKED)
    )
    return tuple(
        AskedRun(
            title=_title(run.run_id),
            dag_id=run.dag_id,
            dag_run_id=run.run_id,
            state=str(run.state),
            by=run.triggering_user_name or "",
            reason=str((run.conf or {}).get("reason", "")),
            at=run.queued_at,
        )
        for run in runs
    )


def _title(run_id: str) -> str:
    """Return what a run does, by its id; of an action that this version does not have, its name."""
    name = run_id.removeprefix(RUN_PREFIX).partition("__")[0]
    return ACTIONS[name].title if name in ACTIONS else name


def waiting_approvals(session: Session, model: str) -> tuple[str, ...]:
    """Return the runs of the model's training that wait for a person's answer, oldest first."""
    runs = session.scalars(
        select(TaskInstance.run_id)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.dag_id == f"{model}_train", TaskInstance.task_id == "approve")
        .where(TaskInstance.state.in_(WAITING), HITLDetail.responded_at.is_(None))
        .order_by(HITLDetail.created_at)
    )
    return tuple(runs)


def partition_of(session: Session, dag_id: str, run_id: str) -> str | None:
    """Return the partition that a run is for; None if there is no such run, or it names none."""
    found: str | None = session.scalar(select(_PARTITION).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    return found
