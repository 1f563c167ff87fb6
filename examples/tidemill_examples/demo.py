"""The demo: New York's flights through the whole chain, run by the real scheduler.

It uses only public interfaces, Airflow's API and SQL, and does not repeat what is done already.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidemill.local.airflow_api import AirflowApi, RunState
from tidemill.warehouse.connections import transaction
from tidemill.workspace import connection_from_environment
from tidemill_examples.customers import load_customers
from tidemill_examples.flights import load_flights
from tidemill_examples.orders import load_orders

__all__ = ["load_example", "run_chains"]

MODEL = "flight_delays"
FIRST, LAST = "2013-07-01", "2013-07-07"
ZONE = ZoneInfo("America/New_York")
TIMEOUT_S = 1800  # for one stage; the longest takes two minutes on two cores

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


def load_example(out: Console) -> None:
    """Load the examples' tables unless they are loaded already, with a progress bar for the flights."""
    with _progress(out) as progress:
        bars = {}

        def report(table: str, done: int, total: int) -> None:
            if table not in bars:
                bars[table] = progress.add_task(f"load raw.{table}", total=total)
            progress.update(bars[table], completed=done)

        loaded = load_flights(connection_from_environment("tidemill_owner"), report)
        load_orders(connection_from_environment("tidemill_owner"))
        load_customers(connection_from_environment("tidemill_owner"))
    if not loaded:
        out.print("The flights are already in the warehouse.")


def run_chains(airflow: AirflowApi, out: Console) -> bool:
    """Run the demo's chains on a running Airflow; return whether everything succeeded."""
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
        out.print("Everything is already done: nothing was changed.")
    elif not failed:
        out.print(f"Done in {time.monotonic() - began:.0f} s.")
    return not failed


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
    """Run every stage; return what failed. A failed stage ends the demo."""
    airflow.wait_for_dags([f"{MODEL}_{verb}" for verb in STAGES])
    with _progress(out) as progress:
        for verb, run in STAGES.items():
            failed = run(airflow, progress, f"{MODEL}_{verb}")
            if failed:
                return failed
    return []


def _trigger(airflow: AirflowApi, progress: Progress, dag_id: str) -> list[str]:
    partition = FIRST if dag_id.endswith("_train") else LAST
    airflow.trigger(dag_id, f"demo__{partition}", partition)
    return _follow(airflow, progress, dag_id, [partition])


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


STAGES: Mapping[str, Callable[[AirflowApi, Progress, str], list[str]]] = {
    "train": _trigger,
    "predict": _backfill,
    "test": _backfill,  # the month's run; it trains on a sample in a database of its own
    "reproduce": _backfill,  # the week's run
    "monitor": _backfill,
    "retrain": _trigger,
}
"""The demo's chains in order. What a schedule would have run in that week is run as a backfill of it."""
