"""Open the source of a model."""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tidemill.errors import SettingsError
from tidemill.sources.postgres import open_postgres
from tidemill.sources.source import Source, Window
from tidemill.sources.staging import stage, stage_schemas
from tidemill.sources.stamped import StampedSource
from tidemill.spec import Engine, ModelSpec
from tidemill.storage.scratch import scratch, temporary
from tidemill.workspace import Workspace

__all__ = ["open_schema", "open_source"]


@contextmanager
def open_source(workspace: Workspace, spec: ModelSpec, windows: Sequence[Window], timeout_s: int) -> Iterator[Source]:
    """Open a model's source for the length of a block; inputs are staged before it begins.

    Rows without a time get the start of their partition as one.

    Parameters
    ----------
    workspace : Workspace
        Queries, connections and storage.
    windows : sequence of Window
        All windows that will be read.
    timeout_s : int
        Seconds after which a single query is cancelled.

    Raises
    ------
    NotReady
        If a partition of an input has no files.
    SourceUnavailable, StorageUnavailable, WarehouseUnavailable
        If an input cannot be reached, or a file is not whole.
    SchemaChanged
        If the files of an input differ in their columns.
    """
    with _open_engine(workspace, spec, windows, timeout_s) as source:
        yield _with_time(source, workspace, spec)


@contextmanager
def _open_engine(workspace: Workspace, spec: ModelSpec, windows: Sequence[Window], timeout_s: int) -> Iterator[Source]:
    if spec.source.engine is Engine.POSTGRES:
        with open_postgres(workspace, spec, timeout_s) as source:
            yield source
        return
    _require_duckdb(spec)
    from tidemill.sources.duckdb import open_duckdb  # an extra

    staged = stage(workspace, spec, windows)
    with (
        scratch(workspace.storage / spec.model / "inputs") as spill,
        open_duckdb(workspace, spec, staged, spill, timeout_s) as over_inputs,
    ):
        yield over_inputs


@contextmanager
def open_schema(workspace: Workspace, spec: ModelSpec, timeout_s: int) -> Iterator[Source]:
    """Open a model's source only to describe its queries: of inputs, just the columns are read. Raises as `open_source`."""
    with _open_engine_schema(workspace, spec, timeout_s) as source:
        yield _with_time(source, workspace, spec)


@contextmanager
def _open_engine_schema(workspace: Workspace, spec: ModelSpec, timeout_s: int) -> Iterator[Source]:
    if spec.source.engine is Engine.POSTGRES:
        with open_postgres(workspace, spec, timeout_s) as source:
            yield source
        return
    _require_duckdb(spec)
    from tidemill.sources.duckdb import open_duckdb  # an extra

    with temporary() as folder:
        staged = stage_schemas(workspace, spec, folder)
        with open_duckdb(workspace, spec, staged, folder, timeout_s) as empty:
            yield empty


def _with_time(source: Source, workspace: Workspace, spec: ModelSpec) -> Source:
    return source if spec.has_time else StampedSource(source=source, workspace=workspace, spec=spec)


def _require_duckdb(spec: ModelSpec) -> None:
    if importlib.util.find_spec("duckdb") is None:
        raise SettingsError(
            f"source.engine of {spec.model!r} is duckdb, and DuckDB is not installed here.",
            "Install the lock, or Tidemill with its extra 'duckdb': pip install 'tidemill[duckdb]'.",
        )
