"""Labels: what is known about outcomes at an instant, and which row they belong to."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.errors import NotTrainable, SpecError
from tidemill.intervals import Interval
from tidemill.spec import ModelSpec
from tidemill.steps.extract import OBSERVED_AT, STATEMENT_TIMEOUT_S, query_parameters, require_columns
from tidemill.steps.running import Job
from tidemill.warehouse.queries import bind
from tidemill.warehouse.reading import copy_batches, describe, frozen_view

__all__ = ["labelled", "labels_as_of"]


def labels_as_of(job: Job, interval: Interval, cutoff: datetime) -> pa.Table:
    """Read the labels of an interval as they were known at an instant, without keeping them."""
    spec, file = job.spec, job.spec.source.labels
    bound, parameters = bind(job.workspace.query(file), file), query_parameters(interval, cutoff)
    with frozen_view(job.workspace.connection(spec.source.connection), STATEMENT_TIMEOUT_S) as cursor:
        columns = describe(cursor, bound, parameters)
        require_columns(columns, [spec.entity_key, spec.label.column, OBSERVED_AT], spec.model, file)
        batches = list(copy_batches(cursor, bound, parameters, columns, spec.entity_key))
    return pa.Table.from_batches(batches, pa.schema([(column.name, column.arrow) for column in columns]))


def labelled(keys: pa.ChunkedArray, labels: pa.Table, spec: ModelSpec) -> pa.ChunkedArray:
    """Give the label of each key: 1 for the positive class, 0 for any other, null where it is not known.

    Raises
    ------
    NotTrainable
        If a key has two labels.
    SpecError
        If the positive value is of another type than the labels.
    """
    key, positive = spec.entity_key, spec.label.positive
    twice = labels.num_rows - len(pc.unique(labels[key]))
    if twice:
        raise NotTrainable(
            f"The labels of {spec.model!r} name {twice} row(s) twice.",
            f"Make {spec.source.labels} give one row an entity.",
        )
    column = labels[spec.label.column]
    try:
        wanted = pa.scalar(positive).cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SpecError(
            f"label.positive of {spec.model!r} is {positive!r}, but {spec.label.column!r} is of type {column.type}.",
            "Write a value that the column can hold.",
        ) from None
    target = pc.equal(column, wanted).cast(pa.int8())
    if pa.types.is_floating(column.type):
        target = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.int8()), target)
    return target.take(pc.index_in(keys.cast(pa.string()), value_set=labels[key].cast(pa.string()).combine_chunks()))
