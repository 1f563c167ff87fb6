"""The release's reference profiles, and a partition counted into the same bins."""

import json

from tidemill.monitoring.profile import ColumnProfile, count_table
from tidemill.records import CollectedRef
from tidemill.runtime.job import Job
from tidemill.storage.layout import FEATURES, REFERENCE, SCORE
from tidemill.storage.tables import read_table

__all__ = ["count_partition", "read_reference"]


def read_reference(job: Job, collected: CollectedRef) -> tuple[ColumnProfile, ...]:
    """Read the profiles of the release's features, and of its scores or predicted classes last."""
    text = (job.store.path(collected.evaluation_uri) / REFERENCE).read_text(encoding="utf-8")
    return tuple(ColumnProfile.from_dict(item) for item in json.loads(text))


def count_partition(
    job: Job, collected: CollectedRef, reference: tuple[ColumnProfile, ...]
) -> tuple[ColumnProfile, ...]:
    """Count the partition's rows into the bins of the reference."""
    folder = job.store.folder(collected.snapshot_uri, collected.snapshot_digest)
    features = read_table(folder / FEATURES, [profile.name for profile in reference[:-1]])
    answer = reference[-1].name  # the score, or the predicted class
    scores = job.publisher.scores(collected.prediction_run_id, () if answer == SCORE else (answer,))
    return (*count_table(reference[:-1], features), *count_table(reference[-1:], scores.select([answer])))
