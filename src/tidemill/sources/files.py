"""Files of an input: Parquet or CSV on a folder or in a bucket, found by the template of their path."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tidemill.errors import NotReady, SchemaChanged, SettingsError, SourceUnavailable, first_line
from tidemill.intervals import Partition
from tidemill.spec import Input, Missing
from tidemill.spec.inputs import FIELDS
from tidemill.storage.bucket import Bucket, Item
from tidemill.storage.layout import GROUP_ROWS
from tidemill.warehouse.reading import Column

__all__ = ["Files", "declared_schema", "open_files", "refuse_other_columns"]

_BLOCK_BYTES = 2**20  # of CSV per batch
_BUFFER_BYTES = 2**16  # read at a time per column of Parquet


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of one input, as one listing found them."""

    name: str
    """The input's name."""
    input: Input
    bucket: Bucket
    """Folder or bucket of the connection."""
    items: tuple[Item, ...]
    """All files below the fixed part of the template."""
    read: set[Item] = field(default_factory=set)
    """Those that have been read."""

    @classmethod
    def of(cls, name: str, declared: Input, url: str) -> "Files":
        """List the files of an input.

        Raises
        ------
        SettingsError
            If the connection is not a folder or a bucket.
        SourceUnavailable
            If the folder does not exist.
        """
        bucket = Bucket(url)
        parts = urlsplit(url)
        if parts.scheme not in ("file", "s3"):
            raise SettingsError(
                f"Connection {declared.connection!r} of input {name!r} is not a folder or bucket.",
                "Write file:///folder or s3://bucket/prefix, or read a database with 'query'.",
            )
        if parts.scheme == "file" and not Path(parts.path).is_dir():
            raise SourceUnavailable(
                f"The folder {parts.path} of connection {declared.connection!r} does not exist; input {name!r} needs it.",
                "Mount it, or correct the connection.",
            )
        return cls(name=name, input=declared, bucket=bucket, items=_listed(bucket, declared))

    @property
    def is_whole(self) -> bool:
        """Whether the input is not divided into partitions."""
        return "{" not in str(self.input.files)

    def schema(self, partition: Partition | None) -> pa.Schema | None:
        """Return the columns of a partition's files, the same in each of them; None if there are no files.

        Raises
        ------
        NotReady
            If there are no files, unless ``missing`` is ``empty``.
        SchemaChanged
            If the files differ in their columns, or lack a declared one.
        SourceUnavailable
            If a file is not whole.
        """
        found = self._of(partition)
        if not found and self.input.missing is Missing.FAIL:
            where = f"for partition {partition.key!r}" if partition else "at all"
            raise NotReady(
                f"Input {self.name!r} has no file {where}: nothing in {self.bucket.place} matches {self.input.files}.",
                "Write the files, wait for them with 'predict: {ready: …}', or declare 'missing: empty' for the input.",
            )
        schemas = {item.key: self._schema_of(item) for item in found}
        refuse_other_columns(self.name, schemas)
        return next(iter(schemas.values()), None)

    def newest_schema(self) -> pa.Schema | None:
        """Return the columns of the last file by name, of any partition; None if there is no file."""
        pattern = _pattern(self.input, None)
        found = [item for item in self.items if pattern.fullmatch(item.key)]
        return self._schema_of(found[-1]) if found else None

    def batches(self, partition: Partition | None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition's files, in the order of their names.

        Raises
        ------
        SchemaChanged
            If a value of a CSV file is not of its column's type.
        SourceUnavailable
            If a file is not whole, or was removed.
        """
        for item in self._of(partition):
            self.read.add(item)
            with self._opened(item) as stream:
                for batch in self._rows(stream, item):
                    plain = _plain(batch.schema)
                    arrays = [self._cast(array, field, item) for array, field in zip(batch, plain, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=plain)

    def _cast(self, values: pa.Array, field: pa.Field, item: Item) -> pa.Array:
        """Convert values; of a time, only what is finer than a microsecond is lost."""
        try:
            return pc.cast(values, options=pc.CastOptions(target_type=field.type, allow_time_truncate=True))
        except pa.ArrowInvalid as error:
            raise SchemaChanged(
                f"Input {self.name!r}: column {field.name!r} of {item.key} holds a value beyond {field.type}:"
                f" {first_line(error)}.",
                "Write NULL, or a time before the year 10000, in its place.",
            ) from error

    def refuse_changes(self) -> None:
        """Refuse files that have been read and have changed since they were listed.

        Raises
        ------
        SourceUnavailable
            Names the first one.
        """
        changed = self.read - {*_listed(self.bucket, self.input)}
        if changed:
            raise SourceUnavailable(
                f"{self._place(min(changed, key=lambda item: item.key))} has changed while it was read.",
                "Write files under another name first, and rename them when they are whole.",
            )

    def _of(self, partition: Partition | None) -> tuple[Item, ...]:
        pattern = _pattern(self.input, partition)
        return tuple(item for item in self.items if pattern.fullmatch(item.key))

    def _schema_of(self, item: Item) -> pa.Schema:
        with self._opened(item) as stream:
            if not self.input.is_csv:
                with pq.ParquetFile(stream) as file:
                    return self._selected(_plain(file.schema_arrow), item)
            self._refuse_cut(stream, item)
            header = stream.read(min(item.size_bytes, _BLOCK_BYTES)).split(b"\n", 1)[0] + b"\n"
            there = pa_csv.read_csv(pa.BufferReader(header)).column_names
        self._refuse_lacking(there, item)
        return declared_schema(self.input)

    def _selected(self, schema: pa.Schema, item: Item) -> pa.Schema:
        """Return the declared columns of a Parquet file; all of them if none is declared."""
        if not self.input.columns:
            return schema
        self._refuse_lacking(schema.names, item)
        found, declared = pa.schema([schema.field(name) for name in self.input.columns]), declared_schema(self.input)
        if found != declared:
            raise SchemaChanged(
                f"Input {self.name!r}: {item.key} differs from what 'columns' declares: {_difference(declared, found)}.",
                "Correct the declaration or the file.",
            )
        return found

    def _refuse_lacking(self, there: list[str], item: Item) -> None:
        lacking = [name for name in self.input.columns if name not in there]
        if lacking:
            raise SchemaChanged(
                f"Input {self.name!r}: {item.key} lacks column(s) {lacking}; it has {there}.",
                "Write them, or correct 'columns'.",
            )

    def _rows(self, stream: Any, item: Item) -> Iterator[pa.RecordBatch]:
        if not self.input.is_csv:
            with pq.ParquetFile(
                stream, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
            ) as file:
                names = list(self.input.columns) or None
                yield from file.iter_batches(GROUP_ROWS, columns=names, use_threads=False)
            return
        schema = declared_schema(self.input)
        try:
            yield from pa_csv.open_csv(
                stream,
                read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=schema,
                    include_columns=schema.names,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise SchemaChanged(
                f"Input {self.name!r}: {item.key} does not hold what 'columns' declares: {first_line(error)}.",
                "Correct the file, or read the column as text and CAST it in the query.",
            ) from error

    def _refuse_cut(self, stream: Any, item: Item) -> None:
        """Refuse a CSV file that does not end with a line break: its last value may be cut short."""
        if item.size_bytes:
            stream.seek(item.size_bytes - 1)
        if not item.size_bytes or stream.read(1) != b"\n":
            raise SourceUnavailable(
                f"{self._place(item)} does not end with a line break, so it may be half written.",
                "Write it to its end, with a line break after the last row.",
            )
        stream.seek(0)

    @contextmanager
    def _opened(self, item: Item) -> Iterator[Any]:
        """Open a file, and translate what a file that is not whole raises."""
        try:
            with self.bucket.opened(item.key) as stream:
                try:
                    yield stream
                except (pa.ArrowInvalid, OSError) as error:
                    raise SourceUnavailable(
                        f"{self._place(item)} cannot be read as a whole file: {first_line(error)}.",
                        "It may still be being written: write it under another name first, and rename it when it is whole.",
                    ) from error
        except FileNotFoundError as error:
            raise SourceUnavailable(f"{self._place(item)} was removed while it was read.", "Write it again.") from error

    def _place(self, item: Item) -> str:
        return f"Input {self.name!r}: {self.bucket.place}/{item.key}"


@contextmanager
def open_files(name: str, declared: Input, url: str) -> Iterator[Files]:
    """List the files of an input for a block; at its end, refuse those that have changed. Raises as `Files`."""
    files = Files.of(name, declared, url)
    yield files
    files.refuse_changes()


def refuse_other_columns(name: str, schemas: dict[str, pa.Schema]) -> None:
    """Refuse files or partitions of an input that differ in their columns.

    Raises
    ------
    SchemaChanged
        Names the first one that differs, and how.
    """
    (first, expected), *others = [*schemas.items()] or [("", None)]
    for place, schema in others:
        if schema != expected:
            raise SchemaChanged(
                f"Input {name!r}: {place} differs in its columns from {first}: {_difference(expected, schema)}.",
                "Write them with the same columns and types, or list those to be read under 'columns'.",
            )


def declared_schema(declared: Input) -> pa.Schema:
    """Return the columns that an input declares."""
    return pa.schema([(name, Column.of(name, kind).arrow) for name, kind in declared.columns.items()])


def _listed(bucket: Bucket, declared: Input) -> tuple[Item, ...]:
    fixed = re.split(r"[{*]", str(declared.files), maxsplit=1)[0]
    return tuple(bucket.items(fixed.rpartition("/")[0]))


def _pattern(declared: Input, partition: Partition | None) -> re.Pattern[str]:
    """Return the template as a pattern: of one partition, or of any."""
    values = ["*"] * len(FIELDS)
    if partition is not None:
        start = partition.interval.start.astimezone(ZoneInfo(partition.timezone))
        values = [partition.key, *start.strftime("%Y %m %d %H").split()]
    path = str(declared.files).format(**dict(zip(FIELDS, values, strict=True)))
    return re.compile("[^/]*".join(re.escape(part) for part in path.split("*")))


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return columns without what only a file's writer chose: dictionaries, sizes of offsets, units of time, metadata."""
    return pa.schema([(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_duration(kind):
        return pa.duration("us")
    return pa.timestamp("us", "UTC" if kind.tz else None) if types.is_timestamp(kind) else kind


def _difference(expected: pa.Schema, found: pa.Schema) -> str:
    there = {field.name: field.type for field in found}
    wanted = {field.name: field.type for field in expected}
    said = [f"{name} is missing" for name in wanted.keys() - there.keys()]
    said += [f"{name} is new" for name in there.keys() - wanted.keys()]
    said += [
        f"{name} is {there[name]}, and not {kind}" for name, kind in wanted.items() if there.get(name, kind) != kind
    ]
    return "; ".join(sorted(said)) or "their order"
