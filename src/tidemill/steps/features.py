"""Features: the columns that the model reads, and the stored sets as the estimators take them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tidemill.modeling.schema import FeatureSchema
from tidemill.records import SplitRef
from tidemill.spec import ModelSpec
from tidemill.steps.extract import PARTITION
from tidemill.steps.running import Job
from tidemill.storage.tables import read_table

__all__ = ["TARGET", "LabelledSet", "feature_schema", "read_columns", "read_set", "target_values"]

TARGET = "__y"  # column of a split: 1 for the positive class and 0 for others, the class, or the number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSet:
    """The train, validation or test set in memory."""

    X: pd.DataFrame
    """All columns of the features query, shape (n_samples, n_columns)."""
    y: npt.NDArray[Any]
    """binary: 1 for the positive class, else 0; multiclass: the class; regression: the number; shape (n_samples,)."""
    blocks: npt.NDArray[np.object_]
    """Key of each row's partition, shape (n_samples,): rows of one day are not independent."""
    schema: FeatureSchema
    """Which columns are features."""


def feature_schema(spec: ModelSpec, columns: pa.Schema) -> FeatureSchema:
    """Say which columns are features: those that the spec names, or all but key, time and label by their types."""
    declared = {
        direction: tuple(sorted(name for name, way in spec.train.monotonic.items() if way == direction))
        for direction in ("increasing", "decreasing")
    }
    if spec.features is not None:
        return FeatureSchema(numeric=spec.features.numeric, categorical=spec.features.categorical, **declared)
    reserved = {spec.entity_key, spec.event_time, spec.label.column, PARTITION, TARGET}
    fields = [field for field in columns if field.name not in reserved]
    return FeatureSchema(
        numeric=tuple(field.name for field in fields if _is_number(field.type)),
        categorical=tuple(field.name for field in fields if pa.types.is_string(field.type)),
        **declared,
    )


def read_set(job: Job, split: SplitRef, name: str) -> LabelledSet:
    """Read the train, validation or test set."""
    table = read_table(job.store.folder(split.uri, split.digest) / f"{name}.parquet")
    return LabelledSet(
        X=table.to_pandas(),
        y=target_values(table[TARGET]),
        blocks=np.array(table[PARTITION].to_pylist(), dtype=object),
        schema=feature_schema(job.spec, table.schema),
    )


def read_columns(path: Path, names: list[str]) -> pa.Table:
    """Read some columns of a stored set, those that it has."""
    return read_table(path, names)


def target_values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Give the labels of a split as estimators and metrics take them."""
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.to_numpy())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
