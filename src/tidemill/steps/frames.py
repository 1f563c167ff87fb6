"""Frames: the stored sets as the estimators take them, and which of their columns are features."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.modeling.schema import FeatureSchema
from tidemill.records import SplitRef
from tidemill.spec import ModelSpec
from tidemill.steps.extract import PARTITION
from tidemill.steps.prepare import TARGET
from tidemill.steps.running import Job

__all__ = ["feature_schema", "read_columns", "read_set"]


def feature_schema(spec: ModelSpec, columns: pa.Schema) -> FeatureSchema:
    """Say which columns are features: those that the spec names, or all but key, time and label by their types."""
    if spec.features is not None:
        return FeatureSchema(numeric=spec.features.numeric, categorical=spec.features.categorical)
    reserved = {spec.entity_key, spec.event_time, spec.label.column, PARTITION, TARGET}
    fields = [field for field in columns if field.name not in reserved]
    return FeatureSchema(
        numeric=tuple(field.name for field in fields if _is_number(field.type)),
        categorical=tuple(field.name for field in fields if pa.types.is_string(field.type)),
    )


def read_set(job: Job, split: SplitRef, name: str) -> tuple[pd.DataFrame, npt.NDArray[np.int8], npt.NDArray[np.object_]]:
    """Read the train, validation or test set.

    Returns
    -------
    frame : pandas.DataFrame of shape (n_samples, n_columns)
        All columns of the features query.
    y : ndarray of shape (n_samples,)
        1 for the positive class, else 0.
    blocks : ndarray of shape (n_samples,)
        Key of each row's partition: rows of one day are not independent.
    """
    frame = pq.ParquetFile(job.store.folder(split.uri, split.digest) / f"{name}.parquet").read().to_pandas()
    return frame, frame[TARGET].to_numpy(dtype=np.int8), frame[PARTITION].to_numpy(dtype=object)


def read_columns(path: Path, names: list[str]) -> pa.Table:
    """Read some columns of a stored set, those that it has."""
    file = pq.ParquetFile(path)
    return file.read([name for name in names if name in file.schema_arrow.names])


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
