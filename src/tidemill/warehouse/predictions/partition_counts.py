"""Counts of partitions in the ledger, so that the newest partitions' rows need not be read again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.warehouse.connections import transaction
from tidemill.warehouse.statements import execute

__all__ = ["PartitionCounts"]


@dataclass(frozen=True, slots=True)
class PartitionCounts:
    """The writer's view of counted partitions."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def load(self, release_id: int, prediction_run_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
        """Return the known counts of prediction runs in the groups of a release, by prediction run."""
        with transaction(self.url) as cursor:
            execute(cursor, "partition_counts", release_id=release_id, prediction_run_ids=list(prediction_run_ids))
            return dict(cursor.fetchall())

    def save(self, release_id: int, prediction_run_id: int, counts: Sequence[dict[str, Any]], run_id: int) -> None:
        """Store the counts of a prediction run; its rows never change, so the first counts stay."""
        with transaction(self.url) as cursor:
            execute(
                cursor,
                "insert_partition_counts",
                prediction_run_id=prediction_run_id,
                release_id=release_id,
                counts=json.dumps(list(counts)),
                run_id=run_id,
            )
