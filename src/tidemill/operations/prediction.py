"""Prediction of one partition by a command, even if other attempts run at the same time.

The attempt that began last publishes; the others are stale. If a stale attempt used the same release and the same rows,
it is equal: the partition shows what that attempt would have published, so it has not failed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.errors import StaleAttempt
from tidemill.machine.polling import until
from tidemill.records import PredictionRef
from tidemill.runtime.chains import Chain, drive
from tidemill.warehouse.connections import kept_open
from tidemill.warehouse.predictions.publisher import NewestAttempt, Publisher
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Prediction", "predict_partition"]

PATIENCE_S = 600.0  # seconds to wait until the newer attempt publishes; most partitions take less
StepRecords = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Outcome of a prediction."""

    rows: PredictionRef
    """The rows that this attempt wrote, or those of the attempt that overtook it."""
    overtaken: bool = False
    """Whether an equal, newer attempt published instead."""


def predict_partition(
    chain: Chain,
    model: str,
    partition: str,
    workspace: Workspace,
    *,
    cutoff: datetime | None = None,
    on_step: Callable[[str, dict[str, Any] | None], None] = lambda step, record: None,
) -> Prediction:
    """Run a prediction chain; if a newer attempt has claimed the partition, wait until that attempt has published.

    Raises
    ------
    StaleAttempt
        If the newer attempt publishes nothing, or publishes rows that differ from this attempt's.
    """
    records: StepRecords = {}

    def keep(step: str, record: dict[str, Any] | None) -> None:
        if record is not None:
            records[step] = record
        on_step(step, record)

    try:
        record = drive("predict", chain, model, partition, workspace, cutoff=cutoff, on_step=keep)
        return Prediction(rows=PredictionRef.from_dict(record))
    except StaleAttempt:
        equal = _equal_rows(Publisher(workspace.connection(LEDGER)), model, partition, records)
        if equal is None:
            raise
        return Prediction(rows=equal, overtaken=True)


def _equal_rows(publisher: Publisher, model: str, partition: str, records: StepRecords) -> PredictionRef | None:
    """Wait for the newest attempt, and return its rows if they are equal to those of the stale one."""
    newest: list[NewestAttempt] = []

    def is_decided() -> bool:
        newest[:] = [publisher.newest_attempt(model, partition)]
        return newest[0].ended or _is_equal(newest[0], records)

    with kept_open():
        until(is_decided, PATIENCE_S)
    return newest[0].visible if _is_equal(newest[0], records) else None


def _is_equal(newest: NewestAttempt, records: StepRecords) -> bool:
    """Whether a newer attempt has published the same release's predictions for the same rows."""
    release, snapshot, written = records["resolve_release"], records["extract"], records.get("predict")
    visible = newest.visible
    return (
        visible is not None
        and visible.token > release["token"]
        and (visible.release_id, newest.snapshot_digest) == (release["release_id"], snapshot["digest"])
        and (written is None or visible.checksum == written["checksum"])
    )
