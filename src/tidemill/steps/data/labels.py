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
from tidemill.steps.data.label_join import identities, join_columns, label_positions

__all__ = ["count_labels", "labelled", "labels_as_of", "near_matches"]

MAX_LABEL_LENGTH = 200  # characters: the name of a class stands in tables, figures and metrics


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


def labelled(rows: pa.Table, labels: pa.Table, spec: ModelSpec) -> pa.ChunkedArray:
    """Return the label of each row, null where it is not known.

    Parameters
    ----------
    rows : pyarrow.Table
        At least the entity keys, and the event times if the labels have them.
    labels : pyarrow.Table
        Result of the labels query.

    Returns
    -------
    pyarrow.ChunkedArray
        binary: 1 for the positive class and 0 for any other; multiclass: the class as text; regression: the number.

    Raises
    ------
    NotTrainable
        If a row has two labels.
    SpecError
        If the type of the labels does not fit the task or the positive value.
    ContractBroken
        If a number is infinite or, of a regression, NaN; if a text is blank or long, or a class is spelled in two ways.
    """
    labels = _with_values(labels, join_columns(labels, spec))  # NULL is no key
    _refuse_two_labels(labels, spec)
    target = _TARGETS[spec.task](labels[spec.label.column], spec)
    return target.take(label_positions(rows, labels, spec))


def count_labels(rows: pa.Table, labels: pa.Table, spec: ModelSpec) -> tuple[int, int]:
    """Count the known labels, and those of them that belong to no row."""
    known = _with_values(labels, [*join_columns(labels, spec), spec.label.column])
    n_matched = pc.count_distinct(label_positions(rows, known, spec), mode="only_valid").as_py()
    return known.num_rows, known.num_rows - n_matched


def near_matches(rows: pa.Table, labels: pa.Table, spec: ModelSpec) -> pa.ChunkedArray:
    """Return which rows have a key that differs from an unmatched label's only in blanks, case, leading zeros or ``.0``.

    If labels are joined by time, too, the times are equal. Labels of other rows are not an error, however many there are;
    a key that is written in two ways is one.
    """
    known = _with_values(labels, join_columns(labels, spec))
    unmatched = known.filter(pc.is_null(label_positions(known, rows.select(join_columns(labels, spec)), spec)))
    of_rows, of_labels = (
        identities(_loose(table[key].cast(pa.string())), *(table[name] for name in more))
        for table in (rows, unmatched)
        for key, *more in [join_columns(labels, spec)]
    )
    return pc.is_in(of_rows, value_set=of_labels.combine_chunks())


def _refuse_two_labels(labels: pa.Table, spec: ModelSpec) -> None:
    columns = join_columns(labels, spec)
    which = labels[spec.entity_key] if len(columns) == 1 else identities(*(labels[name] for name in columns))
    twice = len(which) - len(pc.unique(which))
    if not twice:
        return
    counts = pc.value_counts(which)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0]
    key, *instants = (labels[name][pc.index(which, repeated).as_py()].as_py() for name in columns)
    if instants:
        raise NotTrainable(
            f"The labels of {spec.model!r} contain {twice} pair(s) of key and time twice, such as {key!r} at "
            f"{instants[0]:%Y-%m-%d %H:%M:%S %Z}.",
            f"Make {spec.source.labels} return one row per {spec.entity_key} and {spec.time_column}.",
        )
    raise NotTrainable(
        f"The labels of {spec.model!r} contain {twice} key(s) twice, such as {key!r}.",
        f"Make {spec.source.labels} return one row per entity, or also return {spec.time_column!r}, if an entity has a row in "
        "each partition.",
    )


def _with_values(labels: pa.Table, columns: list[str]) -> pa.Table:
    """Return the labels that have a value in each of some columns."""
    for name in columns:
        labels = labels.filter(pc.is_valid(labels[name]))
    return labels


def _loose(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(keys)), r"\.0+$", "")
    return pc.utf8_ltrim(plain, characters="0")


def _positives(column: pa.ChunkedArray, spec: ModelSpec) -> pa.ChunkedArray:
    positive = _positive(column.type, spec)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        _refuse_infinite(column, spec)
    elif pa.types.is_string(column.type):
        _refuse_odd_texts(column, spec)
        alike = pc.equal(_plain(column), _plain(positive))
        _refuse_spelling(column.filter(pc.and_(alike, pc.not_equal(column, positive))), positive.as_py(), spec)
    return pc.equal(column, positive).cast(pa.int8())


def _plain(texts: pa.ChunkedArray | pa.Scalar) -> pa.ChunkedArray | pa.Scalar:
    return pc.utf8_lower(pc.utf8_trim_whitespace(texts))


def _refuse_odd_texts(texts: pa.ChunkedArray, spec: ModelSpec) -> None:
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
    long = pc.greater(pc.utf8_length(texts), MAX_LABEL_LENGTH)
    for odd, what in ((blank, "are blank"), (long, f"have more than {MAX_LABEL_LENGTH} characters")):
        if n_odd := pc.sum(odd).as_py():
            raise ContractBroken(
                f"{n_odd} label(s) {spec.label.column!r} of {spec.model!r} {what}; expected the name of a class, or NULL.",
                f"Turn them into NULL in {spec.source.labels}, such as nullif(trim({spec.label.column}), ''), or correct them.",
            )


def _refuse_spelling(others: pa.ChunkedArray, label: str, spec: ModelSpec) -> None:
    if len(others):
        raise ContractBroken(
            f"{len(others)} label(s) {spec.label.column!r} of {spec.model!r} are another spelling of {label!r}, such as "
            f"{others[0].as_py()!r}; they would count as another class.",
            f"Write them alike in {spec.source.labels}, such as lower(trim({spec.label.column})).",
        )


def _refuse_infinite(numbers: pa.ChunkedArray, spec: ModelSpec) -> None:
    odd = pc.sum(pc.invert(pc.is_finite(numbers))).as_py() or 0
    if odd:
        raise ContractBroken(
            f"{odd} label(s) {spec.label.column!r} of {spec.model!r} are NaN or infinite; expected finite numbers or NULL.",
            f"Turn them into NULL in {spec.source.labels}, or correct the source.",
        )


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
    classes = column.cast(pa.string())
    _refuse_odd_texts(classes, spec)
    spelled: dict[str, str] = {}
    for level in pc.unique(classes).drop_null().to_pylist():
        first = spelled.setdefault(level.strip(), level)
        if first != level:
            _refuse_spelling(classes.filter(pc.equal(classes, level)), first, spec)
    return classes


def _numbers(column: pa.ChunkedArray, spec: ModelSpec) -> pa.ChunkedArray:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise SpecError(
            f"The label {spec.label.column!r} of {spec.model!r} is of type {column.type}; a regression predicts a number.",
            "CAST it in the labels query, or use another task.",
        )
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise ContractBroken(
            f"Labels {spec.label.column!r} of {spec.model!r} are whole numbers beyond 2**53, and lose digits.",
            f"CAST them to double precision in {spec.source.labels} if their last digits do not matter.",
        ) from error
    _refuse_infinite(numbers, spec)
    return numbers


_TARGETS: Mapping[Task, Callable[[pa.ChunkedArray, ModelSpec], pa.ChunkedArray]] = {
    Task.BINARY: _positives,
    Task.MULTICLASS: _classes,
    Task.REGRESSION: _numbers,
}
