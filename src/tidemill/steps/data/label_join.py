"""Which label belongs to which row: by the key, or by key and event time where the labels query returns both."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.spec import ModelSpec

__all__ = ["identities", "is_joined_by_time", "join_columns", "label_positions", "source_names"]

_SEPARATOR = "\n"  # before the time, which is a number: two identities are equal only if both parts are


def is_joined_by_time(label_columns: Collection[str], spec: ModelSpec) -> bool:
    """Whether labels are joined by key and event time, so that a key may recur in another partition."""
    return spec.time_column in label_columns


def join_columns(labels: pa.Table, spec: ModelSpec) -> list[str]:
    """Return the columns by which labels find their rows: the key, and the event time if the labels have it."""
    return [spec.entity_key, *[spec.time_column] * is_joined_by_time(labels.column_names, spec)]


def identities(keys: pa.ChunkedArray, times: pa.ChunkedArray | None = None) -> pa.ChunkedArray:
    """Return one text for each row: its key, and its time if there is one; null if either is missing.

    Parameters
    ----------
    keys : pyarrow.ChunkedArray of shape (n_rows,)
        Keys of any type; compared as text.
    times : pyarrow.ChunkedArray of shape (n_rows,), optional
        Instants; compared to the microsecond.

    Examples
    --------
    >>> identities(pa.chunked_array([[7, None]])).to_pylist()
    ['7', None]
    """
    texts = keys.cast(pa.string())
    if times is None:
        return texts
    instants = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).cast(pa.string())
    return pa.chunked_array([pc.binary_join_element_wise(texts, instants, _SEPARATOR)], pa.string())


def label_positions(rows: pa.Table, labels: pa.Table, spec: ModelSpec) -> pa.ChunkedArray:
    """Return the position of each row's label among the labels, null if it has none.

    Parameters
    ----------
    rows : pyarrow.Table
        At least the columns of `join_columns`.
    labels : pyarrow.Table
        Result of the labels query.
    """
    columns = join_columns(labels, spec)
    of_rows, of_labels = (identities(*(table[name] for name in columns)) for table in (rows, labels))
    return pc.index_in(of_rows, value_set=of_labels.combine_chunks(), skip_nulls=True)


def source_names(rows: pa.Table, spec: ModelSpec) -> pa.Table:
    """Return published rows with their key and time under the names that the model's queries use."""
    names = {"entity_key": spec.entity_key, "event_time": spec.time_column}
    return rows.rename_columns([names.get(name, name) for name in rows.column_names])
