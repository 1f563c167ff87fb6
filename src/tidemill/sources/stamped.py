"""A source of rows without a time: each gets the start of the partition in which it is read."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from tidemill.errors import SpecError
from tidemill.sources.source import Source, Window
from tidemill.spec import OBSERVED_AT, STAMP, ModelSpec
from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import parameters_of
from tidemill.warehouse.reading import Column
from tidemill.workspace import Workspace

__all__ = ["StampedSource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedSource:
    """Another source, whose features query gets the column `STAMP`, and whose labels query ``observed_at`` if it has none."""

    source: Source
    """Where the rows come from."""
    workspace: Workspace
    """Where the queries are."""
    spec: ModelSpec

    @property
    def cursor(self) -> Cursor | None:
        """That of the source."""
        return self.source.cursor

    @property
    def inputs(self) -> dict[str, str]:
        """Those of the source."""
        return self.source.inputs

    def columns(self, file: str, window: Window) -> tuple[Column, ...]:
        """Return the names and types of a query's columns, the stamp last.

        Raises
        ------
        SpecError
            If the query asks for an interval of time, or has a column with the name of the stamp.
        """
        bounds = parameters_of(self.workspace.query(file)) & {"start", "end"}
        if bounds:
            raise SpecError(
                f"{file} asks for :{min(bounds)}, and event_time of {self.spec.model!r} is none.",
                "Select all rows as they are now, or name the column with their time as event_time.",
            )
        columns = self.source.columns(file, window)
        names = {column.name for column in columns}
        if STAMP in names:
            raise SpecError(f"{file} gives a column {STAMP!r}, which Tidemill itself adds.", "Rename it.")
        return (*columns, *(Column.of(name, "timestamptz") for name in self._added(file) if name not in names))

    def zone_problems(self, file: str, window: Window) -> list[str]:
        """Those of the source."""
        return self.source.zone_problems(file, window)

    @contextmanager
    def batches(
        self, file: str, window: Window, columns: tuple[Column, ...], rounded: Counter[str] | None = None
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Return a query's rows with the stamp."""
        there = {column.name for column in self.source.columns(file, window)}
        own = tuple(column for column in columns if column.name in there)
        added = tuple(column for column in columns if column.name not in there)
        with self.source.batches(file, window, own, rounded) as batches:
            yield (_stamped(batch, added, min(window["start"], window["cutoff"])) for batch in batches)

    def _added(self, file: str) -> tuple[str, ...]:
        if file == self.spec.source.features:
            return (STAMP,)
        return (OBSERVED_AT,) if file == self.spec.source.labels else ()


def _stamped(batch: pa.RecordBatch, added: tuple[Column, ...], instant: datetime) -> pa.RecordBatch:
    for column in added:
        values = pa.repeat(pa.scalar(instant, column.arrow), batch.num_rows)
        batch = batch.append_column(pa.field(column.name, column.arrow), values)
    return batch
