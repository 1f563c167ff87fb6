"""The newest published partitions, and their numbers of rows, which define how many are usual."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from tidemill.intervals import Every
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.warehouse.predictions.provenance import Provenance, provenance
from tidemill.workspace import LEDGER

__all__ = ["newest_published", "usual_counts"]

N_PAST, N_PAST_HOURS = 60, 8 * 7 * 24  # partitions that define the usual rows: eight of each weekday, or of its hours


def newest_published(job: Job) -> tuple[Provenance, ...]:
    """Return the newest published partitions up to the job's, newest first."""
    limit = N_PAST_HOURS if job.spec.partitions.every is Every.HOUR else N_PAST
    return provenance(job.workspace.connection(LEDGER), job.spec.model, job.partition.key, limit=limit)


def usual_counts(job: Job, past: Sequence[Provenance]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the rows of past partitions of the job's weekday, or hour of the week, and of all, newest first."""
    season = _season(job.spec, job.partition.key)
    peers = tuple(item.n_rows for item in past if _season(job.spec, item.partition) == season)
    return peers, tuple(item.n_rows for item in past)


def _season(spec: ModelSpec, key: str) -> Mapping[str, int]:
    """Return the group of partitions with comparable rows: the weekday, and for hourly partitions the hour."""
    start = spec.partitions.every.of(key, spec.timezone, spec.partitions.cutoff).interval.start
    local = start.astimezone(ZoneInfo(spec.timezone))
    match spec.partitions.every:
        case Every.DAY:
            return {"weekday": local.weekday()}
        case Every.HOUR:
            return {"weekday": local.weekday(), "hour": local.hour}
    return {}
