import importlib.util
import threading
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from tidemill.errors import SchemaChanged, SettingsError, SpecError
from tidemill.sources import open_source
from tidemill.warehouse.reading import Column

from .lake import ORDERS, Lake, orders, window_of

WINDOW = window_of(4)


@pytest.fixture
def sales(lake: Lake) -> Lake:
    lake.write("orders/2024-03-04.parquet", orders(4, [3, 1, 2, 9]))
    lake.spec({"orders": ORDERS})
    return lake


def read(lake: Lake, query: str, **options: Any) -> pa.Table:
    return lake.read(lake.workspace.spec("sales"), query, WINDOW, **options)


def test_rows_come_in_the_order_of_the_key(sales: Lake) -> None:
    assert read(sales, "SELECT * FROM orders ORDER BY placed DESC")["id"].to_pylist() == [1, 2, 3, 9]


def test_a_row_observed_after_the_cutoff_is_not_there(sales: Lake) -> None:
    spec = sales.spec({"orders": ORDERS | {"observed_at": "known_at"}})
    assert sales.read(spec, "SELECT id FROM orders", WINDOW)["id"].to_pylist() == [1, 2, 3]
    assert sales.read(spec, "SELECT id FROM orders", window_of(4, cutoff_h=2))["id"].to_pylist() == [1, 2]


def test_one_source_serves_several_cutoffs(sales: Lake) -> None:
    spec = sales.spec({"orders": ORDERS | {"observed_at": "known_at"}})
    file, windows = sales.query("SELECT id FROM orders"), [window_of(4, cutoff_h=hour) for hour in (9, 1, 2)]
    found = []
    with open_source(sales.workspace, spec, windows, 60) as source:
        for window in windows:
            with source.batches(file, window, source.columns(file, window)) as batches:
                found.append(sum(batch.num_rows for batch in batches))
    assert found == [4, 1, 2]


def test_parameters_are_instants(sales: Lake) -> None:
    query = "SELECT id, :start AS a, CAST(:cutoff AS timestamptz) AS b FROM orders WHERE placed < :cutoff - interval '4 hours'"
    (row,) = read(sales, query).to_pylist()
    assert row == {"id": 1, "a": WINDOW["start"], "b": WINDOW["cutoff"]}


TYPES = {
    "true": (True, "boolean"),
    "1::tinyint": (1, "smallint"),
    "1::usmallint": (1, "integer"),
    "1": (1, "integer"),
    "1::uinteger": (1, "bigint"),
    "count(*)": (4, "bigint"),
    "sum(id)": (15.0, "numeric"),
    "1.50": (1.5, "numeric"),
    "0.1::real": (pytest.approx(0.1), "real"),
    "avg(id)": (3.75, "double precision"),
    "'é'": ("é", "text"),
    "'a'::enum('a', 'b')": ("a", "text"),
    "NULL": (None, "text"),
    "'6f1e63c6-1b1c-4d4c-9c6c-0a8b7a1d2e3f'::uuid": ("6f1e63c6-1b1c-4d4c-9c6c-0a8b7a1d2e3f", "uuid"),
    "date '2024-02-29'": (date(2024, 2, 29), "date"),
    "timestamptz '2024-02-29 01:02:03.000004+01'": (datetime(2024, 2, 29, 0, 2, 3, 4, tzinfo=UTC), "timestamptz"),
    "7 / 2": (3, "integer"),  # as in Postgres
    "'2024-03-04 00:30'::timestamp AT TIME ZONE 'America/New_York'": (
        datetime(2024, 3, 4, 5, 30, tzinfo=UTC),
        "timestamptz",
    ),
}


@pytest.mark.parametrize("expression", TYPES)
def test_a_type_is_that_of_postgres(sales: Lake, expression: str) -> None:
    value, kind = TYPES[expression]
    found = read(sales, f"SELECT 1 AS id, {expression} AS x FROM orders")
    assert found["x"][0].as_py() == value
    assert found["x"].type == Column.of("x", kind).arrow


def test_nulls_sort_as_in_postgres(sales: Lake) -> None:
    first, last = "array_agg(x ORDER BY x)[1]", "array_agg(x ORDER BY x DESC)[1]"
    query = f"SELECT 1 AS id, {first} AS a, {last} AS b FROM (VALUES (NULL), (2)) v (x)"
    assert read(sales, query).to_pylist() == [{"id": 1, "a": 2, "b": None}]


def test_digits_that_a_double_loses_are_counted(sales: Lake) -> None:
    query = "SELECT id, 12345678901234567890.12 + id AS x FROM orders"
    file, rounded = sales.query(query), Counter[str]()
    with (
        open_source(sales.workspace, sales.workspace.spec("sales"), [WINDOW], 60) as source,
        source.batches(file, WINDOW, source.columns(file, WINDOW), rounded) as batches,
    ):
        list(batches)
    assert rounded == {"x": 4}


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ("SELECT id FROM nothing", SchemaChanged, r"features\.sql:1: Catalog Error: Table with name nothing"),
        ("SELECT id,\n  amount\nFROM orders", SchemaChanged, r"features\.sql:2: .*amount"),
        ("SELECT id FROM orders WHERE", SpecError, r"features\.sql.*syntax error"),
        ("SELECT id, id FROM orders", SpecError, "column 'id' appears twice"),
        ('SELECT id, 7 AS "ID" FROM orders', SpecError, "column 'ID' appears twice"),
        ("SELECT id, 'a' || chr(0) AS x FROM orders", SpecError, "column 'x' holds a NUL character"),
        (
            "SELECT id, placed::timestamp AS placed FROM orders",
            SpecError,
            "Name the zone of its clock: placed AT TIME ZONE",
        ),
        ("SELECT id, [1] AS x FROM orders", SpecError, r"column 'x' has type INTEGER\[\]"),
        ("SELECT id, [1.5] AS x FROM orders", SpecError, r"column 'x' has type DECIMAL\(2,1\)\[\]"),
        ("SELECT id, CAST('x' || id AS integer) AS x FROM orders", SpecError, r"Could not convert string 'x\d'"),
        ("SELECT id, 9223372036854775807 + id AS x FROM orders", SpecError, "Overflow in addition"),
        ("SELECT id, timestamptz 'infinity' AS x FROM orders", SpecError, "'x' holds a timestamptz that is infinite"),
        ("SELECT id, date '10000-01-01' AS x FROM orders", SpecError, "after the year 9999"),
        ("SELECT set_config('a', 'b', true) FROM orders", SpecError, "set_config"),
        ("SELECT id FROM orders WHERE placed < :today", SpecError, "unknown parameter ':today'"),
        ("SELECT 1 AS id; SELECT 2 AS id", SpecError, "is not one SELECT"),
        ("COPY orders TO 'x.csv'", SpecError, "is not one SELECT"),
        ("SET threads = 4", SpecError, "is not one SELECT"),
        ("", SpecError, "is not one SELECT"),
    ],
)
def test_a_query_that_cannot_run_is_refused_with_a_message(
    sales: Lake, query: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read(sales, query)


@pytest.mark.parametrize(
    "reading",
    [
        "read_text('{root}/secret.csv')",
        "read_csv('{root}/secret.csv')",
        "'{root}/secret.csv'",
        "read_parquet('{root}/lake/orders/2024-03-04.parquet')",
        "glob('{root}/*')",
        "read_csv('https://localhost/x.csv')",
    ],
)
def test_a_query_reads_nothing_but_its_inputs(sales: Lake, reading: str) -> None:
    (sales.root / "secret.csv").write_text("id\n7\n", encoding="utf-8")
    with pytest.raises((SpecError, SchemaChanged)):
        read(sales, f"SELECT * FROM {reading.format(root=sales.root)}")


def test_a_variable_of_the_process_is_no_table(sales: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, DuckDB looks among the variables of the module that calls it."""
    monkeypatch.setattr("tidemill.sources.duckdb.SECRETS", pa.table({"id": [7]}), raising=False)
    with pytest.raises(SchemaChanged, match="Table with name SECRETS does not exist"):
        read(sales, "SELECT * FROM SECRETS")


def test_the_database_stays_locked_for_statements_beyond_a_query(sales: Lake) -> None:
    with open_source(sales.workspace, sales.workspace.spec("sales"), [WINDOW], 60) as source:
        database: Any = source.database
        staged = source.staged["orders"].files["2024-03-04"]
        content = staged.read_bytes()
        for statement in (
            f"COPY (SELECT 1) TO '{staged}'",
            f"COPY (SELECT 1) TO '{sales.root}/x.csv'",
            f"ATTACH '{sales.root}/x.db'",
            "SET enable_external_access = true",
            "SET threads = 8",
            "INSTALL httpfs",
            "LOAD httpfs",
        ):
            with pytest.raises(Exception, match=r"disabled (by|through) configuration|locked"):
                database.execute(statement)
        assert staged.read_bytes() == content


def test_a_query_that_takes_too_long_is_cancelled(sales: Lake) -> None:
    slow = "SELECT max(hash(a.range + b.range)) AS id FROM range(1000000) a, range(1000000) b"
    with pytest.raises(SpecError, match="was cancelled"):
        read(sales, slow, timeout_s=1)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_rows_beyond_the_memory_limit_are_sorted_on_disk(sales: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from tidemill.sources import duckdb

    monkeypatch.setattr(duckdb, "_SETTINGS", {**duckdb._SETTINGS, "memory_limit": "60MB"})
    query = "SELECT hash(range)::varchar AS id, repeat('x', 40) || range AS pad FROM range(1000000)"
    found = read(sales, query)
    assert found.num_rows == 1_000_000
    assert found["id"].to_pylist() == sorted(found["id"].to_pylist())
    left = [path.name for path in (sales.root / "storage" / "sales" / "inputs").iterdir() if path.name.startswith(".")]
    assert left == []


def test_without_duckdb_the_error_says_what_to_install(sales: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "duckdb" else find(name, *rest)
    )
    with pytest.raises(SettingsError, match=r"pip install 'tidemill\[duckdb\]'"):
        read(sales, "SELECT id FROM orders")


def test_an_expression_without_a_name_is_refused(sales: Lake) -> None:
    with pytest.raises(SpecError, match="has no name"):
        read(sales, "SELECT id, (id * 2) FROM orders")
    assert read(sales, "SELECT id, (id * 2) AS twice FROM orders")["twice"].to_pylist() == [2, 4, 6, 18]


NAIVE = pa.table(
    {"id": [1], "placed": pa.array([0], pa.timestamp("us")), "day": [date(2024, 3, 4)], "said": ["2024-03-04 05:00"]}
)


@pytest.mark.parametrize(
    ("select", "timezone", "n_problems"),
    [
        ("placed::timestamptz", "UTC", 1),
        ("to_timestamp(epoch(placed))", "UTC", 1),
        ("COALESCE(placed, :start)", "Europe/Berlin", 1),
        ("day::timestamptz", "Europe/Berlin", 1),
        ("day::timestamptz", "UTC", 0),
        ("strptime(said, '%Y-%m-%d %H:%M')::timestamptz", "Europe/Berlin", 1),
        ("placed AT TIME ZONE 'Europe/Berlin'", "Europe/Berlin", 0),
        ("to_timestamp(epoch(placed AT TIME ZONE 'Europe/Berlin'))", "Europe/Berlin", 0),
    ],
)
def test_a_clock_that_is_taken_for_utc_is_found(lake: Lake, select: str, timezone: str, n_problems: int) -> None:
    lake.write("orders/2024-03-04.parquet", NAIVE)
    spec = lake.spec({"orders": ORDERS | {"files": "orders/*.parquet"}}, timezone=timezone)
    file = lake.query(f"SELECT id, {select} AS at FROM orders")
    with open_source(lake.workspace, spec, [WINDOW], 60) as source:
        problems = source.zone_problems(file, WINDOW)
    assert [f"AT TIME ZONE '{timezone}'" in problem for problem in problems] == [True] * n_problems
