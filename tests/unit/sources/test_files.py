from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tidemill.errors import (
    NotReady,
    SchemaChanged,
    SettingsError,
    SourceUnavailable,
    SpecError,
    TransientError,
)
from tidemill.sources.files import open_files
from tidemill.sources.staging import needed_partitions, stage
from tidemill.spec import Input

from .lake import ORDERS, Lake, orders, window_of

ALL = "SELECT id, placed FROM orders"
CSV = {
    "connection": "lake",
    "files": "prices/{partition}.csv",
    "columns": {
        "id": "bigint",
        "price": "double precision",
        "known_at": "timestamptz",
        "note": "text",
        "big": "boolean",
    },
}


def ids(rows: pa.Table) -> list[int]:
    return rows["id"].to_pylist()


def n_staged(lake: Lake) -> int:
    """Folders below ``inputs``, whole or not."""
    return len(list((lake.root / "storage" / "sales" / "inputs").glob("*")))


# --- which files


def test_a_query_sees_the_files_of_its_window_and_of_the_lookback(lake: Lake) -> None:
    for day in range(1, 6):
        lake.write(f"orders/2024-03-0{day}.parquet", orders(day, [day * 24]))
    spec = lake.spec({"orders": ORDERS | {"lookback": "2 days"}})
    assert ids(lake.read(spec, ALL, window_of(4))) == [48, 72, 96]
    assert ids(lake.read(spec, ALL, window_of(2))) == [24, 48]  # the model's data begin on the first


def test_the_lookahead_ends_at_the_cutoff(lake: Lake) -> None:
    spec = lake.spec({"orders": ORDERS | {"lookahead": "3 days"}})
    window = window_of(4)
    keys = [part.key for part in needed_partitions(spec, spec.source.inputs["orders"], window)]
    assert keys == ["2024-03-04"]
    later = window | {"cutoff": window["end"] + timedelta(hours=30)}
    keys = [part.key for part in needed_partitions(spec, spec.source.inputs["orders"], later)]
    assert keys == ["2024-03-04", "2024-03-05", "2024-03-06"]


@pytest.mark.parametrize(
    ("every", "template", "path"),
    [
        ("hour", "o/{year}/{month}/{day}/{hour}.parquet", "o/2024/03/04/23.parquet"),
        ("day", "o/dt={partition}/*.parquet", "o/dt=2024-03-04/part-7.parquet"),
        ("week", "{partition}.parquet", "2024-W10.parquet"),
        ("month", "o-{partition}.parquet", "o-2024-03.parquet"),
        (None, "all/*.parquet", "all/x.parquet"),
    ],
)
def test_a_template_names_the_files_of_a_partition(lake: Lake, every: str | None, template: str, path: str) -> None:
    lake.write(path, orders(4, [1]))
    declared = {"connection": "lake", "files": template, "missing": "empty"} | ({"every": every} if every else {})
    assert ids(lake.read(lake.spec({"orders": declared}), ALL, window_of(4))) == [1]


def test_a_star_does_not_reach_into_another_folder(lake: Lake) -> None:
    lake.write("orders/2024-03-04/a.parquet", orders(4, [1]))
    lake.write("orders/2024-03-04/_old/b.parquet", orders(4, [2]))
    spec = lake.spec({"orders": ORDERS | {"files": "orders/{partition}/*.parquet"}})
    assert ids(lake.read(spec, ALL, window_of(4))) == [1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"files": "../secret.parquet"},
        {"files": "/etc/x.parquet"},
        {"files": "x.json"},
        {"files": "{date}.parquet"},
        {"files": "x.csv"},
        {"files": None},
        {"query": "sales/q.sql"},
        {"columns": {"id": "money"}},
        {"columns": {"id": "text"}, "observed_at": "known_at"},
    ],
)
def test_a_declaration_that_cannot_be_right_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Input(**ORDERS | wrong)


# --- what is wrong with them


def test_a_partition_without_files_is_not_ready_unless_it_may_be_empty(lake: Lake) -> None:
    lake.write("orders/2024-03-03.parquet", orders(3, [1]))
    with pytest.raises(NotReady, match=r"'orders' has no file for partition '2024-03-04'.*orders/\{partition\}"):
        lake.read(lake.spec({"orders": ORDERS}), ALL, window_of(3, 2))
    assert n_staged(lake) == 0
    spec = lake.spec({"orders": ORDERS | {"missing": "empty"}})
    assert ids(lake.read(spec, ALL, window_of(3, 2, cutoff_h=6))) == [1]


def test_an_input_without_any_file_needs_declared_columns(lake: Lake) -> None:
    with pytest.raises(SpecError, match="columns are unknown"):
        lake.read(lake.spec({"orders": ORDERS | {"missing": "empty"}}), ALL, window_of(4))
    columns = {"id": "bigint", "placed": "timestamptz"}
    spec = lake.spec({"orders": ORDERS | {"missing": "empty", "columns": columns}})
    assert lake.read(spec, ALL, window_of(4)).num_rows == 0


@pytest.mark.parametrize("n_bytes", [0, 3, 200, -5])
def test_a_half_written_parquet_file_is_named_and_nothing_is_staged(lake: Lake, n_bytes: int) -> None:
    for day in (3, 4):
        lake.write(f"orders/2024-03-0{day}.parquet", orders(day, [day]))
    whole = (lake.files / "orders/2024-03-04.parquet").read_bytes()
    (lake.files / "orders/2024-03-04.parquet").write_bytes(whole[:n_bytes])
    with pytest.raises(SourceUnavailable, match=r"orders/2024-03-04\.parquet cannot be read as a whole file"):
        lake.read(lake.spec({"orders": ORDERS}), ALL, window_of(3, 2))
    assert n_staged(lake) == 0


def test_a_damaged_page_of_a_parquet_file_is_found(lake: Lake) -> None:
    path = lake.files / "orders/2024-03-04.parquet"
    path.parent.mkdir()
    pq.write_table(orders(4, list(range(5000))), path, write_page_checksum=True, compression="zstd")
    content = bytearray(path.read_bytes())
    content[1000:1100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(SourceUnavailable, match="whole file"):
        lake.read(lake.spec({"orders": ORDERS}), ALL, window_of(4))


@pytest.mark.parametrize("text", ["", "id,price,known_at,note,big\n1,12.5", "id,price,known_at,note,big"])
def test_a_csv_file_without_a_last_line_break_counts_as_half_written(lake: Lake, text: str) -> None:
    lake.write("prices/2024-03-04.csv", text)
    with pytest.raises(SourceUnavailable, match=r"2024-03-04\.csv does not end with a line break"):
        lake.read(lake.spec({"prices": CSV}), "SELECT id FROM prices", window_of(4))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,12.5", "Expected 5 columns, got 2"),
        ("1,x,,a,true", "invalid value 'x'"),
        ("1,1,2024-03-01 00:00,a,true", "zone"),
    ],
)
def test_a_csv_row_that_is_not_as_declared_is_refused(lake: Lake, line: str, said: str) -> None:
    lake.write("prices/2024-03-04.csv", f"id,price,known_at,note,big\n{line}\n")
    with pytest.raises(SchemaChanged, match=said):
        lake.read(lake.spec({"prices": CSV}), "SELECT id FROM prices", window_of(4))


def test_a_csv_value_is_what_was_written(lake: Lake) -> None:
    full = '"a, ""b""\nc",true,x,9007199254740993,0.1,2024-03-04T01:02:03.000004-05:00'
    text = f'note,big,extra,id,price,known_at\n{full}\n"",,y,2,,\n'
    lake.write("prices/2024-03-04.csv", text)
    query = "SELECT id, price, known_at, note, big FROM prices"
    found = lake.read(lake.spec({"prices": CSV}), query, window_of(4)).to_pylist()
    first = next(row for row in found if row["id"] != 2)
    assert {**first, "known_at": first["known_at"].isoformat()} == {
        "id": 2**53 + 1, "price": 0.1, "known_at": "2024-03-04T06:02:03.000004+00:00", "note": 'a, "b"\nc', "big": True
    }  # fmt: skip
    assert found[0] == {"id": 2, "price": None, "known_at": None, "note": "", "big": None}


CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "new": (lambda rows: rows.append_column("x", rows["id"]), "x is new"),
    "missing": (lambda rows: rows.drop_columns(["known_at"]), "known_at is missing"),
    "type": (lambda rows: rows.set_column(0, "id", rows["id"].cast(pa.int32())), "id is int32, and not int64"),
    "order": (lambda rows: rows.select(["placed", "id", "known_at"]), "their order"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("files", ["orders/{partition}.parquet", "orders/*.parquet"])
def test_files_that_differ_in_their_columns_are_refused(lake: Lake, change: str, files: str) -> None:
    changed, said = CHANGES[change]
    lake.write("orders/2024-03-03.parquet", orders(3, [1]))
    lake.write("orders/2024-03-04.parquet", changed(orders(4, [2])))
    with pytest.raises(SchemaChanged, match=f"2024-03-04.* differs in its columns from .*2024-03-03.*: {said}"):
        lake.read(lake.spec({"orders": ORDERS | {"files": files}}), ALL, window_of(3, 2))
    assert n_staged(lake) == 0


def test_declared_columns_are_all_that_is_read_and_compared(lake: Lake) -> None:
    columns = {"id": "bigint", "placed": "timestamptz"}
    lake.write("orders/2024-03-03.parquet", orders(3, [1]))
    lake.write("orders/2024-03-04.parquet", orders(4, [2]).select(["placed", "id"]))
    spec = lake.spec({"orders": ORDERS | {"columns": columns}})
    assert ids(lake.read(spec, "SELECT * FROM orders", window_of(3, 2))) == [1, 2]
    with pytest.raises(SchemaChanged, match="id is int64, and not int32"):
        lake.read(lake.spec({"orders": ORDERS | {"columns": columns | {"id": "integer"}}}), ALL, window_of(4))
    with pytest.raises(SchemaChanged, match=r"lacks column\(s\) \['amount'\]"):
        lake.read(lake.spec({"orders": ORDERS | {"columns": columns | {"amount": "real"}}}), ALL, window_of(4))


def test_what_only_a_writer_chose_makes_no_difference(lake: Lake) -> None:
    plain = pa.table(
        {
            "id": ["a", "b"],
            "placed": orders(3, [1, 2])["placed"],
            "half": pa.array([0.5, None], pa.float32()),
            "took": pa.array([7, 8], pa.duration("us")),
        }
    )
    lake.write("orders/2024-03-03.parquet", plain)
    chosen = pa.table(
        {
            "id": plain["id"].dictionary_encode(),
            "placed": plain["placed"].cast(pa.timestamp("ns", "America/New_York")),
            "half": pa.array([0.5, None], pa.float16()),
            "took": pa.array([7_000, 8_000], pa.duration("ns")),
        }
    ).replace_schema_metadata({"pandas": "{}"})
    pq.write_table(chosen, lake.files / "orders" / "2024-03-04.parquet", row_group_size=1)
    spec = lake.spec({"orders": ORDERS})
    staged = stage(lake.workspace, spec, [window_of(3, 2)])["orders"]
    assert staged.files["2024-03-03"] == staged.files["2024-03-04"]  # one digest


def test_a_time_that_does_not_fit_is_named_instead_of_becoming_another(lake: Lake) -> None:
    endless = pa.array([2**63 - 1, None, 0], pa.timestamp("ms", "UTC"))  # often written for "never ends"
    lake.write("orders/2024-03-04.parquet", orders(4, [1, 2, 3]).append_column("until", endless))
    with pytest.raises(
        SchemaChanged, match=r"column 'until' of orders/2024-03-04\.parquet holds a value beyond timestamp"
    ):
        lake.read(lake.spec({"orders": ORDERS}), ALL, window_of(4))


def test_a_folder_that_is_away_is_an_error_that_is_tried_again(lake: Lake) -> None:
    lake.files.rmdir()
    with pytest.raises(SourceUnavailable, match="does not exist; input 'orders' needs it") as caught:
        lake.read(lake.spec({"orders": ORDERS}), ALL, window_of(4))
    assert isinstance(caught.value, TransientError)


def test_a_database_is_no_place_for_files(lake: Lake) -> None:
    with pytest.raises(SettingsError, match="'tables' of input 'orders' is not a folder or bucket"):
        lake.read(lake.spec({"orders": ORDERS | {"connection": "tables"}}), ALL, window_of(4))


@pytest.mark.parametrize("said", ["has changed while it was read", "was removed"])
def test_a_file_that_changes_while_it_is_read_is_refused(lake: Lake, said: str) -> None:
    path = lake.write("orders/2024-03-04.parquet", orders(4, [1]))
    other = lake.write("orders/2024-03-05.parquet", orders(5, [1]))
    spec = lake.spec({"orders": ORDERS})

    def read(meanwhile: Callable[[], object]) -> int:
        with open_files("orders", spec.source.inputs["orders"], f"file://{lake.files}") as files:
            batches = files.batches(spec.partition("2024-03-04"))
            if said == "was removed":
                meanwhile()
            n_rows = sum(batch.num_rows for batch in batches)
            if said != "was removed":
                meanwhile()
            return n_rows

    assert read(other.unlink) == 1  # which nobody has read
    change = (
        path.unlink if said == "was removed" else lambda: lake.write("orders/2024-03-04.parquet", orders(4, [1, 2]))
    )
    with pytest.raises(SourceUnavailable, match=said):
        read(change)


# --- what is staged


def test_windows_that_overlap_share_what_is_staged(lake: Lake) -> None:
    for day in range(1, 5):
        lake.write(f"orders/2024-03-0{day}.parquet", orders(day, [day]))
    spec = lake.spec({"orders": ORDERS | {"lookback": "2 days"}})
    one = stage(lake.workspace, spec, [window_of(3)])["orders"]
    other = stage(lake.workspace, spec, [window_of(4)])["orders"]
    assert one.files.keys() - other.files.keys() == {"2024-03-01"}
    assert all(other.files[key] == one.files[key] for key in ("2024-03-02", "2024-03-03"))
    assert one.digest != other.digest
    assert stage(lake.workspace, spec, [window_of(3)])["orders"].digest == one.digest


def test_what_is_staged_stays_when_the_source_changes(lake: Lake) -> None:
    path = lake.write("orders/2024-03-04.parquet", orders(4, [1]))
    spec = lake.spec({"orders": ORDERS})
    first = stage(lake.workspace, spec, [window_of(4)])["orders"]
    before = first.files["2024-03-04"].read_bytes()
    lake.write("orders/2024-03-04.parquet", orders(4, [2]))
    second = stage(lake.workspace, spec, [window_of(4)])["orders"]
    path.unlink()
    assert first.files["2024-03-04"].read_bytes() == before
    assert second.files["2024-03-04"] != first.files["2024-03-04"]


@pytest.mark.parametrize(("column", "said"), [("nothing", "no column of it"), ("id", "of type int64")])
def test_observed_at_has_to_be_a_time_with_a_zone(lake: Lake, column: str, said: str) -> None:
    lake.write("orders/2024-03-04.parquet", orders(4, [1]))
    with pytest.raises(SpecError, match=said):
        lake.read(lake.spec({"orders": ORDERS | {"observed_at": column}}), ALL, window_of(4))


def test_a_path_with_an_apostrophe_is_a_path(tmp_path: Path) -> None:
    root = tmp_path / "it's"
    (root / "lake").mkdir(parents=True)
    lake = Lake(root)
    lake.write("orders/2024-03-04.parquet", orders(4, [1]))
    assert ids(lake.read(lake.spec({"orders": ORDERS}), ALL, window_of(4))) == [1]
