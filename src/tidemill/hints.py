"""Hints about a model's columns, cutoff and shadow: what is allowed but rarely intended. ``check`` prints them and passes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from tidemill.errors import TidemillError
from tidemill.intervals import Partition, duration_words
from tidemill.metrics.sequential import LEAST
from tidemill.sources import open_schema
from tidemill.spec import Engine, ModelSpec
from tidemill.spec_file import spec_paths
from tidemill.steps.data.extract import query_parameters
from tidemill.steps.data.features import feature_schema
from tidemill.warehouse.connections import Cursor, fetch_value
from tidemill.warehouse.cutoff_bounds import find_unbounded
from tidemill.warehouse.model_queries import Query, bind
from tidemill.warehouse.reading import frozen_view
from tidemill.workspace import Workspace

__all__ = ["cutoff_hints"]

TIMEOUT_S = 30  # seconds per statement on the source; a hint is worth no more
_NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)
_APART = {
    "start": _NOON,
    "end": _NOON + timedelta(days=1),
    "cutoff": _NOON + timedelta(hours=1, minutes=17, seconds=19),
}


def cutoff_hints(workspace: Workspace, models: list[str], *, source: bool) -> list[str]:
    """Return hints about the models' cutoffs, one sentence each; specs and queries must be valid.

    Parameters
    ----------
    models : list of str
        Names of the models; if empty, all models of the folder.
    source : bool
        Whether to examine query plans and rows in the source too.
    """
    names = models or [path.stem for path in spec_paths(workspace.models)]
    return [f"{name}: {hint}" for name in names for hint in _hints(workspace, workspace.spec(name), source=source)]


def _hints(workspace: Workspace, spec: ModelSpec, *, source: bool) -> Iterator[str]:
    if source and spec.listed_features is None:
        yield from _identifiers(workspace, spec)
    if not spec.has_time:  # declared: its rows are what the tables hold when it runs
        return
    if known := _knows_its_labels(spec):
        yield known
    yield from _short_shadows(spec)
    if spec.source.engine is Engine.DUCKDB:
        yield from _unbounded_inputs(spec)
        return
    query = bind(workspace.query(spec.source.features), spec.source.features)
    if "%(cutoff)s" not in query:
        yield (
            f"{query.file} never mentions :cutoff, so its rows are what the tables hold when it runs: training sees later "
            "values than scoring did. Compare the time at which a row became known with :cutoff."
        )
        return
    if source:
        try:
            yield from _in_source(workspace, spec, query)
        except TidemillError as error:
            yield f"{query.file} could not be examined for bounds by :cutoff: {error.problem}"


def _identifiers(workspace: Workspace, spec: ModelSpec) -> Iterator[str]:
    """Yield a hint per ``uuid`` that is a feature because the spec lists none."""
    with open_schema(workspace, spec, timeout_s=TIMEOUT_S) as found:
        columns = found.columns(spec.source.features, _APART)
    features = feature_schema(spec, pa.schema([(column.name, column.arrow) for column in columns])).categorical
    for name in (column.name for column in columns if column.sql_type == "uuid" and column.name in features):
        yield (
            f"{spec.source.features} returns {name!r}, a uuid, which is read as a category: most values of an identifier are "
            "new. Leave it out, or list it under 'features' if it names one of few things, such as a shop."
        )


def _unbounded_inputs(spec: ModelSpec) -> Iterator[str]:
    """Yield a hint per partitioned input whose rows are not bounded by the cutoff."""
    for name, declared in spec.source.inputs.items():
        if declared.observed_at is None and (declared.query or "{" in str(declared.files)):
            yield (
                f"input {name!r} has no observed_at, so a query sees all its rows, whenever they became known. If it "
                "has the time at which a row became known, name its column."
            )


def _knows_its_labels(spec: ModelSpec) -> str | None:
    """Return a hint if the labels have matured by the cutoff."""
    partition = spec.partition_at(_NOON)
    if partition.cutoff < partition.due(spec.label.matures_after):
        return None
    return (
        f"partitions.cutoff ({duration_words(spec.partitions.cutoff)}) lies where the labels have matured, "
        f"{duration_words(spec.label.matures_after)} after the partition's end: features may know them, and nothing is left "
        "to predict. Choose an earlier cutoff, or correct label.matures_after."
    )


def _short_shadows(spec: ModelSpec) -> Iterator[str]:
    """Yield a hint per comparison in the shadow that ends before it can conclude anything."""
    interval = spec.partition_at(_NOON).interval
    block = max(interval.end - interval.start, timedelta(days=1))
    for name, duration in (("shadow", spec.accept.shadow), ("watch", spec.accept.watch)):
        if duration is not None and duration < LEAST * block:
            yield (
                f"accept.{name} ({duration_words(duration)}) is shorter than {LEAST} {spec.partitions.every.block_unit}s, "
                "before which nothing is concluded: it never replaces a champion. Write a longer one, or remove it."
            )


def _in_source(workspace: Workspace, spec: ModelSpec, query: Query) -> Iterator[str]:
    with frozen_view(workspace.connection(spec.source.connection), timeout_s=TIMEOUT_S) as cursor:
        for table in find_unbounded(cursor, query, _APART):
            yield (
                f"{query.file} reads {table} without a bound by :cutoff: what is written there later changes the rows of "
                "the past. If the table has the time at which a row became known, compare it with :cutoff."
            )
        partition = _newest_whole(cursor, spec)
        if partition is None or not partition.interval.start < partition.cutoff < partition.interval.end:
            return
        at_cutoff, at_end = (
            _count(cursor, query, partition, known) for known in (partition.cutoff, partition.interval.end)
        )
        if at_cutoff < at_end:
            yield (
                f"{at_end - at_cutoff:,} of {at_end:,} rows of partition {partition.key} came after its cutoff, "
                f"{spec.partitions.known}, and were never scored. To score a {spec.partitions.every.value} that is over, "
                "write 'predict: {offset: -1}' and a partitions.cutoff at or after its end."
            )


def _newest_whole(cursor: Cursor, spec: ModelSpec) -> Partition | None:
    """Return the newest partition that is over, by the source's clock and the extent of the data."""
    cursor.execute("SELECT now()")
    instant, last = fetch_value(cursor), spec.partitions.last
    if last is not None:
        instant = min(instant, spec.local_midnight(last + timedelta(days=1)))
    every, cutoff = spec.partitions.every, spec.partitions.cutoff
    found = every.move(every.containing(instant, spec.timezone, cutoff), -1, cutoff)
    day, first = found.interval.start.astimezone(ZoneInfo(spec.timezone)).date(), spec.partitions.first
    return None if first is not None and day < first else found


def _count(cursor: Cursor, query: Query, partition: Partition, cutoff: datetime) -> int:
    cursor.execute(f"SELECT count(*) FROM ({query}\n) AS query", query_parameters(partition.interval, cutoff))
    return int(fetch_value(cursor))
