"""Tables on the storage: Parquet read back with the checksum of every page compared.

A snapshot's digest is compared when its folder is opened; this covers what happens to the bytes after that, and says
in our words what a damaged file is. Arrow by itself reads a flipped byte within a page without a word.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.errors import ArtifactCorrupt

__all__ = ["count_rows", "in_groups", "read_batches", "read_schema", "read_table", "table_writer"]

_BUFFER_BYTES = 2**16  # of a column that are read at a time; without a buffer it is all of a row group's column


def table_writer(path: Path, schema: pa.Schema, **encoding: Any) -> pq.ParquetWriter:
    """Open a table for writing, with a checksum for every page, which reading compares; close it, or use it in `with`."""
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True, **encoding)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a stored table.

    Parameters
    ----------
    path : Path
        Parquet file that was written with checksums.
    columns : sequence of str, optional
        Names to read; those that the table does not have are left out. All by default.

    Raises
    ------
    ArtifactCorrupt
        If it is missing, cut off, or a page is not what its checksum says.
    """
    with _opened(path) as file:
        return file.read(_there(file, columns))


def read_schema(path: Path) -> pa.Schema:
    """Read the names and types of a stored table's columns; raises as `read_table`."""
    with _opened(path) as file:
        return file.schema_arrow


def count_rows(path: Path) -> int:
    """Return the number of a stored table's rows; raises as `read_table`."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def read_batches(
    path: Path, columns: Sequence[str] | None, batch_rows: int, start: int = 0, stop: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Read a stored table in pieces, of which one at a time is in memory; columns and errors as for `read_table`.

    Parameters
    ----------
    batch_rows : int
        Most rows of a piece.
    start, stop : int, default 0 and None
        First row, and first row after the last one; None for all. Row groups that hold none of them are not read.
    """
    with _opened(path, buffer_size=_BUFFER_BYTES) as file:
        groups, first = _groups(file.metadata, start, stop)
        for batch in file.iter_batches(batch_rows, groups, _there(file, columns), use_threads=False):
            wanted = batch[max(start - first, 0) : None if stop is None else max(stop - first, 0)]
            first += batch.num_rows
            if wanted.num_rows:
                yield wanted


def _groups(metadata: pq.FileMetaData, start: int, stop: int | None) -> tuple[list[int], int]:
    """Return the row groups that hold some of the rows, and the number of the first row of the first one."""
    groups, first, end = [], 0, 0
    for number in range(metadata.num_row_groups):
        begin, end = end, end + metadata.row_group(number).num_rows
        if end <= start:
            first = end
        elif stop is None or begin < stop:
            groups.append(number)
    return groups, first


def in_groups(batches: Iterable[pa.RecordBatch], least_rows: int) -> Iterator[pa.RecordBatch]:
    """Join batches until there are enough rows for a row group; the last one may have fewer.

    Examples
    --------
    >>> small = [pa.record_batch({"n": [number]}) for number in range(5)]
    >>> [len(group) for group in in_groups(small, 2)]
    [2, 2, 1]
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= least_rows:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


@contextmanager
def _opened(path: Path, buffer_size: int = 0) -> Iterator[pq.ParquetFile]:
    """Open a file; read ahead, as Arrow does by default, it would be in memory whole before its last batch is asked for."""
    try:
        with pq.ParquetFile(
            path, page_checksum_verification=True, buffer_size=buffer_size, pre_buffer=not buffer_size
        ) as file:
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        raise _corrupt(path, error) from error


def _there(file: pq.ParquetFile, columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else [name for name in columns if name in file.schema_arrow.names]


def _corrupt(path: Path, error: Exception) -> ArtifactCorrupt:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ArtifactCorrupt(
        f"{path} cannot be read as it was written: {said}",
        "Restore it from a backup, or run the step that wrote it again.",
    )
