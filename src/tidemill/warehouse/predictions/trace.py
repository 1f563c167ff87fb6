"""Trace: from one published row back to the data, code, release and decision behind it."""

from typing import Any

from tidemill.errors import NotPublished
from tidemill.warehouse.connections import fetch_dicts, transaction
from tidemill.warehouse.statements import execute

__all__ = ["trace"]

_ANSWERS = {
    "binary": ("score", "predicted_label", "reasons"),
    "multiclass": ("predicted_label", "score", "probabilities", "reasons"),
    "regression": ("prediction", "low", "high", "reasons"),
}
"""What a row answers, under the names of its view."""


def trace(url: str, model: str, entity_key: str, partition: str | None = None) -> dict[str, Any]:
    """Return one published row: its answer, and its run, data, query, code, packages, release, evidence and approver.

    Parameters
    ----------
    url : str
        Connection; any role may read.
    partition : str, optional
        Its partition; by default the newest published one that has the key.

    Raises
    ------
    NotPublished
        If there is no such row.
    """
    with transaction(url) as cursor:
        execute(cursor, "trace", model=model, partition=partition, entity_key=entity_key)
        found = next(iter(fetch_dicts(cursor)), None)
        execute(cursor, "set_aside_because", model=model, partition=partition, entity_key=entity_key)
        reasons = cursor.fetchall()
    if found is None and reasons:
        said = "; ".join(f"{column or 'row'}: {expectation}, found {value!r}" for column, expectation, value in reasons)
        raise NotPublished(
            f"Row {entity_key!r} of partition {partition!r} of {model!r} was set aside: {said}.",
            f"Correct the source, then 'tidemill predict {model} --partition {partition} --quarantined'.",
        )
    if found is None:
        where = f"Partition {partition!r} of {model!r}" if partition else f"{model!r}"
        raise NotPublished(
            f"{where} has no published row {entity_key!r}.",
            f"Look at predictions.{model} for the existing rows.",
        )
    others = {name for answers in _ANSWERS.values() for name in answers}.difference(_ANSWERS[found["task"]])
    return {name: value for name, value in found.items() if name not in others}
