"""Tables on the storage: Parquet read back with the checksum of every page compared.

A snapshot's digest is compared when its folder is opened; the page checksums cover the time after that, and damage becomes
a clear error. By default, Arrow silently reads a flipped byte within a page.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.errors import ArtifactCorrupt, first_line

__all__ = [
    "count_rows",
    "count_values",
    "in_groups",
    "read_batches",
    "read_schema",
    "read_table",
    "rows_writer",
    "table_writer",
]

_BUFFER_BYTES = 2**16  # read at a time per column; without a buffer, a row group's whole column is read


def table_writer(path: Path, schema: pa.Schema, **encoding: Any) -> pq.ParquetWriter:
    """Open a table for writing, with a checksum per page; close it, or use it in `with`."""
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True, **encoding)


def rows_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a table for rows of a source, as `table_writer` does, with an encoding for columns whose doubles differ.

    For such a column, a dictionary would double the time and need 20 % more space.
    """
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    others = [name for name in schema.names if name not in floats]
    return table_writer(path, schema, use_byte_stream_split=floats, use_dictionary=others)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a stored table.

    Parameters
    ----------
    path : Path
        Parquet file that was written with checksums.
    columns : sequence of str, optional
        Names to read; missing ones are skipped. All by default.

    Raises
    ------
    ArtifactCorrupt
        If it is missing or truncated, or a page does not match its checksum.
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


def count_values(path: Path) -> dict[str, int]:
    """Return the maximum number of values in each column of a stored table, from the file's statistics alone.

    NULL is not a value. Neither is NaN in a row group of floats that holds only NaN; NaN beside numbers counts.
    Raises the same errors as `read_table`.
    """
    counts: dict[str, int] = {}
    with _opened(path) as file:
        counts |= dict.fromkeys(file.schema_arrow.names, 0)
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            for at, name in enumerate(counts):
                counts[name] += _count_of_chunk(group.column(at))
    return counts


def _count_of_chunk(chunk: pq.ColumnChunkMetaData) -> int:
    found = chunk.statistics
    if found is None:
        return int(chunk.num_values)
    only_nan = chunk.physical_type in ("FLOAT", "DOUBLE") and not found.has_min_max
    return 0 if only_nan else int(chunk.num_values - found.null_count)


def read_batches(
    path: Path, columns: Sequence[str] | None, batch_rows: int, start: int = 0, stop: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Read a stored table in batches, one at a time in memory; columns and errors as for `read_table`.

    Parameters
    ----------
    batch_rows : int
        Maximum rows per batch.
    start, stop : int, default 0 and None
        First row, and first row after the last one; None for all. Row groups without any of them are not read.
    """
    with _opened(path, buffer_size=_BUFFER_BYTES) as file:
        groups, first = _groups(file.metadata, start, stop)
        for batch in file.iter_batches(batch_rows, groups, _there(file, columns), use_threads=False):
            wanted = batch[max(start - first, 0) : None if stop is None else max(stop - first, 0)]
            first += batch.num_rows
            if wanted.num_rows:
                yield wanted


def _groups(metadata: pq.FileMetaData, start: int, stop: int | None) -> tuple[list[int], int]:
    """Return the row groups that contain some of the rows, and the number of the first row of the first group."""
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
    """Open a file without read-ahead, which by default would load it all before its last batch is requested."""
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
    said = first_line(error)
    return ArtifactCorrupt(
        f"{path} cannot be read as it was written: {said}",
        "Restore it from a backup, or run the step that wrote it again.",
    )
