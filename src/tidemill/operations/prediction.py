"""Prediction of one partition by a command, even if other attempts run at the same time.

The attempt that began last publishes; the others are stale. If a stale attempt used the same release and the same rows,
it is equal: the partition shows what that attempt would have published, so it has not failed.
"""

from dataclasses import dataclass
from typing import Any, Unpack

from tidemill.errors import StaleAttempt
from tidemill.machine.polling import until
from tidemill.runtime.chains import Chain, DriveOptions, drive
from tidemill.warehouse.connections import kept_open
from tidemill.warehouse.predictions.publisher import NewestAttempt, Publisher
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Prediction", "predict_partition"]

PATIENCE_S = 600.0  # seconds to wait until the newer attempt publishes; most partitions take less


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Outcome of a prediction."""

    record: dict[str, Any]
    """Record of the last step that ended."""
    published_by: int | None = None
    """Prediction run of an equal, newer attempt that published instead; None if this attempt did."""


def predict_partition(
    chain: Chain, model: str, partition: str, workspace: Workspace, **options: Unpack[DriveOptions]
) -> Prediction:
    """Run a prediction chain; if a newer attempt has claimed the partition, wait until that attempt has published.

    Raises
    ------
    StaleAttempt
        If the newer attempt publishes nothing, or publishes rows that differ from this attempt's.
    """
    records: dict[str, dict[str, Any]] = {}
    told = options.get("on_step")

    def on_step(step: str, record: dict[str, Any] | None) -> None:
        if record is not None:
            records[step] = record
        if told is not None:
            told(step, record)

    try:
        record = drive("predict", chain, model, partition, workspace, **(options | {"on_step": on_step}))
        return Prediction(record=record)
    except StaleAttempt:
        visible = _published(Publisher(workspace.connection(LEDGER)), model, partition, records)
        if visible is None:
            raise
        return Prediction(record=list(records.values())[-1], published_by=visible)


def _published(publisher: Publisher, model: str, partition: str, records: dict[str, dict[str, Any]]) -> int | None:
    """Wait for the newest attempt, and return its prediction run if it is equal to the stale one."""
    newest: list[NewestAttempt] = []

    def is_decided() -> bool:
        newest[:] = [publisher.newest_attempt(model, partition)]
        return newest[0].ended or _is_equal(newest[0], records)

    with kept_open():
        until(is_decided, PATIENCE_S)
    return newest[0].prediction_run_id if _is_equal(newest[0], records) else None


def _is_equal(visible: NewestAttempt, records: dict[str, dict[str, Any]]) -> bool:
    """Whether a newer attempt has published the same release's predictions for the same rows."""
    release, snapshot, written = records["resolve_release"], records["extract"], records.get("predict")
    return (
        (visible.visible_token or 0) > release["token"]
        and (visible.release_id, visible.snapshot_digest) == (release["release_id"], snapshot["digest"])
        and (written is None or visible.checksum == written["checksum"])
    )
