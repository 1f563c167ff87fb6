"""Queries that Postgres runs, all in one read-only transaction."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from tidemill.sources.source import Window
from tidemill.spec import ModelSpec
from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.model_queries import Query, bind
from tidemill.warehouse.reading import Column, copy_batches, describe, frozen_view
from tidemill.warehouse.zone_casts import find_zone_casts, zone_problem
from tidemill.workspace import Workspace

__all__ = ["PostgresSource", "open_postgres"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSource:
    """A transaction on the connection of a spec."""

    cursor: Cursor
    """Cursor of the transaction from ``frozen_view``."""
    workspace: Workspace
    """Where the queries are stored."""
    spec: ModelSpec
    inputs: dict[str, str] = field(default_factory=dict)
    """Empty: Postgres reads its own tables."""

    def columns(self, file: str, window: Window) -> tuple[Column, ...]:
        """Return the names and types of a query's columns."""
        return describe(self.cursor, self._query(file), window, self.spec.timezone)

    def zone_problems(self, file: str, window: Window) -> list[str]:
        """Return where the plan of a query shows that a time without a zone is interpreted as UTC."""
        timezone = self.spec.timezone
        found = find_zone_casts(self.cursor, self._query(file), window, timezone)
        return [zone_problem(name, expression, timezone) for name, expression in found]

    def batches(
        self, file: str, window: Window, columns: tuple[Column, ...], rounded: Counter[str] | None = None
    ) -> AbstractContextManager[Iterator[pa.RecordBatch]]:
        """Return a query's rows by COPY."""
        return copy_batches(self.cursor, self._query(file), window, columns, self.spec.entity_key, rounded)

    def _query(self, file: str) -> Query:
        return bind(self.workspace.query(file), file)


@contextmanager
def open_postgres(workspace: Workspace, spec: ModelSpec, timeout_s: int) -> Iterator[PostgresSource]:
    """Open a read-only transaction on the spec's connection; a statement may take ``timeout_s`` seconds."""
    with frozen_view(workspace.connection(spec.source.connection), timeout_s) as cursor:
        yield PostgresSource(cursor=cursor, workspace=workspace, spec=spec)
