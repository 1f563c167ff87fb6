"""A file becomes a table with every row in sound types, or nothing changes."""

import multiprocessing
import os
import signal
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import SettingsError
from tidemill.onboarding import loading
from tidemill.onboarding.loading import load_file
from tidemill.onboarding.names import TableName

CSV = """"Order ID",code,amount,"Is Gift",day,at,seen,note,big
1,007,12.50,true,2024-02-29,2024-05-31 10:00:00,2024-05-31T10:00:00+02:00,"a, ""b""
c",12345678901234567890
2,012,NA,false,,2024-05-31 11:30:00.25,2024-05-31T10:00:00Z,"",1
"""


@pytest.fixture
def owner(warehouse: Any) -> str:
    warehouse.rows('DROP SCHEMA IF EXISTS "Shop" CASCADE')
    return warehouse.url("tidemill_owner")


NAME = TableName.parse('"Shop"."Customer Order"')


def types_of(warehouse: Any) -> dict[str, str]:
    columns = "SELECT column_name, data_type FROM information_schema.columns"
    query = f"{columns} WHERE table_schema = 'Shop' ORDER BY ordinal_position"
    return dict(warehouse.rows(query))


def written(folder: Path, text: str | bytes, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_types_are_exact_and_the_reader_reads_them(owner: str, warehouse: Any, tmp_path: Path) -> None:
    loaded = load_file(owner, written(tmp_path, CSV), NAME)
    assert loaded.n_rows == 2
    assert list(types_of(warehouse).values()) == [
        "bigint", "text", "double precision", "boolean", "date", "timestamp without time zone",
        "timestamp with time zone", "text", "numeric",
    ]  # fmt: skip
    rows = warehouse.rows('SELECT * FROM "Shop"."Customer Order" ORDER BY 1', role="tidemill_reader")
    assert rows[0][:6] == (1, "007", 12.5, True, date(2024, 2, 29), datetime(2024, 5, 31, 10))  # noqa: DTZ001 - no zone
    assert rows[0][6] == datetime(2024, 5, 31, 8, tzinfo=UTC)
    assert rows[0][7:] == ('a, "b"\nc', Decimal("12345678901234567890"))
    assert rows[1][2:5] == (None, False, None)
    assert rows[1][7] == ""


def test_parquet_keeps_types_and_values(owner: str, warehouse: Any, tmp_path: Path) -> None:
    at = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    table = pa.table(
        {
            "n": pa.array([1, None], pa.int32()),
            "d": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
            "at": pa.array([at, None], pa.timestamp("ns", "Europe/Berlin")),
            "raw": pa.array([b"\x00\xff", None]),
            "tags": pa.array([["a", "b"], None]),
            "kind": pa.array(["x", None]).dictionary_encode(),
            "t": pa.array(["", None]),
        }
    )
    pq.write_table(table, tmp_path / "orders.parquet")
    load_file(owner, tmp_path / "orders.parquet", NAME)
    first, second = warehouse.rows('SELECT * FROM "Shop"."Customer Order" ORDER BY n NULLS LAST')
    assert (first[0], first[1], first[2], bytes(first[3]), first[4], first[5], first[6]) == (
        1, Decimal("1.10"), at, b"\x00\xff", ["a", "b"], "x", "",
    )  # fmt: skip
    assert second == (None,) * 7
    assert list(types_of(warehouse).values())[:5] == [
        "integer",
        "numeric",
        "timestamp with time zone",
        "bytea",
        "jsonb",
    ]


def test_an_existing_table_is_replaced_only_when_asked(owner: str, warehouse: Any, tmp_path: Path) -> None:
    load_file(owner, written(tmp_path, "a\n1\n"), NAME)
    with pytest.raises(SettingsError, match=r"exists already; nothing was changed.* --replace"):
        load_file(owner, written(tmp_path, "a\n2\n"), NAME)
    assert warehouse.rows('SELECT a FROM "Shop"."Customer Order"') == [(1,)]
    load_file(owner, written(tmp_path, "b\n2\n"), NAME, replace=True)
    assert warehouse.rows('SELECT b FROM "Shop"."Customer Order"') == [(2,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2,3\n", r"orders\.csv:2 has 3 values"),
        (
            "a\n1e999\n",
            r"does not take: \"1e999\" is out of range for type double precision \(COPY .* line 1, column a",
        ),
        (
            f"{','.join(f'c{n}' for n in range(900))}\n{','.join(['ten letters'] * 900)}\n",
            "does not fit into a table: row is",
        ),
    ],
)
def test_a_file_that_cannot_be_loaded_leaves_no_table(
    owner: str, warehouse: Any, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_file(owner, written(tmp_path, text), NAME)
    assert types_of(warehouse) == {}


def test_a_few_odd_values_are_named_with_their_line(owner: str, warehouse: Any, tmp_path: Path) -> None:
    rows = [f"{number}\n" for number in range(300)]
    rows[41] = "unknown\n"
    (note,) = load_file(owner, written(tmp_path, "n\n" + "".join(rows)), NAME).notes
    assert "orders.csv:43: column 'n' stays text, because of the value 'unknown'" in note
    assert types_of(warehouse) == {"n": "text"}


def kill_in_the_middle(owner: str, path: Path) -> None:
    original, seen = loading.as_csv, []

    def then_killed(batch: pa.RecordBatch) -> bytes:
        seen.append(batch)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(batch)

    loading.as_csv = then_killed
    load_file(owner, path, NAME, replace=True)


def test_a_killed_load_leaves_the_old_table(owner: str, warehouse: Any, tmp_path: Path) -> None:
    load_file(owner, written(tmp_path, "a\n1\n"), NAME)
    pq.write_table(pa.table({"b": list(range(300_000))}), tmp_path / "big.parquet")
    killed = multiprocessing.get_context("fork").Process(
        target=kill_in_the_middle, args=(owner, tmp_path / "big.parquet")
    )
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert warehouse.rows('SELECT a FROM "Shop"."Customer Order"') == [(1,)]  # waits until the server has rolled back


def test_command_loads_a_file(owner: str, warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_CONN_TIDEMILL_OWNER", owner)
    result = CliRunner().invoke(app, ["load", str(written(tmp_path, CSV)), "Shop.Orders"])
    assert result.exit_code == 0, result.output
    assert 'Loaded 2 rows into "Shop"."Orders".' in result.output
    assert warehouse.rows('SELECT count(*) FROM "Shop"."Orders"') == [(2,)]
