"""Due partitions: whether every partition that was due has been published, by the ledger and a clock, not by Airflow."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import croniter

from tidemill.doctor.findings import Finding, listed
from tidemill.errors import PartitionError
from tidemill.spec import ModelSpec

__all__ = ["GRACE", "check_freshness", "due_partitions"]

GRACE = timedelta(hours=2)
"""Time from a tick until its partition has to be published, unless ``predict.by`` is set: enough for a run and its retries."""

N_TICKS = 7  # newest partitions that are checked: a week of days


def due_partitions(spec: ModelSpec, as_of: datetime, n: int = N_TICKS) -> tuple[str, ...]:
    """Return the keys of the newest partitions that should be published by an instant, newest first.

    Parameters
    ----------
    spec : ModelSpec
        Schedule, zone and extent of the data.
    as_of : datetime
        The instant, with a time zone.
    n : int, default 7
        How many at most.
    """
    return tuple(key for key in _ticks(spec, as_of, n) if _exists(spec, key))


def check_freshness(
    spec: ModelSpec, published: Collection[str], serves: bool, as_of: datetime, empty: Collection[str] = ()
) -> Finding:
    """Compare what is published with what is due.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    published : collection of str
        Keys of the partitions that readers see, the empty ones too.
    serves : bool
        Whether the model has a champion.
    as_of : datetime
        Instant to judge at.
    empty : collection of str, default ()
        Those that were published without rows. One is fresh; a whole week of them is worth a look.
    """
    model, newest = spec.model, max(published, default=None)
    if spec.predict.schedule is None:
        return Finding.ok("freshness", model, f"Predicted only by hand; newest published: {newest or 'none'}.")
    if not serves and spec.draft:
        return Finding.ok("freshness", model, "A draft: its schedules start with the first promotion.")
    if not serves:
        return Finding.warn(
            "freshness", model, "Has no champion, so nothing is predicted.", f"'tidemill train {model} --partition …'."
        )
    if _ended(spec, as_of):
        return Finding.ok("freshness", model, f"Its data ended on {spec.partitions.last}; newest published: {newest}.")
    due = due_partitions(spec, as_of)
    if not due:
        return Finding.ok("freshness", model, f"Nothing was due by {as_of:%Y-%m-%d %H:%M %Z}.")
    missing = [key for key in due if key not in published]
    if due[0] in missing:
        return Finding.fail(
            "freshness",
            model,
            f"Partition {due[0]} was due{_by(spec)} and is not published; the newest is {newest or 'none'}.",
            f"See why 'failed' in tidemill.run, then 'tidemill predict {model} --from {missing[-1]} --to {due[0]}'.",
        )
    gaps = [key for key in missing if key > min(published)]
    if gaps:
        return Finding.warn(
            "freshness",
            model,
            f"Partition(s) between published ones are missing: {listed(gaps)}.",
            f"'tidemill predict {model} --from {gaps[-1]} --to {gaps[0]}'.",
        )
    if len(due) > 1 and all(key in empty for key in due):
        return Finding.warn(
            "freshness",
            model,
            f"The newest {len(due)} partitions are published, and all of them are empty.",
            f"Is the source still being loaded? Run {spec.source.features} by hand.",
        )
    return Finding.ok(
        "freshness", model, f"The partition due, {due[0]}, is published{', empty' if due[0] in empty else ''}."
    )


def _ticks(spec: ModelSpec, latest: datetime, n: int) -> Iterator[str]:
    """Yield the partitions of the newest ticks whose deadline has passed, on the wall clock, like the timetable."""
    if spec.predict.schedule is None:
        return
    zone = ZoneInfo(spec.timezone)
    local = latest.astimezone(zone).replace(tzinfo=None)
    cron = croniter(spec.predict.schedule, local + timedelta(seconds=1))  # a tick at the very instant counts
    seen: set[str] = set()
    ticks = (cron.get_prev(datetime).replace(tzinfo=zone) for _ in iter(int, 1))
    due = (tick for tick in ticks if (spec.deadline(tick) or tick.astimezone(UTC) + GRACE) <= latest)
    for tick in islice(due, n):
        key = spec.partition_at(tick).key
        if key not in seen:
            seen.add(key)
            yield key


def _by(spec: ModelSpec) -> str:
    return f" by {spec.predict.by}" if spec.predict.by else ""


def _exists(spec: ModelSpec, key: str) -> bool:
    try:
        spec.asked(key)
    except PartitionError:
        return False
    return True


def _ended(spec: ModelSpec, as_of: datetime) -> bool:
    """Whether the data have ended, so that a run at this time would be for a partition after the last."""
    last = spec.partitions.last
    start = spec.partition_at(as_of - GRACE).interval.start
    return last is not None and start.astimezone(ZoneInfo(spec.timezone)).date() > last
