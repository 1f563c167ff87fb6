"""The rows of a prediction run: written and read by COPY."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

import psycopg2
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg2 import DataError, IntegrityError

from tidemill.errors import IncompletePublish
from tidemill.records import ReleaseRef
from tidemill.warehouse.connections import Cursor, transaction
from tidemill.warehouse.statements import execute
from tidemill.warehouse.writing import BinaryRows, encode

__all__ = ["COPY_COLUMNS", "ScoredRows", "copy_rows", "read_rows", "record_set_aside", "rows_judged"]

_ANSWER_TYPES = {
    "predicted": pa.string(),
    "probabilities": pa.string(),
    "low": pa.float64(),
    "high": pa.float64(),
    "reasons": pa.string(),
}
_MORE_TYPES = {"event_time": pa.timestamp("us", "UTC"), **_ANSWER_TYPES}
SET_ASIDE_COLUMNS = ("row_number", "entity_key", "expectation", "column_name", "value")
COPY_COLUMNS = ("entity_key", "event_time", "score", *_ANSWER_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """The rows of a prediction run."""

    published: Iterable[pa.RecordBatch]
    """Columns ``entity_key``, ``event_time``, ``score``, and the task's further answers: ``predicted`` and ``probabilities``
    (JSON), ``low`` and ``high``, ``reasons`` (JSON); one row per entity."""
    set_aside: Iterable[pa.RecordBatch] = ()
    """Why other rows are set aside, under the names of ``tidemill.quarantine``; read after the published rows."""


def copy_rows(cursor: Cursor, prediction_run_id: int, given: Sequence[str], batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows into the table of an open prediction run; an error of the rows is raised unchanged."""
    columns = [name for name in COPY_COLUMNS if name in given]  # columns that the task does not answer stay NULL
    sent = BinaryRows(encode(batch.select(columns) for batch in batches))
    statement = f"COPY {_table(prediction_run_id)} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
    try:
        cursor.copy_expert(statement, cast(IO[bytes], sent))
    except psycopg2.Error as error:
        if sent.error is not None:  # the rows' own error, of which psycopg2 keeps only the text
            raise sent.error from error
        raise


def record_set_aside(cursor: Cursor, prediction_run_id: int, batches: Iterable[pa.RecordBatch]) -> None:
    """Record the rows of an open prediction run that are set aside."""
    for batch in batches:
        columns = {name: batch.column(name).to_pylist() for name in SET_ASIDE_COLUMNS}
        execute(cursor, "set_aside", prediction_run_id=prediction_run_id, **columns)


def read_rows(url: str, prediction_run_id: int, more: Sequence[str] = ()) -> pa.Table:
    """Return the rows of a prediction run in order of key."""
    types = {"entity_key": pa.string(), "score": pa.float64(), **{name: _MORE_TYPES[name] for name in more}}
    texts = ", ".join(name for name, kind in types.items() if kind == pa.string())
    spool = io.BytesIO()
    with transaction(url) as cursor:
        cursor.copy_expert(
            f"COPY (SELECT {', '.join(types)} FROM {_table(prediction_run_id)} ORDER BY entity_key)"
            f" TO STDOUT (FORMAT csv, FORCE_QUOTE ({texts}))",
            spool,
        )
    if not spool.tell():
        return pa.schema(list(types.items())).empty_table()
    spool.seek(0)
    return pa_csv.read_csv(
        spool,
        pa_csv.ReadOptions(column_names=list(types)),
        pa_csv.ParseOptions(newlines_in_values=True),
        pa_csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


@contextmanager
def rows_judged(release: ReleaseRef) -> Iterator[None]:
    """Raise IncompletePublish with Postgres' message about the row that it refuses."""
    try:
        yield
    except (DataError, IntegrityError) as error:
        reason = (
            f"{error.diag.message_primary or error}. {error.diag.message_detail or error.diag.context or ''}".strip()
        )
        raise IncompletePublish(
            f"Postgres refuses the rows of partition {release.partition!r} of {release.model!r}: {reason.rstrip('.')}.",
            "Nothing was published; look at the query's keys and the release's scores.",
        ) from error


def _table(prediction_run_id: int) -> str:
    return f"tidemill.prediction_run_{int(prediction_run_id)}"
