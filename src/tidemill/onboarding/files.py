"""CSV and Parquet files as columns with types of Postgres, and batches that COPY takes."""

import csv
import io
import json
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tidemill.errors import OutOfMemory, SettingsError
from tidemill.onboarding.csv_types import infer
from tidemill.runtime.memory_budget import budget_bytes

__all__ = ["Content", "read_content"]

_DELIMITERS = ",;\t|"
_BATCH_ROWS = 65_536
_BLOCK_BYTES = 2**24  # parsed at a time; no row may be longer
_COPIES = 4  # of a CSV file in memory at once: bytes, text, columns of texts, typed columns
_SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
_PLAIN = {
    pa.bool_(): "boolean", pa.int8(): "smallint", pa.uint8(): "smallint", pa.int16(): "smallint", pa.uint16(): "integer",
    pa.int32(): "integer", pa.uint32(): "bigint", pa.int64(): "bigint", pa.uint64(): "numeric", pa.float16(): "real",
    pa.float32(): "real", pa.float64(): "double precision", pa.string(): "text", pa.large_string(): "text",
    pa.string_view(): "text", pa.date32(): "date", pa.date64(): "date", pa.null(): "text",
}  # fmt: skip
_DAY_TYPES = ("date", "timestamp", "timestamptz")
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file's columns and rows."""

    columns: dict[str, str]
    """Type in Postgres by name, in the file's order."""
    batches: Iterator[pa.RecordBatch]
    """Rows, as CSV can hold them."""
    n_rows: int
    """Number of rows."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know about the types."""


def read_content(path: Path) -> Content:
    """Read a file by its ending: ``.parquet``, or ``.csv``, ``.tsv`` or ``.txt``, also with ``.gz`` or ``.zst``.

    Raises
    ------
    SettingsError
        If it cannot be read; with the line, for a CSV file.
    OutOfMemory
        If a CSV file does not fit into memory, however small it is compressed.
    """
    if not path.is_file():
        raise SettingsError(f"There is no file {path}.", "Check the path.")
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    if not is_parquet and not any(ending in path.suffixes for ending in (".csv", ".tsv", ".txt")):
        raise SettingsError(f"{path} is neither .csv nor .parquet by its name.", "Rename it, or convert it.")
    try:
        return _parquet(path) if is_parquet else _csv(path)
    except (OSError, pa.ArrowException) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", "Write the file again.") from error


def _parquet(path: Path) -> Content:
    file = pq.ParquetFile(path, page_checksum_verification=True)
    _refuse_names(file.schema_arrow.names, f"{path}")
    columns = {item.name: _sql_type(item.type) for item in file.schema_arrow} | _days(file)
    batches = (
        pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], names=batch.schema.names)
        for batch in file.iter_batches(_BATCH_ROWS)
    )
    return Content(columns=columns, batches=batches, n_rows=file.metadata.num_rows)


def _days(file: pq.ParquetFile) -> dict[str, str]:
    """Return the type of each column of texts that holds only days or times, as CSV would have them."""
    texts = [
        item.name for item in file.schema_arrow if pa.types.is_string(item.type) or pa.types.is_large_string(item.type)
    ]
    found: dict[str, set[str]] = {name: set() for name in texts}
    for batch in file.iter_batches(_BATCH_ROWS, columns=texts) if texts else ():
        for name in [name for name in texts if "text" not in found[name]]:
            column = pa.chunked_array([pc.cast(batch.column(name), pa.string())])
            if column.null_count < len(column):
                typed = infer(column)
                is_day = typed.sql_type in _DAY_TYPES and not typed.written
                is_whole = typed.values.null_count == column.null_count  # COPY takes no empty text for a day
                found[name].add(typed.sql_type if is_day and is_whole else "text")
    return {name: kinds.pop() for name, kinds in found.items() if len(kinds) == 1 and "text" not in kinds}


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _sql_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return f"numeric({max(kind.precision, kind.scale)},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if any(is_bytes(kind) for is_bytes in _BYTES):
        return "bytea"
    if pa.types.is_nested(kind):
        return "jsonb"
    for is_kind, name in ((pa.types.is_time, "time"), (pa.types.is_duration, "interval")):
        if is_kind(kind):
            return name
    return _PLAIN.get(kind, "text")


def _plain(values: pa.Array) -> pa.Array:
    """Return a column as CSV can hold it, without loss."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain(values.dictionary_decode())
    if pa.types.is_timestamp(kind):  # Postgres keeps microseconds
        return pc.cast(values, pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
    if any(is_bytes(kind) for is_bytes in _BYTES):
        return pa.array([None if item is None else "\\x" + item.hex() for item in values.to_pylist()], pa.string())
    if pa.types.is_nested(kind):
        texts = (None if item is None else json.dumps(item, default=str) for item in values.to_pylist())
        return pa.array(list(texts), pa.string())
    if pa.types.is_time(kind):
        return pc.cast(values, pa.string())
    if pa.types.is_duration(kind):
        items = pc.cast(values, pa.duration("us"), safe=False).to_pylist()
        return pa.array([None if item is None else f"{item.total_seconds()!r} seconds" for item in items], pa.string())
    return values


def _csv(path: Path) -> Content:
    data = _unpacked(path)
    text = _decoded(path, data)
    if not text.strip():
        raise SettingsError(f"{path} is empty.", "Write a first line with the columns' names.")
    delimiter = max(_DELIMITERS, key=next(io.StringIO(text, newline="")).count)
    _, names = next(_rows(path, text, delimiter))
    _refuse_names(names, f"{path}:1")
    if '"' in text:  # Arrow would read on to the end of the file without a word
        deque(_rows(path, text, delimiter), maxlen=0)
    table = _texts(path, data, text, delimiter, names)
    typed = {name: infer(table[name]) for name in names}
    notes = [
        f"{path}:{_line_of(path, text, delimiter, one.odd_row)}: column {name!r} stays text, because of the value "
        f"{table[name][one.odd_row].as_py()!r}; nearly all others are {one.odd_type}."
        for name, one in typed.items()
        if one.odd_row is not None
    ]
    notes += [
        f"Column {name!r} is read as {one.sql_type}; the file writes {one.written}."
        for name, one in typed.items()
        if one.written
    ]
    rows = pa.table({name: one.values for name, one in typed.items()})
    columns = {name: one.sql_type for name, one in typed.items()}
    return Content(columns=columns, batches=iter(rows.to_batches(_BATCH_ROWS)), n_rows=rows.num_rows, notes=notes)


def _unpacked(path: Path) -> bytes:
    """Return a file's bytes, which end with the end of a line."""
    limit = budget_bytes() // _COPIES
    with pa.input_stream(str(path)) as stream:
        data: bytes = stream.read(limit + 1)
    if len(data) > limit:
        raise OutOfMemory(
            f"{path} has more than {limit:,} bytes unpacked; loading CSV takes {_COPIES} times as much memory.",
            "Write it as Parquet, which is loaded in pieces, or divide it.",
        )
    return data if data.endswith((b"\n", b"\r")) else data + b"\n"


def _decoded(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line} is not UTF-8: {error.reason}.", "Save the file as UTF-8.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SettingsError(f"{path}:{line} holds a NUL character, which Postgres cannot store.", "Remove it.")
    return text


def _texts(path: Path, data: bytes, text: str, delimiter: str, names: list[str]) -> pa.Table:
    """Parse a CSV file into columns of text; an empty value without quotes is NULL."""
    try:
        return pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise _uneven(path, text, delimiter, len(names)) or SettingsError(
            f"{path} is not valid CSV: {error}.", "Correct the file."
        ) from error


def _uneven(path: Path, text: str, delimiter: str, n_names: int) -> SettingsError | None:
    """Return the error of the first row that is longer or shorter than the first line."""
    for line, row in _rows(path, text, delimiter):
        if row and len(row) != n_names:
            return SettingsError(
                f"{path}:{line} has {len(row)} values, and the first line names {n_names} columns.",
                f"Correct the line; quote values that contain {delimiter!r}.",
            )
    return None


def _line_of(path: Path, text: str, delimiter: str, row: int) -> int:
    filled = (line for line, values in _rows(path, text, delimiter) if values)
    return next(line for number, line in zip(count(-1), filled, strict=False) if number == row)


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line on which it begins.

    Raises
    ------
    SettingsError
        If a value in quotes does not end with its quote; with the line on which its row begins.
    """
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for row in reader:
            yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise SettingsError(
            f"{path}:{begins} has a quote that is not closed, or text after one that is: {error}.",
            'Close it; write a quote within a value twice, as in "a ""quoted"" word".',
        ) from None


def _refuse_names(names: list[str], where: str) -> None:
    """Raise if names are missing, repeated, unreadable, Postgres's own, or more or longer than it keeps."""
    problems = ["there are no columns"] * (not names)
    problems += [f"column {names.index(name) + 1} has no name" for name in names if not name.strip()][:1]
    problems += [f"the name {name!r} has a character that cannot be seen" for name in names if _is_unseen(name)]
    problems += [f"Postgres has a column {name!r} of its own" for name in names if name in _SYSTEM_COLUMNS]
    problems += [f"two columns are named {name!r}" for name in dict.fromkeys(names) if name and names.count(name) > 1]
    problems += [f"the name {name!r} is longer than 63 bytes" for name in names if len(name.encode()) > 63]
    problems += [f"there are {len(names)} columns, and a table holds 1600"] * (len(names) > 1600)
    if problems:
        raise SettingsError(f"{where}: {'; '.join(problems)}.", "Correct the names of the columns.")


def _is_unseen(name: str) -> bool:
    """Whether a name has a character for control or format, such as NUL or a mark of the byte order."""
    return any(unicodedata.category(character).startswith("C") for character in name)
