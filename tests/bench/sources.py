"""How long a partition's extraction takes from Parquet by DuckDB, against the same rows in Postgres: ``make bench-sources``.

In each pair, in alternating order, the step ``extract`` runs the same query on both: a million rows of 20 columns, joined with
a small table. DuckDB's time includes staging the files; the folder of staged files is removed before each measurement.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tidemill.runtime.run import run_step
from tidemill.sources.postgres import open_postgres
from tidemill.workspace import Workspace

from ..chaos.server import ROLES, Server

START = datetime(2024, 3, 1, tzinfo=UTC)
NUMBERS = ", ".join(f"CASE WHEN n % 50 <> {k} THEN sin(n * {k + 1}) END AS x{k}" for k in range(12))
WHOLE = ", ".join(f"CAST(n * {k + 7} % 1000 AS integer) AS i{k}" for k in range(4))
TABLES = """
    CREATE SCHEMA bench;
    CREATE TABLE bench.row AS SELECT CAST(n AS bigint) AS id, timestamptz '2024-03-01Z' + n * interval '0.08 s' AS at,
        'shop-' || n % 300 AS shop, {numbers}, {whole} FROM generate_series(1, {rows}) AS n;
    CREATE TABLE bench.shop AS SELECT 'shop-' || n AS shop, 'town-' || n % 40 AS town FROM generate_series(0, 299) AS n;
    ANALYZE bench.row; ANALYZE bench.shop; GRANT USAGE ON SCHEMA bench TO tidemill_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA bench TO tidemill_reader"""
QUERY = """
    SELECT "row".*, shop.town FROM bench.row AS "row" LEFT JOIN bench.shop AS shop ON shop.shop = "row".shop
    WHERE "row"."at" >= :start AND "row"."at" < :end"""
INPUTS = {
    "bench.row": {"connection": "lake", "files": "row/{partition}.parquet", "observed_at": "at"},
    "bench.shop": {"connection": "lake", "files": "shop.parquet"},
}
SPEC = {
    "model": "bench",
    "task": "binary",
    "entity_key": "id",
    "event_time": "at",
    "partitions": {"every": "day", "cutoff": "1 day"},
    "label": {"column": "label"},
}


def workspace_of(server: Server, root: Path, engine: str) -> Workspace:
    urls = {name: server.url(role) for name, role in ROLES.items()} | {"lake": f"file://{root / 'lake'}"}
    source = {"features": "bench/features.sql", "labels": "bench/labels.sql"}
    source |= {"engine": "duckdb", "inputs": INPUTS} if engine == "duckdb" else {}
    (root / engine).mkdir()
    (root / engine / "bench.yaml").write_text(yaml.safe_dump(SPEC | {"source": source}), encoding="utf-8")
    return Workspace(
        models=root / engine,
        sql=root / "sql",
        storage=root / "storage" / engine,
        tracking_uri=None,
        connection=urls.__getitem__,
    )


def export(workspace: Workspace, root: Path) -> None:
    """Write both tables as Parquet."""
    (root / "lake" / "row").mkdir(parents=True)
    window = dict.fromkeys(("start", "end", "cutoff"), START)
    for name, place in (("row", "row/2024-03-01.parquet"), ("shop", "shop.parquet")):
        (root / "sql" / "bench" / f"{name}.sql").write_text(
            f'SELECT *, 1 AS id_{name} FROM bench."{name}"', encoding="utf-8"
        )
        spec = workspace.spec("bench").model_copy(update={"entity_key": f"id_{name}"})
        with open_postgres(workspace, spec, 600) as source:
            columns = source.columns(f"bench/{name}.sql", window)
            schema = pa.schema([(column.name, column.arrow) for column in columns])
            with source.batches(f"bench/{name}.sql", window, columns) as batches:
                rows = pa.Table.from_batches(list(batches), schema).drop_columns([f"id_{name}"])
        pq.write_table(rows, root / "lake" / place)


def seconds(workspace: Workspace) -> float:
    shutil.rmtree(workspace.storage, ignore_errors=True)
    started = time.perf_counter()
    run_step("predict", "extract", "bench", "2024-03-01", {"purpose": "score"}, workspace=workspace)
    return time.perf_counter() - started


def measure(workspaces: dict[str, Workspace], n_pairs: int) -> float:
    pairs = []
    for number in range(n_pairs):
        order = ("duckdb", "postgres") if number % 2 else ("postgres", "duckdb")
        found = {engine: seconds(workspaces[engine]) for engine in order}
        sys.stdout.write(f"  pair {number + 1}: DuckDB {found['duckdb']:.2f} s, Postgres {found['postgres']:.2f} s\n")
        pairs.append(found["duckdb"] / found["postgres"])
    return statistics.median(pairs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, server = Path(folder), Server(Path(folder))
        try:
            server.start()
            server.create_ledger()
            with psycopg2.connect(server.url("tidemill_owner")) as owner, owner.cursor() as cursor:
                cursor.execute(TABLES.format(numbers=NUMBERS, whole=WHOLE, rows=options.rows))
            owner.close()
            (root / "sql" / "bench").mkdir(parents=True)
            (root / "sql" / "bench" / "features.sql").write_text(QUERY, encoding="utf-8")
            workspaces = {engine: workspace_of(server, root, engine) for engine in ("postgres", "duckdb")}
            export(workspaces["postgres"], root)
            ratio = measure(workspaces, options.pairs)
        finally:
            server.remove()
    goal = "reached" if ratio <= 1 else "MISSED"
    sys.stdout.write(f"{options.rows:,} rows: DuckDB takes {ratio:.2f} times as long; the goal is at most 1: {goal}.\n")
    return 0 if ratio <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
