"""Counted partitions in the ledger: what the newest of them looked like, without reading their rows again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.warehouse.connections import transaction

__all__ = ["PartitionCounts"]


@dataclass(frozen=True, slots=True)
class PartitionCounts:
    """The writer's view of counted partitions."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def load(self, release_id: int, prediction_run_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
        """Return what is known of prediction runs in the groups of a release, by prediction run."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT prediction_run_id, counts FROM tidemill.partition_counts"
                " WHERE release_id = %s AND prediction_run_id = ANY (%s)",
                (release_id, list(prediction_run_ids)),
            )
            return dict(cursor.fetchall())

    def save(self, release_id: int, prediction_run_id: int, counts: Sequence[dict[str, Any]], run_id: int) -> None:
        """Keep the counts of a prediction run; its rows never change, so the first word stays."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "INSERT INTO tidemill.partition_counts (prediction_run_id, release_id, counts, run_id)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (prediction_run_id, release_id, json.dumps(list(counts)), run_id),
            )
