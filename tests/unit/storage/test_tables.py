import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidemill.errors import ArtifactCorrupt
from tidemill.storage.tables import read_batches, read_table

ROWS = pa.table({"x": np.random.default_rng(0).normal(size=5000), "key": [f"k{number}" for number in range(5000)]})


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "features.parquet"
    pq.write_table(ROWS, path, compression="zstd", write_page_checksum=True)
    return path


def test_a_table_is_read_as_it_was_written(stored: Path) -> None:
    assert read_table(stored).equals(ROWS)


def test_columns_that_it_does_not_have_are_left_out(stored: Path) -> None:
    assert read_table(stored, ["key", "other"]).column_names == ["key"]


def test_a_table_cut_off_anywhere_is_refused_by_name(stored: Path) -> None:
    whole = stored.read_bytes()
    for length in [0, 4, len(whole) // 2, len(whole) - 1, *random.Random(1).sample(range(len(whole)), 50)]:
        stored.write_bytes(whole[:length])
        with pytest.raises(ArtifactCorrupt, match=r"features\.parquet cannot be read"):
            read_table(stored)


def test_a_missing_table_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactCorrupt, match=r"none\.parquet cannot be read"):
        read_table(tmp_path / "none.parquet")


def test_a_byte_flipped_within_a_page_is_refused(stored: Path) -> None:
    whole = stored.read_bytes()
    first = pq.ParquetFile(stored).metadata.row_group(0).column(0)
    start = first.dictionary_page_offset or first.data_page_offset
    data = range(start + 100, start + first.total_compressed_size - 100)
    for offset in random.Random(2).sample(data, 50):
        stored.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        with pytest.raises(ArtifactCorrupt, match=r"features\.parquet cannot be read"):
            read_table(stored)


def test_in_pieces_it_is_the_same_table(stored: Path) -> None:
    assert pa.Table.from_batches(read_batches(stored, ["x", "key"], 700)).equals(ROWS)


def test_in_pieces_a_damaged_page_is_refused_as_well(stored: Path) -> None:
    whole = stored.read_bytes()
    first = pq.ParquetFile(stored).metadata.row_group(0).column(0)
    offset = (first.dictionary_page_offset or first.data_page_offset) + first.total_compressed_size // 2
    stored.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
    with pytest.raises(ArtifactCorrupt, match=r"features\.parquet cannot be read"):
        list(read_batches(stored, ["x", "key"], 700))


@pytest.mark.parametrize("row_group_size", [50_000, 1_000_000], ids=["many row groups", "one row group"])
def test_in_pieces_only_a_part_of_it_is_in_memory(tmp_path: Path, row_group_size: int) -> None:
    noise = np.random.default_rng(0).normal(size=(10, 600_000))
    path = tmp_path / "large.parquet"
    table = pa.table({f"x{number}": values for number, values in enumerate(noise)})
    pq.write_table(table, path, compression="zstd", write_page_checksum=True, row_group_size=row_group_size)
    before, most = pa.total_allocated_bytes(), 0
    for _ in read_batches(path, table.column_names, 10_000):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < path.stat().st_size * 0.6  # a page or two of each column; read ahead, it would be all of it


@pytest.mark.parametrize("row_group_size", [1000, 1024, 5000])
@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (0, 1), (999, 1001), (1000, 3000), (2500, 5000), (4999, 5000), (7, 7)]
)
def test_rows_from_the_middle_are_those_of_the_table(
    tmp_path: Path, row_group_size: int, start: int, stop: int | None
) -> None:
    path = tmp_path / "features.parquet"
    pq.write_table(ROWS, path, row_group_size=row_group_size, write_page_checksum=True)
    batches = list(read_batches(path, ["x", "key"], 300, start, stop))
    assert pa.Table.from_batches(batches, ROWS.schema).equals(
        ROWS.slice(start, (5000 if stop is None else stop) - start)
    )
    assert all(0 < batch.num_rows <= 300 for batch in batches)
