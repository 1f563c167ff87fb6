"""The newest published partitions and their numbers of rows, which define the usual number."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from tidemill.intervals import Every
from tidemill.records import MetricValue, PredictionRef
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.warehouse.predictions.provenance import Provenance, provenance
from tidemill.workspace import LEDGER

__all__ = ["measure_set_aside", "newest_published", "usual_counts"]

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


def measure_set_aside(prediction: PredictionRef, past: Sequence[Provenance]) -> tuple[MetricValue, ...]:
    """Return the share of a run's rows that are set aside, and the highest share of past partitions; nothing if none is."""
    if not prediction.n_set_aside:
        return ()
    shares = (item.n_set_aside / (item.n_rows + item.n_set_aside) for item in past if item.n_set_aside)
    n_rows = prediction.n_rows + prediction.n_set_aside
    return (
        MetricValue(name="set_aside_share", value=prediction.n_set_aside / n_rows, n=n_rows),
        MetricValue(name="set_aside_usual", value=max(shares, default=0.0)),
    )


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
