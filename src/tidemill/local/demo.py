"""The demo: New York's flights through the whole chain, by the real scheduler.

Everything goes through the doors that people use: the stack's ``up``, Airflow's API, and SQL. What has
been done already is not done again.
"""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidemill.local import stack
from tidemill.local.airflow_api import AirflowApi, RunState
from tidemill.local.flights import load_flights
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.migrations import apply_migrations
from tidemill.workspace import connection_from_environment, read_environment_file

__all__ = ["load_example", "run_chains", "run_demo", "start", "tell_where"]

MODEL = "flight_delays"
FIRST, LAST = "2013-07-01", "2013-07-07"
ZONE = ZoneInfo("America/New_York")
TIMEOUT_S = 1800  # for one stage; on two cores the longest takes two minutes

_TABLE = """
    SELECT p.partition, r.n_rows AS rows, r.release_id AS release, round(r.mean_score::numeric, 4) AS mean_score,
           (SELECT round(m.value::numeric, 3) FROM tidemill.metric m
            WHERE m.model = p.model AND m.partition = p.partition AND m.name = 'roc_auc' AND m.slice IS NULL
            ORDER BY m.run_id DESC LIMIT 1) AS realised_auc
    FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id)
    WHERE p.model = 'flight_delays' ORDER BY p.partition"""
_DECISION = """
    SELECT partition, kind, verdict, reasons FROM tidemill.decision
    WHERE model = 'flight_delays' ORDER BY decision_id"""


def start(home: Path, project: Path, out: Console) -> stack.Summary:
    """Start the stack with the ledger's schema in place."""
    summary = stack.up(home, project, out.print, migrate=lambda url: out.print(_migrated(apply_migrations(url))))
    read_environment_file(home / "environment")
    return summary


def tell_where(out: Console, summary: stack.Summary, home: Path) -> None:
    """Print addresses and the login; the one place where the password is shown."""
    user, password = stack.login(home)
    for line in (
        f"Airflow   {summary.ui_url}   login: {user}   password: {password}",
        f"MLflow    {summary.mlflow_url}",
        "Postgres  make sql Q='SELECT …'",
    ):
        out.print(line, soft_wrap=True, highlight=False)


def load_example(out: Console) -> None:
    """Load the flights, with a progress bar; what is loaded already is left as it is."""
    with _progress(out) as progress:
        bars = {}

        def report(table: str, done: int, total: int) -> None:
            if table not in bars:
                bars[table] = progress.add_task(f"load raw.{table}", total=total)
            progress.update(bars[table], completed=done)

        loaded = load_flights(connection_from_environment("tidemill_owner"), report)
    if not loaded:
        out.print("The flights are in the warehouse already.")


def run_demo(home: Path, project: Path, out: Console) -> bool:
    """Start the local stack and run the demo on it; give True if everything succeeded."""
    summary = start(home, project, out)
    load_example(out)
    succeeded = run_chains(AirflowApi(summary.ui_url, *stack.login(home)), out)
    tell_where(out, summary, home)
    return succeeded


def run_chains(airflow: AirflowApi, out: Console) -> bool:
    """Run the demo's chains on an Airflow that is there; give True if everything succeeded."""
    began = time.monotonic()
    done = _is_done()
    failed = [] if done else _run_stages(airflow, out)
    _show_results(out)
    out.print(
        f"Ask: make sql Q=\"SELECT * FROM predictions.{MODEL} WHERE partition = '{FIRST}' LIMIT 5\"",
        highlight=False,
        soft_wrap=True,
    )
    for line in failed:
        out.print("failed", line, style="red", soft_wrap=True)
    if done:
        out.print("Everything was there already: nothing was changed.")
    elif not failed:
        out.print(f"Done in {time.monotonic() - began:.0f} s.")
    return not failed


def _migrated(applied: tuple[str, ...]) -> str:
    return f"The ledger's schema: {', '.join(applied)}." if applied else "The ledger's schema is up to date."


def _ask(query: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    with transaction(connection_from_environment("warehouse")) as cursor:
        cursor.execute(query)
        return tuple(column.name for column in cursor.description or ()), cursor.fetchall()


def _is_done() -> bool:
    query = (
        "SELECT (SELECT count(*) FROM tidemill.published WHERE model = 'flight_delays' AND partition BETWEEN "
        f"'{FIRST}' AND '{LAST}') = 7 AND EXISTS (SELECT FROM tidemill.decision WHERE model = 'flight_delays' "
        f"AND kind = 'retrain' AND partition = '{LAST}') AND (SELECT count(DISTINCT partition) FROM tidemill.run "
        f"WHERE model = 'flight_delays' AND step = 'report' AND status = 'succeeded' "
        f"AND partition BETWEEN '{FIRST}' AND '{LAST}') = 7"
    )
    return bool(_ask(query)[1][0][0])


def _run_stages(airflow: AirflowApi, out: Console) -> list[str]:
    """Train, predict, monitor, decide; give what failed. A stage that fails ends the demo."""
    airflow.wait_for_dags([f"{MODEL}_{verb}" for verb in ("train", "predict", "monitor", "retrain")])
    with _progress(out) as progress:
        for stage in (_train, _predict, _monitor, _retrain):
            failed = stage(airflow, progress)
            if failed:
                return failed
    return []


def _train(airflow: AirflowApi, progress: Progress) -> list[str]:
    airflow.trigger(f"{MODEL}_train", f"demo__{FIRST}", FIRST)
    return _follow(airflow, progress, f"{MODEL}_train", [FIRST])


def _predict(airflow: AirflowApi, progress: Progress) -> list[str]:
    return _backfill(airflow, progress, f"{MODEL}_predict")


def _monitor(airflow: AirflowApi, progress: Progress) -> list[str]:
    return _backfill(airflow, progress, f"{MODEL}_monitor")


def _retrain(airflow: AirflowApi, progress: Progress) -> list[str]:
    airflow.trigger(f"{MODEL}_retrain", f"demo__{LAST}", LAST)
    return _follow(airflow, progress, f"{MODEL}_retrain", [LAST])


def _backfill(airflow: AirflowApi, progress: Progress, dag_id: str) -> list[str]:
    first, last = (datetime.fromisoformat(key).replace(tzinfo=ZONE) for key in (FIRST, LAST))
    keys = airflow.backfill(dag_id, first, last + timedelta(hours=23), max_active_runs=3)
    return _follow(airflow, progress, dag_id, keys)


def _follow(airflow: AirflowApi, progress: Progress, dag_id: str, partitions: list[str]) -> list[str]:
    bar = progress.add_task(dag_id, total=len(partitions))

    def on_change(runs: list[RunState]) -> None:
        progress.update(bar, completed=sum(run.state in ("success", "failed") for run in runs))

    ended = airflow.wait(dag_id, partitions, on_change, TIMEOUT_S)
    failed = [run for run in ended if run.state == "failed"]
    return [f"{run.dag_id} {run.partition_key}: {task}" for run in failed for task in airflow.failures(run)]


def _show_results(out: Console) -> None:
    columns, rows = _ask(_TABLE)
    table = Table(*columns, title=f"Published partitions of {MODEL}")
    for row in rows:
        table.add_row(
            *(
                "not matured yet" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
                for value in row
            )
        )
    out.print(table)
    for partition, kind, verdict, reasons in _ask(_DECISION)[1]:
        out.print(f"{kind} as of {partition}: {verdict.replace('_', ' ')}", style="bold", highlight=False)
        for reason in reasons:
            out.print(f"  {reason}", highlight=False, soft_wrap=True)


def _progress(out: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
    )
