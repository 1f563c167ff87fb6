"""Extract the rows of one partition, or of a training window, as an immutable snapshot.

One query serves both. For training it runs once per partition of the window, each time with that partition's
cutoff, so that a training row equals the row that would have been scored on its day.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.arrow import is_category, is_number
from tidemill.checks import columns_of, quarantining
from tidemill.errors import EmptyPartition, LeakageFound, SchemaChanged, SpecError
from tidemill.intervals import Interval, Partition
from tidemill.records import SnapshotRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.sources import Source, Window, open_source
from tidemill.spec import OBSERVED_AT, ModelSpec, OnEmpty
from tidemill.steps.data.folds import row_marks
from tidemill.steps.data.policy import refuse_denied_reads
from tidemill.steps.data.quarantine import SetAside, without_broken
from tidemill.steps.data.weights import refuse_odd_weight
from tidemill.storage.layout import FEATURES, GROUP_ROWS, LABELS, PARTITION
from tidemill.storage.tables import in_groups, rows_writer
from tidemill.warehouse.model_queries import bind, joined, query_digest
from tidemill.warehouse.reading import Column

__all__ = [
    "extract",
    "query_parameters",
    "refuse_late_labels",
    "require_columns",
    "require_same_keys",
    "rows_as_of",
    "take_snapshot",
    "training_partitions",
    "training_window",
    "wanted_features",
    "wanted_labels",
]

STATEMENT_TIMEOUT_S = 1800  # one partition's query; a day of flights takes 0.05 s


@declarations.extract
def extract(job: Job, purpose: str) -> SnapshotRef:
    """Take a snapshot of the source.

    Parameters
    ----------
    purpose : str
        ``score``: the partition's rows. ``train``: the rows of the training window before it, with the labels
        known at its cutoff.

    Raises
    ------
    ContractBroken
        If more rows break expectations of severity ``quarantine`` than ``predict.quarantine`` allows.
    EmptyPartition
        If there are no rows, unless it is a partition to be scored and ``predict.on_empty`` is ``publish``.
    LeakageFound
        If the labels query returns labels observed after the cutoff.
    NotReady, SourceUnavailable
        If an input lacks files, or cannot be reached.
    SchemaChanged
        If the source lacks a column or table.
    SpecError
        If a query lacks what the spec names, or reads what ``features.policy`` denies.
    """
    snapshot, queries = take_snapshot(job, purpose)
    job.ledger.record_snapshot(snapshot, job.run_id, queries)
    return snapshot


def take_snapshot(job: Job, purpose: str) -> tuple[SnapshotRef, str]:
    """Take a snapshot as `extract` does, without recording it; also return the queries' text.

    Raises
    ------
    ContractBroken, EmptyPartition, LeakageFound, NotReady, SchemaChanged, SourceUnavailable, SpecError
        As ``extract``.
    """
    if purpose not in ("score", "train"):
        raise ValueError(f"purpose is 'score' or 'train', not {purpose!r}")
    partitions = (job.partition,) if purpose == "score" else training_partitions(job)
    interval = Interval(start=partitions[0].interval.start, end=partitions[-1].interval.end)
    queries, windows = _queries_and_windows(job, purpose, partitions, interval)
    counted, rounded, inputs = Counter[str](), Counter[str](), dict[str, str]()

    def fill(folder: Path) -> None:
        with open_source(job.workspace, job.spec, windows, STATEMENT_TIMEOUT_S) as source:
            inputs.update(source.inputs)
            if purpose == "train":
                _refuse_other_keys(source, job)
                _refuse_denied_reads(source, job)
            set_aside = SetAside(spec=job.spec, folder=folder, purpose=purpose)
            counted["features"] = _write_features(source, job, partitions, set_aside, rounded)
            counted["set_aside"] = set_aside.n_set_aside
            if counted["features"] == 0:
                _refuse_nothing(job, purpose)
            if purpose == "train":
                _write_labels(source, job, interval, folder / LABELS, rounded)

    stored = job.store.write(job.spec.model, "snapshots", fill)
    snapshot = SnapshotRef(
        model=job.spec.model,
        purpose=purpose,
        partition=job.partition.key,
        digest=stored.digest,
        uri=stored.uri,
        n_rows=counted["features"],
        size_bytes=stored.size_bytes,
        start=interval.start,
        end=interval.end,
        cutoff=job.partition.cutoff,
        query_digest=query_digest(*queries),
        n_set_aside=counted["set_aside"],
        rounded=dict(rounded),
        inputs=inputs,
    )
    return snapshot, joined(*queries)


def _queries_and_windows(
    job: Job, purpose: str, partitions: tuple[Partition, ...], interval: Interval
) -> tuple[list[str], list[Window]]:
    """Return the texts of the queries that a snapshot needs, and all windows that they read."""
    queries = [job.workspace.query(file) for file in job.spec.source.queries(labelled=purpose == "train")]
    windows = [query_parameters(partition.interval, partition.cutoff) for partition in partitions]
    if purpose == "train":
        windows.append(query_parameters(interval, job.partition.cutoff))
    return queries, windows


def training_partitions(job: Job) -> tuple[Partition, ...]:
    """Return the partitions of the training window, oldest first, up to the partition itself.

    The newest have not matured; ``prepare`` leaves them out and counts them. Rows without a time are those of the
    partition itself.

    Raises
    ------
    EmptyPartition
        If the source's data begin at this partition.
    """
    spec, first = job.spec, job.spec.partitions.first
    if not spec.has_time:
        return (job.partition,)
    begin = None if first is None else spec.local_midnight(first)
    found = tuple(
        item for item in training_window(spec, job.partition) if begin is None or item.interval.start >= begin
    )
    if not found:
        raise EmptyPartition(
            f"There is no data of {spec.model!r} before partition {job.partition.key!r} to train on.",
            "Train as of a later partition.",
        )
    return found


def training_window(spec: ModelSpec, partition: Partition) -> Iterator[Partition]:
    """Yield the partitions of a training window, oldest first, wherever the data begin."""
    start = partition.shift(partition.cutoff, -spec.label.matures_after - spec.train.window)
    interval = Interval(start=start, end=partition.interval.start)
    yield from spec.partitions.every.within(interval, spec.timezone, spec.partitions.cutoff)


def rows_as_of(job: Job, file: str, interval: Interval, cutoff: datetime, needed: list[str]) -> pa.Table:
    """Run one of the model's queries for one partition as known at an instant, without storing the rows.

    The rows that a snapshot would set aside are left out.

    Raises
    ------
    SchemaChanged
        If it lacks one of the columns ``needed``, returns one with a type other than the spec says, or, for labels, if its
        key has another type than that of the features.
    """
    window = query_parameters(interval, cutoff)
    with open_source(job.workspace, job.spec, [window], STATEMENT_TIMEOUT_S) as source:
        columns = source.columns(file, window)
        require_columns(columns, needed, job.spec, file)
        if file == job.spec.source.labels:
            _refuse_other_keys(source, job)
        with source.batches(file, window, columns) as stream:
            batches = list(stream)
    rows = pa.Table.from_batches(batches, pa.schema([(column.name, column.arrow) for column in columns]))
    return without_broken(job.spec, rows) if file == job.spec.source.features else rows


def query_parameters(interval: Interval, cutoff: datetime) -> Window:
    """Return the values of a query's parameters."""
    return {"start": interval.start, "end": interval.end, "cutoff": cutoff}


def _write_features(
    source: Source, job: Job, partitions: tuple[Partition, ...], set_aside: SetAside, rounded: Counter[str]
) -> int:
    spec, file = job.spec, job.spec.source.features
    columns = source.columns(file, query_parameters(partitions[0].interval, partitions[0].cutoff))
    require_columns(columns, wanted_features(spec), spec, file)
    by_key = set_aside.purpose == "train" and not spec.has_time
    n_rows, schema = 0, pa.schema([(column.name, column.arrow) for column in columns])
    with _writer(set_aside.folder / FEATURES, columns, with_partition=True) as writer:
        for partition in partitions:
            window = query_parameters(partition.interval, partition.cutoff)
            with source.batches(file, window, columns, rounded) as batches:
                for batch in in_groups(set_aside.kept(batches, schema, partition.key), GROUP_ROWS):
                    writer.write_batch(_marked(batch, row_marks(spec, batch, None if by_key else partition)))
                    n_rows += batch.num_rows
    set_aside.close()
    return n_rows


def _refuse_nothing(job: Job, purpose: str) -> None:
    """Refuse a snapshot without rows, unless it is to be scored and the spec allows it."""
    if purpose == "score" and job.spec.predict.on_empty is OnEmpty.PUBLISH:
        return
    spec, expected = (
        job.spec,
        "; if that can be right, say 'predict: {on_empty: publish}'" if purpose == "score" else "",
    )
    raise EmptyPartition(
        f"The features query of {spec.model!r} returned no row for partition {job.partition.key!r}.",
        f"Check that the source has been loaded up to then, or run {spec.source.features} by hand{expected}.",
    )


def _write_labels(source: Source, job: Job, interval: Interval, path: Path, rounded: Counter[str]) -> None:
    spec, file = job.spec, job.spec.source.labels
    window = query_parameters(interval, job.partition.cutoff)
    columns = source.columns(file, window)
    require_columns(columns, wanted_labels(spec), spec, file)
    with (
        _writer(path, columns, with_partition=False) as writer,
        source.batches(file, window, columns, rounded) as batches,
    ):
        for batch in in_groups(batches, GROUP_ROWS):
            refuse_late_labels(batch, spec, job.partition.cutoff)
            writer.write_batch(batch)


def refuse_late_labels(labels: pa.RecordBatch | pa.Table, spec: ModelSpec, cutoff: datetime) -> None:
    """Refuse labels that were observed after the cutoff, or at a time that nobody knows, by their ``observed_at``.

    Raises
    ------
    LeakageFound
        If there are any; with the key of one.
    """
    observed = labels[OBSERVED_AT]
    late = pc.fill_null(pc.greater(observed, pa.scalar(cutoff, observed.type)), False)
    undated = pc.and_(pc.is_null(observed), pc.is_valid(labels[spec.label.column]))
    for found, what in (
        (late, f"were observed after the cutoff, {cutoff:%Y-%m-%d %H:%M %Z}"),
        (undated, f"have no {OBSERVED_AT}"),
    ):
        if pc.any(found).as_py():
            key = labels[spec.entity_key].filter(found)[0].as_py()
            raise LeakageFound(
                f"{spec.source.labels} returns labels that {what}, such as that of {key!r}.",
                "Let it return only what was observed by then: WHERE … <= :cutoff.",
            )


def wanted_features(spec: ModelSpec) -> list[str]:
    """Return the columns that the features query must have."""
    listed = spec.listed_features
    named = () if listed is None else listed.numeric + listed.categorical
    judged = columns_of(quarantining(spec))
    return list(dict.fromkeys((spec.entity_key, spec.time_column, *named, *spec.accept.slices, *spec.audit, *judged)))


def wanted_labels(spec: ModelSpec) -> list[str]:
    """Return the columns that the labels query must have."""
    return [spec.entity_key, spec.label.column, OBSERVED_AT]


def require_columns(columns: Sequence[Column], names: list[str], spec: ModelSpec, file: str) -> None:
    """Refuse a query that lacks a column that the spec names, or returns it with another type.

    Raises
    ------
    SchemaChanged
        Lists every missing column, or else every column of a wrong type.
    SpecError
        If a column has a name that Tidemill itself uses.
    """
    given = {column.name: column for column in columns}
    missing = [name for name in names if name not in given]
    if missing:
        raise SchemaChanged(
            f"{file} returns no column(s) {missing}, which the spec of {spec.model!r} names.",
            f"It returns {list(given)}: select them in the query, or change the spec.",
        )
    wrong = [
        f"{name!r} is of type {given[name].sql_type}, and has to be {wanted}"
        for name, (wanted, fits) in _expected_types(spec).items()
        if name in given and (name in names or name == spec.time_column) and not fits(given[name].arrow)
    ]
    if wrong:
        raise SchemaChanged(f"{file}: {'; '.join(wrong)}.", "CAST them in the query, or change the spec.")
    if PARTITION in given:
        raise SpecError(f"{file} returns a column {PARTITION!r}, which Tidemill itself uses.", "Rename it.")


def require_same_keys(features: Sequence[Column], labels: Sequence[Column], spec: ModelSpec) -> None:
    """Refuse queries with keys that SQL does not compare by ``=``, such as a whole number and a text.

    As texts, ``7`` and ``0007`` are two keys; as numbers they are one. Only the author of the queries knows which is meant.

    Raises
    ------
    SchemaChanged
        With both types.
    """
    one, other = (next(item for item in columns if item.name == spec.entity_key) for columns in (features, labels))
    if one.equality != other.equality:
        raise SchemaChanged(
            f"The key {spec.entity_key!r} is of type {one.sql_type} in {spec.source.features}, and of type {other.sql_type} in "
            f"{spec.source.labels}, so that no label can be sure of its row.",
            f"CAST one of them to the type of the other, such as {spec.entity_key}::{one.sql_type}.",
        )


def _refuse_other_keys(source: Source, job: Job) -> None:
    """Describe both queries, and refuse keys of different types."""
    spec, files = job.spec, job.spec.source
    window = query_parameters(job.partition.interval, job.partition.cutoff)
    wanted = {files.features: wanted_features(spec), files.labels: wanted_labels(spec)}
    described = {file: source.columns(file, window) for file in wanted}
    for file, columns in described.items():
        require_columns(columns, wanted[file], spec, file)
    require_same_keys(described[files.features], described[files.labels], spec)
    refuse_odd_weight(described[files.features], described[files.labels], spec)


def _refuse_denied_reads(source: Source, job: Job) -> None:
    if source.cursor is None:  # the spec of an engine without a plan has no policy
        return
    file, window = job.spec.source.features, query_parameters(job.partition.interval, job.partition.cutoff)
    query = bind(job.workspace.query(file), file)
    refuse_denied_reads(source.cursor, job.spec, query, window, source.columns(file, window))


def _expected_types(spec: ModelSpec) -> dict[str, tuple[str, Callable[[pa.DataType], bool]]]:
    """Return the required type of each column, in words and as a test."""
    listed = spec.listed_features
    numeric, categorical = (listed.numeric, listed.categorical) if listed else ((), ())
    return {
        spec.entity_key: ("text or a whole number, to be the key", lambda kind: not pa.types.is_floating(kind)),
        **dict.fromkeys((spec.time_column, OBSERVED_AT), ("timestamptz", pa.types.is_timestamp)),
        **dict.fromkeys(spec.accept.slices, ("text, a whole number or boolean, to be a slice", is_category)),
        **dict.fromkeys(spec.audit, ("text, a whole number or boolean, to form groups", is_category)),
        **dict.fromkeys(numeric, ("a number or boolean, to be a numeric feature", is_number)),
        **dict.fromkeys(categorical, ("text, a whole number or boolean, to be a categorical feature", is_category)),
    }


def _marked(batch: pa.RecordBatch, keys: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [*batch.columns, keys], schema=batch.schema.append(pa.field(PARTITION, pa.string()))
    )


def _writer(path: Path, columns: tuple[Column, ...], *, with_partition: bool) -> Any:
    fields = [(column.name, column.arrow) for column in columns] + [(PARTITION, pa.string())] * with_partition
    return rows_writer(path, pa.schema(fields))
