"""The claim of a partition and the pointer to its visible run, changed within the caller's transaction."""

import json

from tidemill.errors import IncompletePublish
from tidemill.records import PredictionRef
from tidemill.warehouse.connections import Cursor, fetch_value

__all__ = ["mark_stale", "move_pointer", "take_claim", "visible_run"]


def take_claim(cursor: Cursor, model: str, partition: str, run_id: int | None) -> int:
    """Take the next token of a partition, and return it."""
    cursor.execute(
        "INSERT INTO tidemill.claim (model, partition, token, origin, run_id)"
        " SELECT %s, %s, token, token, %s FROM nextval('tidemill.claim_token') token"
        " ON CONFLICT (model, partition) DO UPDATE"
        " SET (token, origin) = (SELECT token, token FROM nextval('tidemill.claim_token') token),"  # under the row's lock
        " run_id = excluded.run_id, claimed_at = now() RETURNING token",
        (model, partition, run_id),
    )
    return int(fetch_value(cursor))


def mark_stale(cursor: Cursor, prediction: PredictionRef) -> None:
    """Mark a written run that a newer attempt has overtaken."""
    cursor.execute(
        "UPDATE tidemill.prediction_run SET status = 'stale' WHERE prediction_run_id = %s AND status = 'written'",
        (prediction.prediction_run_id,),
    )


def visible_run(cursor: Cursor, model: str, partition: str) -> int | None:
    """Return the visible run of a partition, or None."""
    cursor.execute(
        "SELECT prediction_run_id FROM tidemill.published WHERE model = %s AND partition = %s", (model, partition)
    )
    row = cursor.fetchone()
    return None if row is None else int(row[0])


def move_pointer(cursor: Cursor, prediction: PredictionRef) -> None:
    """Make a run the visible one of its partition, and append that to the audit.

    Raises
    ------
    IncompletePublish
        If its rows are not those that were sealed.
    """
    key = (prediction.model, prediction.partition)
    previous = visible_run(cursor, *key)
    if previous == prediction.prediction_run_id:
        return
    cursor.execute(
        "UPDATE tidemill.prediction_run SET status = 'published', published_at = now()"
        " WHERE prediction_run_id = %s AND status IN ('written', 'superseded') AND n_rows = %s AND checksum = %s RETURNING 1",
        (prediction.prediction_run_id, prediction.n_rows, prediction.checksum),
    )
    if cursor.fetchone() is None:
        raise IncompletePublish(
            f"Prediction run {prediction.prediction_run_id} is not completely written.", "Run the partition again."
        )
    cursor.execute(
        "INSERT INTO tidemill.published (model, partition, prediction_run_id) VALUES (%s, %s, %s)"
        " ON CONFLICT (model, partition) DO UPDATE SET prediction_run_id = excluded.prediction_run_id, published_at = now()",
        (*key, prediction.prediction_run_id),
    )
    cursor.execute("UPDATE tidemill.prediction_run SET status = 'superseded' WHERE prediction_run_id = %s", (previous,))
    cursor.execute(
        "SELECT tidemill.append_audit('publish', %s, %s)",
        (
            prediction.model,
            json.dumps(
                {
                    "partition": prediction.partition,
                    "prediction_run_id": prediction.prediction_run_id,
                    "previous": previous,
                    "n_rows": prediction.n_rows,
                    "checksum": prediction.checksum,
                }
            ),
        ),
    )
