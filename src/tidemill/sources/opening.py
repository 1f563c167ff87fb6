"""Open the source of a model."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tidemill.errors import SettingsError
from tidemill.sources.postgres import open_postgres
from tidemill.sources.source import Source, Window
from tidemill.sources.staging import Staged, stage, stage_schemas
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
    spill = scratch(workspace.storage / spec.model / "inputs")
    with _opened(workspace, spec, timeout_s, spill, lambda _: stage(workspace, spec, windows)) as source:
        yield source


@contextmanager
def open_schema(workspace: Workspace, spec: ModelSpec, timeout_s: int) -> Iterator[Source]:
    """Open a model's source only to describe its queries: of inputs, just the columns are read. Raises as `open_source`."""
    with _opened(
        workspace, spec, timeout_s, temporary(), lambda folder: stage_schemas(workspace, spec, folder)
    ) as source:
        yield source


@contextmanager
def _opened(
    workspace: Workspace,
    spec: ModelSpec,
    timeout_s: int,
    spill: AbstractContextManager[Path],
    staging: Callable[[Path], Mapping[str, Staged]],
) -> Iterator[Source]:
    if spec.source.engine is Engine.POSTGRES:
        with open_postgres(workspace, spec, timeout_s) as source:
            yield _with_time(source, workspace, spec)
        return
    _require_duckdb(spec)
    from tidemill.sources.duckdb import open_duckdb  # an extra

    with spill as folder, open_duckdb(workspace, spec, staging(folder), folder, timeout_s) as source:
        yield _with_time(source, workspace, spec)


def _with_time(source: Source, workspace: Workspace, spec: ModelSpec) -> Source:
    return source if spec.has_time else StampedSource(source=source, workspace=workspace, spec=spec)


def _require_duckdb(spec: ModelSpec) -> None:
    if importlib.util.find_spec("duckdb") is None:
        raise SettingsError(
            f"source.engine of {spec.model!r} is duckdb, and DuckDB is not installed here.",
            "Install the lock, or Tidemill with its extra 'duckdb': pip install 'tidemill[duckdb]'.",
        )
