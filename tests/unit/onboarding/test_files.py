"""Files that cannot be meant are refused with their place; nothing is lost without a word."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidemill.errors import FatalError, OutOfMemory, SettingsError
from tidemill.onboarding.files import read_content
from tidemill.onboarding.names import TableName


def written(folder: Path, content: str | bytes, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,2\n"x\ny",3\n1,2,3\n', r"orders\.csv:5 has 3 values, and the first line names 2 columns"),
        (b"a\nx\n\xff\n", r"orders\.csv:3 is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), r"orders\.csv:1 is not UTF-8"),
        (b"a\n\xed\xa0\x80\n", r"orders\.csv:2 is not UTF-8"),
        ("a\nx\n\0\n", r"orders\.csv:3 holds a NUL character"),
        ("a,,b\n1,2,3\n", r"orders\.csv:1: column 2 has no name"),
        ("a,a\n1,2\n", r"orders\.csv:1: two columns are named 'a'"),
        ("\na,b\n1,2\n", r"orders\.csv:1: there are no columns"),
        ("\ufeff\ufeffa,b\n1,2\n", r"the name '\\ufeffa' has a character that cannot be seen"),
        ("ctid,b\n1,2\n", r"Postgres has a column 'ctid' of its own"),
        ('a,b\n1,2\n3,"x\n4,5\n', r"orders\.csv:3 has a quote that is not closed"),
        ('a,b\n1,"x\n2,"y\n', r"orders\.csv:2 has a quote that is not closed, or text after one that is"),
        ('a,"b\n1,2\n', r"orders\.csv:1 has a quote that is not closed"),
        ("", "is empty"),
        ("\n \n", "is empty"),
    ],
)  # fmt: skip
def test_a_broken_csv_file_names_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        read_content(written(tmp_path, text))
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\r1,x\r2,y\r", [("1", "x"), ("2", "y")]),
        ("a,b\r\n1,x\n2,y", [("1", "x"), ("2", "y")]),
        ("a,b", []),
        ('a,b\n1,x"y\n', [("1", 'x"y')]),
        ('a,b\n1,"x""y\n,z"\n', [("1", 'x"y\n,z')]),
        (f"a,b\n1,{'x' * 3_000_000}\n", [("1", "x" * 3_000_000)]),
    ],
)  # fmt: skip
def test_every_row_of_an_odd_but_sound_file_is_read(tmp_path: Path, text: str, rows: list[tuple[str, str]]) -> None:
    content = read_content(written(tmp_path, text))
    found = [tuple(row.values()) for batch in content.batches for row in batch.to_pylist()]
    assert (found, content.n_rows) == (rows, len(rows))


def test_a_file_that_unpacks_to_more_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_MEMORY_MB", "4")
    bomb = gzip.compress(b"a\n" + b"1\n" * 2**20)
    assert len(bomb) < 10_000
    with pytest.raises(OutOfMemory, match="more than 1,048,576 bytes unpacked"):
        read_content(written(tmp_path, bomb, "orders.csv.gz"))


def parquet(folder: Path, table: pa.Table, **options: Any) -> bytes:
    pq.write_table(table, folder / "sound.parquet", **options)
    return (folder / "sound.parquet").read_bytes()


@pytest.mark.parametrize("cut", [0, 4, 0.5, -8, -1])
def test_a_half_written_parquet_file_is_refused(tmp_path: Path, cut: float) -> None:
    whole = parquet(tmp_path, pa.table({"a": range(1000)}))
    end = int(cut * len(whole)) if isinstance(cut, float) else cut
    with pytest.raises(SettingsError, match="cannot be read"):
        read_content(written(tmp_path, whole[:end], "orders.parquet"))


@pytest.mark.parametrize(
    ("names", "message"), [((), "there are no columns"), (("a\0b",), "cannot be seen"), (("a", "a"), "two columns")]
)
def test_a_parquet_file_without_names_for_a_table_is_refused(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    content = parquet(tmp_path, pa.table([pa.array([1])] * len(names), names=list(names)))
    with pytest.raises(SettingsError, match=message):
        read_content(written(tmp_path, content, "orders.parquet"))


def test_a_flipped_bit_of_a_page_is_found_by_its_checksum(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(1000))})
    content = bytearray(parquet(tmp_path, table, write_page_checksum=True, use_dictionary=False, compression="none"))
    content[content.index((500).to_bytes(8, "little"))] ^= 4
    with pytest.raises(OSError, match="checksum"):
        list(read_content(written(tmp_path, bytes(content), "orders.parquet")).batches)


@pytest.mark.parametrize("name", ["shop.a\0b", "shop.\udcff", 'shop."a\nb"', "shop", "a.b.c", ""])
def test_a_name_that_no_table_can_have_is_refused(name: str) -> None:
    with pytest.raises(FatalError, match="does not name a table"):
        TableName.parse(name).refuse_own()


@pytest.mark.parametrize(
    ("odd", "expected"), [("2024-03-01", "date"), ("", "text"), ("soon", "text"), ("01.03.2024", "text")]
)
def test_a_parquet_column_of_texts_with_only_days_holds_days(tmp_path: Path, odd: str, expected: str) -> None:
    days = pa.array(["2024-02-28", None, odd])
    pq.write_table(pa.table({"day": days}), tmp_path / "days.parquet")
    assert read_content(tmp_path / "days.parquet").columns == {"day": expected}


def test_the_form_of_rewritten_values_is_noted(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("Am;Betrag\n31.12.2023;1.234,50\n", encoding="utf-8")
    content = read_content(tmp_path / "file.csv")
    assert content.columns == {"Am": "date", "Betrag": "double precision"}
    assert content.notes[0] == "Column 'Am' is read as date; the file writes day.month.year."
