"""Labels: what is known about outcomes at an instant, and the row that each belongs to."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.errors import ContractBroken, NotTrainable, SpecError
from tidemill.intervals import Interval
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec, Task
from tidemill.steps.data.extract import refuse_late_labels, rows_as_of, wanted_labels

__all__ = ["count_labels", "labelled", "labels_as_of", "near_matches"]


def labels_as_of(job: Job, interval: Interval, cutoff: datetime) -> pa.Table:
    """Read the labels of an interval as they were known at an instant, without storing them.

    Raises
    ------
    LeakageFound
        If the query returns labels observed later.
    """
    labels = rows_as_of(job, job.spec.source.labels, interval, cutoff, wanted_labels(job.spec))
    refuse_late_labels(labels, job.spec, cutoff)
    return labels


def labelled(keys: pa.ChunkedArray, labels: pa.Table, spec: ModelSpec) -> pa.ChunkedArray:
    """Return the label of each key, null where it is not known.

    Parameters
    ----------
    keys : pyarrow.ChunkedArray
        Entity keys of the rows.
    labels : pyarrow.Table
        Result of the labels query.
    spec : ModelSpec
        The model.

    Returns
    -------
    pyarrow.ChunkedArray
        binary: 1 for the positive class and 0 for any other; multiclass: the class as text; regression: the number.

    Raises
    ------
    NotTrainable
        If a key has two labels.
    SpecError
        If the type of the labels does not fit the task or the positive value.
    ContractBroken
        If the label of a regression is NaN or infinite.
    """
    key = spec.entity_key
    labels = labels.filter(pc.is_valid(labels[key]))  # NULL is no key
    twice = labels.num_rows - len(pc.unique(labels[key]))
    if twice:
        counts = pc.value_counts(labels[key])
        first = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0].as_py()
        raise NotTrainable(
            f"The labels of {spec.model!r} contain {twice} key(s) twice, such as {first!r}.",
            f"Make {spec.source.labels} return one row per entity.",
        )
    target = _TARGETS[spec.task](labels[spec.label.column], spec)
    return target.take(_positions(keys, labels[key]))


def count_labels(keys: pa.ChunkedArray, labels: pa.Table, spec: ModelSpec) -> tuple[int, int]:
    """Count the known labels, and those of them whose key is not among the rows' keys."""
    known = labels.filter(pc.and_(pc.is_valid(labels[spec.entity_key]), pc.is_valid(labels[spec.label.column])))
    n_matched = pc.count_distinct(_positions(keys, known[spec.entity_key]), mode="only_valid").as_py()
    return known.num_rows, known.num_rows - n_matched


def near_matches(keys: pa.ChunkedArray, labels: pa.Table, spec: ModelSpec) -> pa.ChunkedArray:
    """Return which keys differ from an unmatched label's key only in blanks, case, leading zeros or ``.0``.

    Labels of other rows are not an error, however many there are; a key that is written in two ways is one.
    """
    known = labels[spec.entity_key].cast(pa.string()).drop_null()
    unmatched = known.filter(pc.invert(pc.is_in(known, value_set=keys.cast(pa.string()).combine_chunks())))
    return pc.is_in(_loose(keys.cast(pa.string())), value_set=_loose(unmatched).combine_chunks())


def _loose(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(keys)), r"\.0+$", "")
    return pc.utf8_ltrim(plain, characters="0")


def _positions(keys: pa.ChunkedArray, labelled_keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the position of each row's key among the labels' keys, null if it is not there."""
    return pc.index_in(keys.cast(pa.string()), value_set=labelled_keys.cast(pa.string()).combine_chunks())


def _positives(column: pa.ChunkedArray, spec: ModelSpec) -> pa.ChunkedArray:
    target = pc.equal(column, _positive(column.type, spec)).cast(pa.int8())
    if pa.types.is_floating(column.type):
        target = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.int8()), target)
    return target


def _positive(kind: pa.DataType, spec: ModelSpec) -> pa.Scalar:
    """Return ``label.positive`` as a value of the label's type, as SQL reads it.

    A text is an untyped literal, which takes the column's type. Numbers and booleans have a type of their own; true and
    false also stand for the numbers 1 and 0.
    """
    positive = spec.label.positive
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    fits = isinstance(positive, str) or numeric or (isinstance(positive, bool) and pa.types.is_boolean(kind))
    with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if fits:
            return pa.scalar(int(positive) if isinstance(positive, bool) and numeric else positive).cast(kind)
    raise SpecError(
        f"label.positive of {spec.model!r} is {positive!r}, but {spec.label.column!r} is of type {kind}.",
        "Write a value that the column can hold, a text in quotes.",
    )


def _classes(column: pa.ChunkedArray, spec: ModelSpec) -> pa.ChunkedArray:
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise SpecError(
            f"The classes of {spec.model!r} are in {spec.label.column!r}, which is of type {kind}.",
            "CAST it to text or to a whole number in the labels query, or use task 'regression'.",
        )
    return column.cast(pa.string())


def _numbers(column: pa.ChunkedArray, spec: ModelSpec) -> pa.ChunkedArray:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise SpecError(
            f"The label {spec.label.column!r} of {spec.model!r} is of type {column.type}; a regression predicts a number.",
            "CAST it in the labels query, or use another task.",
        )
    numbers = column.cast(pa.float64())
    odd = pc.sum(pc.invert(pc.is_finite(numbers))).as_py() or 0
    if odd:
        raise ContractBroken(
            f"{odd} label(s) {spec.label.column!r} of {spec.model!r} are NaN or infinite; expected finite numbers or NULL.",
            f"Turn them into NULL in {spec.source.labels}, or correct the source.",
        )
    return numbers


_TARGETS: Mapping[Task, Callable[[pa.ChunkedArray, ModelSpec], pa.ChunkedArray]] = {
    Task.BINARY: _positives,
    Task.MULTICLASS: _classes,
    Task.REGRESSION: _numbers,
}
