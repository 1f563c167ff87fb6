"""Features: the columns that the model reads, and the stored sets as the estimators take them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.arrow import is_number, is_text, to_frame
from tidemill.modeling.feature_kinds import feature_kinds
from tidemill.modeling.schema import FeatureSchema
from tidemill.records import SplitRef
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.storage.layout import PARTITION, SAMPLE_ROWS, TARGET, WEIGHT
from tidemill.storage.tables import count_rows, count_values, read_batches, read_schema, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LabelledSet",
    "feature_schema",
    "features_with_gaps",
    "keys_of",
    "one_of",
    "piece_rows",
    "read_all",
    "read_columns",
    "read_enough",
    "read_sample",
    "read_set",
    "read_some",
    "target_values",
]

_STORED_ROWS = 500  # kept unencoded for the gate's behaviour checks
_OURS = (PARTITION, TARGET, WEIGHT)
_PIECE_ROWS, _PIECE_BYTES = 65_536, 2**24  # limits per read if not all rows fit into memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSet:
    """The train, validation or test set in memory."""

    X: "pd.DataFrame"
    """All columns of the features query, shape (n_samples, n_columns)."""
    y: npt.NDArray[Any]
    """Labels, shape (n_samples,). Binary: 1 for the positive class, else 0; multiclass: the class; regression: the number."""
    blocks: npt.NDArray[np.object_]
    """Key of each row's partition, shape (n_samples,): rows of one day are not independent."""
    schema: FeatureSchema
    """Which columns are features."""
    stored: pa.Table
    """Up to 500 evenly spaced rows as stored."""
    entities: npt.NDArray[np.object_] | None = None
    """Key of each row, shape (n_samples,), where a key recurs in another partition; else None."""
    sample_weight: npt.NDArray[np.float64] | None = None
    """How often each row counts, above 0, shape (n_samples,); None without ``weight`` in the spec."""

    def weight_of(self, rows: Any) -> npt.NDArray[np.float64] | None:
        """Return how often some rows count; None for once."""
        return None if self.sample_weight is None else self.sample_weight[rows]

    @property
    def clusters(self) -> npt.NDArray[np.object_]:
        """What makes rows dependent: their partition and, in a second column where entities recur, their entity."""
        return self.blocks if self.entities is None else np.stack([self.blocks, self.entities], axis=1)


def feature_schema(spec: ModelSpec, columns: pa.Schema, with_gaps: tuple[str, ...] = ()) -> FeatureSchema:
    """Return the feature columns by kind: those in the spec, or else all but key, time, label and audit, by type."""
    numeric, categorical = _features(spec, columns)
    declared = {
        direction: tuple(sorted(name for name, way in spec.train.monotonic.items() if way == direction))
        for direction in ("increasing", "decreasing")
    }
    kinds = feature_kinds(numeric, categorical, columns)
    return FeatureSchema(numeric=numeric, categorical=categorical, kinds=kinds, with_gaps=with_gaps, **declared)


def _features(spec: ModelSpec, columns: pa.Schema) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the numeric and the categorical features."""
    if spec.listed_features is not None:
        return spec.listed_features.numeric, spec.listed_features.categorical
    reserved = {spec.entity_key, spec.time_column, spec.label.column, spec.weight, *spec.audit, *_OURS}
    fields = [field for field in columns if field.name not in reserved]
    numeric, categorical = (tuple(f.name for f in fields if fits(f.type)) for fits in (is_number, is_text))
    return numeric, categorical


def features_with_gaps(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of a stored set that have no value in at least one whole partition, without loading the set."""
    n_values, n_rows = count_values(path), count_rows(path)
    sparse = [name for name in names if n_values.get(name, n_rows) < n_rows]
    partitions: set[str] = set()
    filled: dict[str, set[str]] = {name: set() for name in sparse}
    for batch in read_batches(path, [PARTITION, *sparse], piece_rows(len(sparse) + 1)) if sparse else ():
        keys = batch.column(PARTITION)
        partitions |= {*pc.unique(keys).to_pylist()}
        for name, found in filled.items():
            there = pc.invert(pc.is_null(batch.column(name), nan_is_null=True))
            found |= {*pc.unique(keys.filter(there)).to_pylist()}
    return tuple(name for name in sparse if filled[name] != partitions)


def read_set(job: Job, split: SplitRef, name: str) -> LabelledSet:
    """Read the train, validation or test set."""
    return _labelled_set(job, split, read_table(_path(job, split, name)))


def read_all(job: Job, split: SplitRef) -> LabelledSet:
    """Read the rows of all three sets, the oldest first."""
    tables = [read_table(_path(job, split, name)) for name in ("train", "validation", "test")]
    return _labelled_set(job, split, pa.concat_tables(tables))


def read_sample(job: Job, split: SplitRef, name: str) -> LabelledSet:
    """Read some rows of a set, as `read_some` picks them."""
    return _labelled_set(job, split, read_some(_path(job, split, name))[0])


def read_enough(job: Job, split: SplitRef, name: str) -> LabelledSet:
    """Read the whole set if the engine keeps it in memory, else a sample."""
    return (read_set if job.spec.train.engine == "local" else read_sample)(job, split, name)


def read_some(path: Path) -> tuple[pa.Table, pa.Array]:
    """Read every n-th row of a stored table, at most `SAMPLE_ROWS` rows, without loading the others.

    Returns
    -------
    positions : pyarrow.Array of int64
        Their row numbers.
    """
    schema, n_rows = read_schema(path), count_rows(path)
    step = one_of(n_rows)
    rows = pa.Table.from_batches(_every(step, read_batches(path, schema.names, piece_rows(len(schema)))), schema)
    return rows, pa.array(np.arange(0, n_rows, step))


def piece_rows(n_columns: int) -> int:
    """Return the rows per read if not all fit into memory: fewer if they are wide.

    Examples
    --------
    >>> piece_rows(20), piece_rows(200)
    (65536, 10485)
    """
    return max(1_000, min(_PIECE_ROWS, _PIECE_BYTES // (8 * max(1, n_columns))))


def one_of(n_rows: int) -> int:
    """Return the smallest n, from 1, such that every n-th row fits the sample.

    Examples
    --------
    >>> one_of(200_000), one_of(200_001)
    (1, 2)
    """
    return max(1, -(-n_rows // SAMPLE_ROWS))


def _every(step: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in batches:
        yield batch.take(pa.array(np.arange(-start % step, batch.num_rows, step)))
        start += batch.num_rows


def _path(job: Job, split: SplitRef, name: str) -> Path:
    return job.store.folder(split.uri, split.digest) / f"{name}.parquet"


def _labelled_set(job: Job, split: SplitRef, table: pa.Table) -> LabelledSet:
    return LabelledSet(
        X=to_frame(table),
        y=target_values(table[TARGET]),
        blocks=keys_of(table[PARTITION]),
        schema=feature_schema(job.spec, table.schema, split.with_gaps),
        stored=table.take(pa.array(np.arange(0, table.num_rows, max(1, -(-table.num_rows // _STORED_ROWS))))),
        entities=_entities(table[job.spec.entity_key]),
        sample_weight=table[WEIGHT].to_numpy() if WEIGHT in table.column_names else None,
    )


def _entities(keys: pa.ChunkedArray) -> npt.NDArray[np.object_] | None:
    again = pc.count_distinct(keys).as_py() < len(keys)
    return keys_of(keys.cast(pa.string())) if again else None


def read_columns(path: Path, names: list[str]) -> pa.Table:
    """Read some columns of a stored set; names that it lacks are skipped."""
    return read_table(path, names)


def keys_of(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Return texts as objects; equal texts share one object."""
    found = column.combine_chunks().dictionary_encode()
    levels = np.array([*found.dictionary.to_pylist()], dtype=object)
    return levels[found.indices.to_numpy(zero_copy_only=False)] if len(levels) else levels


def target_values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return the labels of a split in the form that estimators and metrics use."""
    if pa.types.is_string(column.type):
        return keys_of(column)
    return np.asarray(column.to_numpy())
