"""Staging: what the queries read of each input, as immutable Parquet named by its digest.

Each partition of an input is a folder of the store, so that windows that overlap share it. Everything is staged before the
first query runs, so that all queries see one state.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tidemill.errors import SpecError
from tidemill.intervals import Interval, Partition
from tidemill.sources.files import declared_schema, open_files, refuse_other_columns
from tidemill.sources.source import Window
from tidemill.sources.tables import open_table
from tidemill.spec import Input, ModelSpec
from tidemill.storage.layout import GROUP_ROWS
from tidemill.storage.store import Store
from tidemill.storage.tables import in_groups, rows_writer
from tidemill.workspace import Workspace

__all__ = ["Reader", "Staged", "needed_partitions", "stage", "stage_schemas"]

_ROWS = "rows.parquet"
_WHOLE = ""  # stands for the key of a partition, where the input has none


class Reader(Protocol):
    """Where an input's rows come from."""

    @property
    def is_whole(self) -> bool:
        """Whether the input is not divided into partitions."""

    def schema(self, partition: Partition | None) -> pa.Schema | None:
        """Return the columns of a partition, or None if it is empty and may be."""

    def newest_schema(self) -> pa.Schema | None:
        """Return the columns, without reading rows; None if nothing shows them."""

    def batches(self, partition: Partition | None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What is staged of one input."""

    input: Input
    schema: pa.Schema
    files: dict[str, Path]
    """Parquet file of each partition that has rows or files, by its key."""
    empty: Path
    """Parquet file with the columns and no row."""
    digest: str
    """SHA-256 over the staged partitions and their digests."""

    def of(self, spec: ModelSpec, window: Window) -> list[Path]:
        """Return the files that a query needs for a window; at least one."""
        if _WHOLE in self.files:
            return [self.files[_WHOLE]]
        keys = [partition.key for partition in needed_partitions(spec, self.input, window)]
        return [self.files[key] for key in keys if key in self.files] or [self.empty]


def needed_partitions(spec: ModelSpec, declared: Input, window: Window) -> Iterator[Partition]:
    """Yield the partitions of an input that a window needs, oldest first.

    They are those of the window and of the input's lookback before it. Of the lookahead after it, only partitions count
    that begin before the cutoff; and none outside of the model's data.
    """
    every, zone = declared.every or spec.partitions.every, spec.timezone
    first, last = every.containing(window["start"], zone), every.containing(window["end"], zone)
    begin = every.containing(first.shift(window["start"], -declared.lookback), zone).interval.start
    if spec.partitions.first is not None:
        begin = max(begin, every.containing(spec.local_midnight(spec.partitions.first), zone).interval.start)
    end = max(window["end"], min(last.shift(window["end"], declared.lookahead), window["cutoff"]))
    yield from every.within(Interval(start=begin, end=end), zone)


def stage(workspace: Workspace, spec: ModelSpec, windows: Sequence[Window]) -> dict[str, Staged]:
    """Stage what the queries read in some windows, by the name of the input. Raises as ``open_source``."""
    store = Store.of(workspace)
    return {name: _stage(workspace, spec, name, windows, store) for name in spec.source.inputs}


def stage_schemas(workspace: Workspace, spec: ModelSpec, folder: Path) -> dict[str, Staged]:
    """Write an empty file per input into a folder, with the columns of the newest rows. Raises as ``open_source``."""
    staged = {}
    for number, (name, declared) in enumerate(spec.source.inputs.items()):
        with _opened(workspace, spec, name) as reader:
            schema = _known(reader.newest_schema(), spec, name)
            _refuse_bad_time(schema, spec, name)
        empty = _write(folder / f"{number}.parquet", schema, iter(()))
        staged[name] = Staged(input=declared, schema=schema, files={}, empty=empty, digest="")
    return staged


def _stage(workspace: Workspace, spec: ModelSpec, name: str, windows: Sequence[Window], store: Store) -> Staged:
    declared = spec.source.inputs[name]
    with _opened(workspace, spec, name) as reader:
        wanted = _wanted(spec, declared, windows, is_whole=reader.is_whole)
        schemas = {key: schema for key, part in wanted.items() if (schema := reader.schema(part)) is not None}
        refuse_other_columns(name, schemas)
        schema = _known(next(iter(schemas.values()), None), spec, name)
        _refuse_bad_time(schema, spec, name)
        parts = {key: _stored(store, spec, schema, reader.batches(wanted[key])) for key in schemas}
    digests = "".join(f"{key}\0{path.parent.name}\n" for key, path in parts.items())
    return Staged(
        input=declared,
        schema=schema,
        files=parts,
        empty=_stored(store, spec, schema, iter(())),
        digest=hashlib.sha256(digests.encode()).hexdigest(),
    )


def _wanted(
    spec: ModelSpec, declared: Input, windows: Sequence[Window], *, is_whole: bool
) -> dict[str, Partition | None]:
    if is_whole:
        return {_WHOLE: None}
    found = {part.key: part for window in windows for part in needed_partitions(spec, declared, window)}
    return {key: found[key] for key in sorted(found, key=lambda key: found[key].interval.start)}


def _stored(store: Store, spec: ModelSpec, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Path:
    def fill(folder: Path) -> None:
        _write(folder / _ROWS, schema, batches)

    stored = store.write(spec.model, "inputs", fill)
    return store.path(stored.uri) / _ROWS


def _write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Path:
    with rows_writer(path, schema) as writer:
        for batch in in_groups(batches, GROUP_ROWS):
            writer.write_batch(batch)
    return path


def _known(schema: pa.Schema | None, spec: ModelSpec, name: str) -> pa.Schema:
    """Return the columns, which an input without files has to declare."""
    if schema is not None:
        return schema
    declared = spec.source.inputs[name]
    if not declared.columns:
        raise SpecError(
            f"Input {name!r} of {spec.model!r} has no file at all that matches {declared.files}, so its columns are unknown.",
            "Correct the path, or list the columns with their types under 'columns'.",
        )
    return declared_schema(declared)


def _refuse_bad_time(schema: pa.Schema, spec: ModelSpec, name: str) -> None:
    column = spec.source.inputs[name].observed_at
    if column is None:
        return
    found = schema.field(column).type if column in schema.names else None
    if found != pa.timestamp("us", "UTC"):
        raise SpecError(
            f"observed_at of input {name!r} of {spec.model!r} is {column!r}, which is "
            f"{'no column of it' if found is None else f'of type {found}'}; expected a timestamp with a time zone.",
            f"Its columns are {schema.names}.",
        )


@contextmanager
def _opened(workspace: Workspace, spec: ModelSpec, name: str) -> Iterator[Reader]:
    declared = spec.source.inputs[name]
    if declared.query is not None:
        with open_table(workspace, spec, name) as table:
            yield table
    else:
        with open_files(name, declared, workspace.connection(declared.connection)) as files:
            yield files
