"""Three sources joined by DuckDB: Parquet, CSV and another Postgres."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg2.extras import execute_values

from tidemill.errors import NotReady, SchemaChanged, SpecError, WarehouseUnavailable
from tidemill.sources import Window, open_schema, open_source
from tidemill.sources.staging import stage

from ..unit.sources.lake import Lake

FIRST = datetime(2024, 3, 1, tzinfo=UTC)
N_DAYS, N_ORDERS, N_ROUNDS = 3, 500, 20
INPUTS: dict[str, dict[str, Any]] = {
    "orders": {"connection": "lake", "files": "orders/{partition}.parquet"},
    "rates": {
        "connection": "lake",
        "files": "rates/{partition}.csv",
        "columns": {"currency": "text", "known_at": "timestamptz", "rate": "double precision"},
        "observed_at": "known_at",
        "lookback": "2 days",
    },
    "crm.risk": {"connection": "crm", "query": "sales/risk.sql", "observed_at": "known_at", "lookback": "2 days"},
}
JOINED = """
SELECT orders.id, orders.placed, rates.rate, risk.grade
FROM orders
ASOF LEFT JOIN rates ON rates.currency = orders.currency AND rates.known_at <= orders.placed
ASOF LEFT JOIN crm.risk ON risk.customer = orders.customer AND risk.known_at <= orders.placed
WHERE orders.placed >= :start AND orders.placed < :end
"""
RISK = "SELECT customer, grade, known_at FROM {table} WHERE known_at >= :start AND known_at < :end"


class Sales(Lake):
    """A model on three sources."""

    def __init__(self, root: Path, url: str, table: str) -> None:
        super().__init__(root, {"crm": url})
        self.url, self.table = url, table
        for folder in ("lake/orders", "lake/rates"):
            (root / folder).mkdir(parents=True)
        self.query(JOINED)
        self.query(RISK.format(table=table), "risk")
        self.declare(INPUTS)

    def declare(self, inputs: dict[str, Any]) -> None:
        self.spec(inputs, partitions={"every": "day", "cutoff": "18 hours", "first": "2024-03-01"})

    def sql(self, statement: str, rows: list[tuple[Any, ...]] | None = None) -> None:
        connection = psycopg2.connect(self.url)
        with connection, connection.cursor() as cursor:
            if rows is None:
                cursor.execute(statement)
            else:
                execute_values(cursor, statement, rows)
        connection.close()

    def read(self, window: Window) -> list[dict[str, Any]]:
        file = "sales/features.sql"
        with (
            open_source(self.workspace, self.workspace.spec("sales"), [window], 60) as source,
            source.batches(file, window, source.columns(file, window)) as batches,
        ):
            return [row for batch in batches for row in batch.to_pylist()]


@pytest.fixture(scope="module")
def new_sales(warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Sales]:
    made = iter(range(1000))

    def make() -> Sales:
        table = f"crm.risk_{next(made)}"
        sales = Sales(tmp_path_factory.mktemp("sales"), warehouse.url("tidemill_owner"), table)
        sales.sql("CREATE SCHEMA IF NOT EXISTS crm")
        sales.sql(f"CREATE TABLE {table} (customer integer, grade text, known_at timestamptz)")
        return sales

    return make


def random_rows(rng: np.random.Generator) -> dict[str, list[tuple[Any, ...]]]:
    """Draw orders, and rates and grades with distinct times per currency and customer; some keys are NULL."""
    minutes = N_DAYS * 24 * 60

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.05 else value

    def times(n: int) -> list[datetime]:
        return [FIRST + timedelta(minutes=int(at)) for at in rng.choice(minutes, n, replace=False)]

    orders = [
        (
            number,
            FIRST + timedelta(minutes=int(at)),
            maybe(["EUR", "USD", "JPY", "GBP"][rng.integers(4)]),
            maybe(int(rng.integers(12))),
        )
        for number, at in enumerate(rng.integers(minutes, size=N_ORDERS))
    ]
    rates = [
        (["EUR", "USD", "JPY"][rng.integers(3)], at, maybe(float(rng.normal()))) for at in times(int(rng.integers(60)))
    ]
    risks = [(int(rng.integers(12)), maybe("ABC"[rng.integers(3)]), at) for at in times(int(rng.integers(1, 80)))]
    return {"orders": orders, "rates": rates, "risks": risks}


def put(sales: Sales, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    for day in range(N_DAYS):
        start = FIRST + timedelta(days=day)

        def within(at: datetime, start: datetime = start) -> bool:
            return start <= at < start + timedelta(days=1)

        columns = zip(*(row for row in rows["orders"] if within(row[1])), strict=True)
        kinds = (pa.int64(), pa.timestamp("us", "UTC"), pa.string(), pa.int32())
        arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
        names = ["id", "placed", "currency", "customer"]
        pq.write_table(pa.table(arrays, names), sales.root / f"lake/orders/{start:%Y-%m-%d}.parquet")
        lines = [
            f"{name},{at.isoformat()},{'' if rate is None else repr(rate)}"
            for name, at, rate in rows["rates"]
            if within(at)
        ]
        text = "\n".join(["currency,known_at,rate", *lines, ""])
        (sales.root / f"lake/rates/{start:%Y-%m-%d}.csv").write_text(text, encoding="utf-8")
    sales.sql(f"TRUNCATE {sales.table}")
    sales.sql(f"INSERT INTO {sales.table} VALUES %s", rows["risks"])


def expected(rows: dict[str, list[tuple[Any, ...]]], window: Window) -> list[dict[str, Any]]:
    """Join by brute force: for each order, look at every rate and every grade."""

    def newest(pairs: list[tuple[datetime, Any]], placed: datetime) -> Any:
        known = [(at, value) for at, value in pairs if at <= min(placed, window["cutoff"])]
        return max(known, key=lambda pair: pair[0])[1] if known else None

    return [
        {
            "id": number,
            "placed": placed,
            "rate": newest([(at, rate) for name, at, rate in rows["rates"] if name == currency], placed),
            "grade": newest([(at, grade) for of, grade, at in rows["risks"] if of == customer], placed),
        }
        for number, placed, currency, customer in rows["orders"]
        if window["start"] <= placed < window["end"]
    ]


def test_ten_thousand_random_rows_are_joined_as_by_brute_force(new_sales: Callable[[], Sales]) -> None:
    sales, n_compared, n_filled = new_sales(), 0, 0
    for seed in range(N_ROUNDS):
        rows = random_rows(np.random.default_rng(seed))
        put(sales, rows)
        window = {
            "start": FIRST,
            "end": FIRST + timedelta(days=N_DAYS),
            "cutoff": FIRST + timedelta(hours=6 * (seed % 13)),
        }
        found, wanted = sales.read(window), expected(rows, window)
        assert found == wanted
        n_compared += len(found)
        n_filled += sum(row["rate"] is not None and row["grade"] is not None for row in found)
    assert n_compared == N_ROUNDS * N_ORDERS
    assert n_filled > 1_000


@pytest.fixture
def sales(new_sales: Callable[[], Sales]) -> Sales:
    made = new_sales()
    put(made, random_rows(np.random.default_rng(1)))
    return made


WINDOW: Window = {
    "start": FIRST + timedelta(days=1),
    "end": FIRST + timedelta(days=2),
    "cutoff": FIRST + timedelta(days=1, hours=18),
}


def test_equal_rows_of_a_database_are_staged_as_equal_bytes(sales: Sales) -> None:
    spec = sales.workspace.spec("sales")
    before = stage(sales.workspace, spec, [WINDOW])["crm.risk"]
    sales.sql(f"UPDATE {sales.table} SET grade = grade WHERE customer < 6")  # moves the rows within the table
    assert stage(sales.workspace, spec, [WINDOW])["crm.risk"].digest == before.digest
    sales.sql(f"UPDATE {sales.table} SET grade = 'Z' WHERE customer < 6")
    assert stage(sales.workspace, spec, [WINDOW])["crm.risk"].digest != before.digest
    assert len(before.files) == 2  # the day and the one before, where the data begin


def test_a_query_without_an_interval_is_staged_once(sales: Sales) -> None:
    sales.query(f"SELECT customer, grade, known_at FROM {sales.table}", "risk")
    staged = stage(sales.workspace, sales.workspace.spec("sales"), [WINDOW])["crm.risk"]
    assert list(staged.files) == [""]
    assert pq.read_table(staged.files[""]).num_rows > 10


def test_an_input_does_not_know_the_cutoff(sales: Sales) -> None:
    sales.query(RISK.format(table=sales.table) + " AND known_at <= :cutoff", "risk")
    with pytest.raises(SpecError, match=r"sales/risk\.sql of input 'crm\.risk' uses :cutoff.*observed_at"):
        sales.read(WINDOW)


def test_a_database_that_is_away_is_an_error_that_is_tried_again(sales: Sales) -> None:
    sales.urls["crm"] = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(WarehouseUnavailable):
        sales.read(WINDOW)


def test_a_table_that_is_gone_is_named(sales: Sales) -> None:
    sales.sql(f"DROP TABLE {sales.table}")
    with pytest.raises(SchemaChanged, match=r"sales/risk\.sql:1: relation"):
        sales.read(WINDOW)


def test_one_source_that_is_not_ready_stops_the_others(sales: Sales) -> None:
    (sales.root / "lake/rates/2024-03-02.csv").unlink()
    with pytest.raises(NotReady, match="Input 'rates' has no file for partition '2024-03-02'"):
        sales.read(WINDOW)


def test_a_query_is_described_without_reading_rows(sales: Sales) -> None:
    with open_schema(sales.workspace, sales.workspace.spec("sales"), 30) as source:
        columns = source.columns("sales/features.sql", WINDOW)
    assert [(column.name, column.sql_type) for column in columns] == [
        ("id", "bigint"), ("placed", "timestamptz"), ("rate", "double precision"), ("grade", "text")
    ]  # fmt: skip
    assert not (sales.root / "storage").exists()
