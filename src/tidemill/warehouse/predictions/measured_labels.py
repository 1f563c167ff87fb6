"""What the newest figures of quality of a partition were computed from."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.warehouse.connections import transaction
from tidemill.warehouse.statements import execute

__all__ = ["MeasuredLabels"]


@dataclass(frozen=True, slots=True)
class MeasuredLabels:
    """The writer's view of measured partitions."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def known(self, model: str, first: str) -> dict[str, tuple[int, str]]:
        """Return the prediction run and the digest of the labels that were measured, from a partition on, by its key."""
        with transaction(self.url) as cursor:
            execute(cursor, "measured_labels", model=model, first=first)
            return {key: (run, digest) for key, run, digest in cursor.fetchall()}

    def remember(self, model: str, partition: str, prediction_run_id: int, digest: str, as_of: datetime) -> None:
        """Store what a partition's newest figures were computed from."""
        with transaction(self.url) as cursor:
            execute(
                cursor,
                "remember_measured_labels",
                model=model,
                partition=partition,
                prediction_run_id=prediction_run_id,
                digest=digest,
                as_of=as_of,
            )
