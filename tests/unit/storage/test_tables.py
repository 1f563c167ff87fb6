import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidemill.errors import ArtifactCorrupt
from tidemill.storage.tables import read_table

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
