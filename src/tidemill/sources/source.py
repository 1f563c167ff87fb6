"""What a step needs of a source."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.reading import Column

__all__ = ["Source", "Window"]

Window = Mapping[str, datetime]
"""Values of a query's parameters: ``start``, ``end`` and ``cutoff``."""


class Source(Protocol):
    """One state of the data, on which a model's queries run."""

    @property
    def cursor(self) -> Cursor | None:
        """Transaction in which the plan of a query can be examined; None if the engine has no plan that Tidemill reads."""

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of what is staged of each input, by name; empty if nothing has to be staged."""

    def columns(self, file: str, window: Window) -> tuple[Column, ...]:
        """Return the names and types of a query's columns, without running it.

        Raises
        ------
        SchemaChanged
            If the source lacks something that the query reads.
        SpecError
            If the query is not valid, or a type is not supported.
        """

    def zone_problems(self, file: str, window: Window) -> list[str]:
        """Return where a query interprets a time without a zone as UTC, as sentences with advice."""

    def batches(
        self, file: str, window: Window, columns: tuple[Column, ...], rounded: Counter[str] | None = None
    ) -> AbstractContextManager[Iterator[pa.RecordBatch]]:
        """Return a query's rows in the order of the entity key, for the length of a block.

        Parameters
        ----------
        columns : tuple of Column
            From `columns`.
        rounded : Counter, optional
            Counts how many values of each ``numeric`` column lose digits as a double.
        """
