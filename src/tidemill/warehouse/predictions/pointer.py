"""The claim of a partition and the pointer to its visible run, changed within the caller's transaction."""

from tidemill.errors import IncompletePublish, StaleAttempt
from tidemill.records import PredictionRef
from tidemill.warehouse.connections import Cursor, fetch_value
from tidemill.warehouse.statements import execute

__all__ = [
    "is_withheld",
    "mark_stale",
    "move_pointer",
    "overtaken",
    "stale_attempt",
    "take_claim",
    "visible_run",
]


def take_claim(cursor: Cursor, model: str, partition: str, run_id: int | None) -> int:
    """Take the next token of a partition, and return it."""
    execute(cursor, "take_claim", model=model, partition=partition, run_id=run_id)
    return int(fetch_value(cursor))


def mark_stale(cursor: Cursor, prediction: PredictionRef) -> None:
    """Mark a written run that a newer attempt has overtaken."""
    execute(cursor, "mark_stale", prediction_run_id=prediction.prediction_run_id)


def visible_run(cursor: Cursor, model: str, partition: str) -> int | None:
    """Return the visible run of a partition, or None."""
    execute(cursor, "visible_run", model=model, partition=partition)
    row = cursor.fetchone()
    return None if row is None else int(row[0])


def is_withheld(cursor: Cursor, prediction: PredictionRef, *, stale: bool) -> bool:
    """Return whether a run waits for a person, or was discarded by one; of a stale run, whether it ever waited."""
    execute(cursor, "run_state", prediction_run_id=prediction.prediction_run_id)
    status, decided, *_ = cursor.fetchone() or ("", None)
    return decided is not None if stale else status in ("withheld", "discarded")


def stale_attempt(prediction: PredictionRef) -> StaleAttempt:
    """Return the error about a run that a newer attempt has overtaken."""
    return overtaken(
        f"Prediction run {prediction.prediction_run_id} of {prediction.model!r}, partition {prediction.partition!r}, "
        f"holds token {prediction.token}"
    )


def overtaken(subject: str) -> StaleAttempt:
    """Return the error about an attempt that is not the newest at its partition."""
    return StaleAttempt(
        f"{subject}, but a newer attempt has claimed the partition.",
        "Nothing needs to be done: the newer attempt publishes.",
    )


def move_pointer(cursor: Cursor, prediction: PredictionRef) -> None:
    """Make a run the visible one of its partition, and append that to the audit.

    Raises
    ------
    IncompletePublish
        If its rows differ from those that were sealed.
    """
    execute(
        cursor,
        "move_pointer",
        prediction_run_id=prediction.prediction_run_id,
        n_rows=prediction.n_rows,
        checksum=prediction.checksum,
    )
    if not fetch_value(cursor):
        raise IncompletePublish(
            f"Prediction run {prediction.prediction_run_id} is not completely written.", "Run the partition again."
        )
