"""Inputs from another Postgres: a query on it, run once per partition in one read-only transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from tidemill.errors import SpecError
from tidemill.intervals import Partition
from tidemill.sources.source import Window
from tidemill.spec import ModelSpec
from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import PARAMETERS, Query, bind
from tidemill.warehouse.reading import Column, copy_batches, describe, frozen_view
from tidemill.workspace import Workspace

__all__ = ["TIMEOUT_S", "Table", "open_table"]

TIMEOUT_S = 1800  # one partition's query


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A query on a Postgres."""

    cursor: Cursor
    """Cursor of the transaction from ``frozen_view``."""
    query: Query
    """The bound query."""
    columns: tuple[Column, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the query names no interval."""
        return not any(f"%({name})s" in self.query for name in ("start", "end"))

    def schema(self, partition: Partition | None) -> pa.Schema:
        """Return the query's columns, the same for each partition."""
        return self.newest_schema()

    def newest_schema(self) -> pa.Schema:
        """Return the query's columns."""
        return pa.schema([(column.name, column.arrow) for column in self.columns])

    def batches(self, partition: Partition | None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition, ordered by all columns: equal data give equal bytes."""
        window = _ANY if partition is None else _window(partition)
        names = [column.name for column in self.columns]
        with copy_batches(self.cursor, self.query, window, self.columns, names) as batches:
            yield from batches


@contextmanager
def open_table(workspace: Workspace, spec: ModelSpec, name: str) -> Iterator[Table]:
    """Open an input's query on its connection, for the length of a block.

    Raises
    ------
    SchemaChanged
        If the database lacks something that the query reads.
    SpecError
        If the query is not valid, or uses ``:cutoff``.
    WarehouseUnavailable
        If the database cannot be reached.
    """
    declared = spec.source.inputs[name]
    file = str(declared.query)
    query = bind(workspace.query(file), file)
    if "%(cutoff)s" in query:
        raise SpecError(
            f"{file} of input {name!r} uses :cutoff, but an input is read once for all cutoffs.",
            "Return the time at which a row became known, and name its column under 'observed_at'.",
        )
    with frozen_view(workspace.connection(declared.connection), TIMEOUT_S) as cursor:
        columns = describe(cursor, query, _ANY, spec.timezone)
        yield Table(cursor=cursor, query=query, columns=columns)


def _window(partition: Partition) -> Window:
    return {"start": partition.interval.start, "end": partition.interval.end, "cutoff": partition.interval.end}


_ANY: Window = dict.fromkeys(PARAMETERS, datetime(2000, 1, 1, tzinfo=UTC))
"""An arbitrary instant, for a query that is only described or names no interval."""
