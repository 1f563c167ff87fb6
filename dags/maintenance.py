"""Maintenance: remove data beyond retention, send waiting alerts, run the doctor. One DAG for all models."""

from datetime import UTC, datetime

from airflow.sdk import DAG, CronTriggerTimetable

from tidemill_airflow.operators import CollectGarbageOperator, DoctorOperator, SendAlertsOperator
from tidemill_airflow.params import trigger_form
from tidemill_airflow.resources import queue_of, task_arguments
from tidemill_airflow.retry import DEFAULT_ARGS

PAGE = """### Maintenance

Removes rows and files that the `retention` of each model's spec no longer keeps, then examines ledger, storage, MLflow
and the machine. Published rows, the champion and its predecessor are never removed. Alert messages that wait
for a dead channel are retried. A dry run only lists.

| | |
|---|---|
| runs | every day at 03:00 UTC |
| read the result | `SELECT * FROM tidemill.collected ORDER BY collected_at DESC`, and the log of `doctor` |
| the same from a shell | `tidemill gc --dry-run`, `tidemill doctor` |
"""

with DAG(
    dag_id="tidemill_maintenance",
    description="Removes data beyond retention, sends waiting alerts, and checks the installation.",
    doc_md=PAGE,
    tags=["tidemill", "maintenance"],
    schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=trigger_form("dry_run"),
    default_args=DEFAULT_ARGS | {"owner": "tidemill"} | task_arguments("default"),
):
    # Both need the promoter: one ends sessions of its lost steps, the other uploads what `register` could not send to MLflow.
    collect_garbage = CollectGarbageOperator(task_id="collect_garbage", queue=queue_of("register"))
    doctor = DoctorOperator(task_id="doctor", queue=queue_of("register"), trigger_rule="all_done")
    collect_garbage >> doctor
    SendAlertsOperator(task_id="send_alerts")
