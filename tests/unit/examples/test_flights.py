"""Reading and copying the example's files, without a database."""

import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import SettingsError
from tidemill_examples import flights


class RecordingCursor:
    """Stands in for a cursor, and keeps what it is given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.rowcount = 0

    def copy_expert(self, statement: str, file: object) -> None:
        self.pieces.append(file.read())
        self.rowcount = self.pieces[-1].count(b"\n")


def _nothing(table: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "airlines.csv").write_text("carrier,name\nUA,NA\n")
    return {"airlines": tmp_path / "airlines.csv"}


def test_every_file_is_found_in_the_installed_package() -> None:
    assert all(flights._installed(name).is_file() for name in flights._FILES.values())


def test_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(SettingsError, match=r"pip install 'tidemill\[local\]'"):
        flights._installed("flights.csv.zip", package="no-such-package")


def test_na_is_read_as_null(files: dict[str, Path]) -> None:
    assert flights._read_csv(files["airlines"]).to_pylist() == [{"carrier": "UA", "name": None}]


def test_zipped_file_is_read_like_a_plain_one(files: dict[str, Path], tmp_path: Path) -> None:
    zipped = tmp_path / "airlines.csv.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(files["airlines"], "airlines.csv")
    assert flights._read_csv(zipped).equals(flights._read_csv(files["airlines"]))


def test_digest_stays_when_nothing_changed(files: dict[str, Path]) -> None:
    assert flights._digest(files) == flights._digest(files)


def test_digest_changes_with_a_file(files: dict[str, Path]) -> None:
    before = flights._digest(files)
    files["airlines"].write_text("carrier,name\nUA,United\n")
    assert flights._digest(files) != before


def test_null_is_copied_as_nothing_and_empty_text_as_quotes() -> None:
    batch = pa.RecordBatch.from_pydict({"a": pa.array([None, "", "x"]), "b": pa.array([1, 2, 3])})
    assert flights.as_csv(batch) == b',1\n"",2\n"x",3\n'


@given(st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=6))
def test_no_piece_of_a_copy_is_empty(sizes: list[int]) -> None:
    cursor = RecordingCursor()
    table = pa.Table.from_batches([pa.RecordBatch.from_pydict({"a": pa.array(range(n), pa.int64())}) for n in sizes])
    flights._copy(cursor, "airlines", table, _nothing)
    assert all(cursor.pieces)


@given(st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=6))
def test_last_report_of_a_copy_is_of_all_rows(sizes: list[int]) -> None:
    reports: list[tuple[str, int, int]] = []
    table = pa.Table.from_batches([pa.RecordBatch.from_pydict({"a": pa.array(range(n), pa.int64())}) for n in sizes])
    flights._copy(RecordingCursor(), "airlines", table, lambda *report: reports.append(report))
    assert reports[-1] == ("airlines", sum(sizes), sum(sizes))


def test_staged_tables_take_the_files_columns_in_their_order() -> None:
    schema = flights._statements("schema.sql")
    for table, staged in flights._STAGED.items():
        (columns,) = re.findall(rf"TABLE {staged} \((.*?)\n\)", schema, re.DOTALL)
        names = [column.split()[0] for column in columns.split(",")]
        assert set(names) == set(flights._read_csv(flights._installed(flights._FILES[table])).column_names)
