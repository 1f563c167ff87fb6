"""How long a reader of one partition waits when a model has thousands of runs: ``make bench-planning``.

Makes the runs, a hundred rows each, and prints what Postgres needs to plan and to run the analyst's queries, and how
many locks they take.
"""

import argparse
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import psycopg2

from ..chaos.server import Server

FIRST, N_ROWS, N_TIMES = date(2016, 1, 1), 100, 5

LEDGER = f"""
INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest, uri, n_rows,
    size_bytes) VALUES (repeat('0', 64), 'bench', 'score', '-', '2016-01-01Z', '2016-01-02Z', '2016-01-01Z', '', '',
    {N_ROWS}, 0);
INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence)
    VALUES ('bench', '-', 'accept', 'accept', '{{}}', '{{}}');
INSERT INTO tidemill.registration (model, bundle_digest, bundle_uri, partition, estimator)
    VALUES ('bench', repeat('0', 64), '', '-', 'prior');
INSERT INTO tidemill.judgement (release_id, decision_id, model, snapshot_digest, split_digest, metric, metric_value,
    evidence, learnt_until, known_until, spec_digest, code_version, lock_digest)
    VALUES (1, 1, 'bench', repeat('0', 64), '', 'roc_auc', 1, '{{}}', '2016-01-01Z', '2016-01-01Z', '', '', '');
SELECT tidemill.declare_model('bench', 'row_id', 'at')
"""


def fill(server: Server, n_days: int, n_runs: int) -> None:
    """Publish each day that many times; the last run is the visible one."""
    connection = psycopg2.connect(server.url("tidemill_owner"))
    cursor = connection.cursor()
    cursor.execute(LEDGER)
    for number in range(n_days):
        day = f"{FIRST + timedelta(number)}"
        for token in range(n_runs):
            cursor.execute(
                "SELECT tidemill.open_prediction_run('bench', %s, 1, repeat('0', 64), %s, 0.5, false, NULL)",
                (day, token),
            )
            ((run,),) = cursor.fetchall()
            cursor.execute(
                f"INSERT INTO tidemill.prediction_run_{run} (entity_key, event_time, score)"
                f" SELECT n, '{day}Z', 0.5 FROM generate_series(1, {N_ROWS}) n"
            )
            cursor.execute("SELECT tidemill.seal_prediction_run(%s)", (run,))
        cursor.execute("INSERT INTO tidemill.published VALUES ('bench', %s, %s)", (day, run))
        connection.commit()
    connection.close()
    server.as_admin("ANALYZE")


def measure(server: Server, query: str) -> tuple[float, float, float, int]:
    """Return the median milliseconds of planning, of running, of the whole as the reader waits, and the locks."""
    connection = psycopg2.connect(server.url("tidemill_reader"))
    found = []
    for _ in range(N_TIMES):
        with connection, connection.cursor() as cursor:
            started = time.perf_counter()
            cursor.execute(query)
            cursor.fetchall()
            waited = (time.perf_counter() - started) * 1e3
            cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()")
            ((locks,),) = cursor.fetchall()
            cursor.execute(f"EXPLAIN (ANALYZE, SUMMARY, FORMAT JSON) {query}")
            (((plan,),),) = cursor.fetchall()
            found.append((plan["Planning Time"], plan["Execution Time"], waited, locks))
    connection.close()
    planning, running, whole, locks = (statistics.median(column) for column in zip(*found, strict=True))
    return planning, running, whole, int(locks)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    middle = FIRST + timedelta(chosen.days // 2)
    queries = {
        "one partition": f"SELECT * FROM predictions.bench WHERE partition = '{middle}'",
        "a week": f"SELECT * FROM predictions.bench WHERE partition >= '{middle}' AND partition < '{middle + timedelta(7)}'",
        "all": "SELECT count(*) FROM predictions.bench",
    }
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.start()
            server.create_ledger()
            fill(server, chosen.days, chosen.runs)
            sys.stdout.write(f"{chosen.days * chosen.runs:,} runs of {N_ROWS} rows\n")
            for name, query in queries.items():
                planning, running, whole, locks = measure(server, query)
                sys.stdout.write(
                    f"{name:14} planned in {planning:6.1f} ms, run in {running:7.1f}, {whole:7.1f} ms waited, {locks:5} locks\n"
                )
        finally:
            server.remove()


if __name__ == "__main__":
    main()
