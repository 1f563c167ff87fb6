"""Due partitions: what a model's schedule should have published by an instant, and whether it has.

The doctor and the console both use this module, so they never disagree.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from croniter import croniter

from tidemill.intervals import Every, key_order
from tidemill.records import Record, Severity, Timeliness
from tidemill.spec.model import ModelSpec

__all__ = ["GRACE", "N_JUDGED", "DuePartition", "due_partitions", "judge_timeliness"]

GRACE = timedelta(hours=2)
"""Time from a tick until its partition has to be published, unless ``predict.by`` is set: enough for a run and its retries."""

N_JUDGED = 7  # newest due partitions that decide the state: a week of days
_NAMED = 5  # keys in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePartition(Record):
    """A partition that a schedule should have published."""

    key: str
    by: datetime
    """Deadline, in the model's time zone."""


def due_partitions(spec: ModelSpec, as_of: datetime, n: int = N_JUDGED) -> tuple[DuePartition, ...]:
    """Return the newest partitions that should be published by an instant, newest first.

    Parameters
    ----------
    spec : ModelSpec
        Schedule, zone and extent of the data.
    as_of : datetime
        The instant, with a time zone.
    """
    if spec.predict.schedule is None:
        return ()
    first, last = spec.partitions.first or date.min, spec.partitions.last or date.max
    ticks = _newest_ticks(_Schedule.of(spec), as_of.astimezone(UTC).replace(second=0, microsecond=0), n)
    return tuple(due for day, due in ticks if first <= day <= last)


def judge_timeliness(
    spec: ModelSpec,
    known: Mapping[str, bool],
    serves: bool,
    as_of: datetime,
    n: int = N_JUDGED,
    *,
    withheld: Collection[str] = (),
) -> Timeliness:
    """Compare what is published with what is due.

    Parameters
    ----------
    known : mapping of str to bool
        The partitions that are published or withheld, by key: whether each is empty. An empty one is on time; a whole week
        of them deserves a look.
    n : int, default 7
        Maximum number of due partitions to list as missing; the newest 7 decide the severity.
    withheld : collection of str, default ()
        Those of the known partitions whose newest rows wait for a person.
    """
    if (idle := _idle(spec, known, serves, as_of)) is not None:
        return idle
    due = due_partitions(spec, as_of, max(n, N_JUDGED))
    if not due:
        return Timeliness(message=f"Nothing was due by {as_of:%Y-%m-%d %H:%M %Z}.")
    oldest = min(map(key_order, known), default=key_order(due[0].key))
    missing = tuple(item.key for item in due if item.key not in known and key_order(item.key) >= oldest)
    late = tuple(takewhile(lambda item: item.key not in known, due[:N_JUDGED]))
    if late:
        return _late(spec, known, late, missing or (due[0].key,))
    gaps = [item.key for item in due[:N_JUDGED] if item.key in missing]
    if gaps:
        return Timeliness(
            severity=Severity.WARN,
            message=f"Partition(s) between published ones are missing: {'; '.join(gaps[:_NAMED])}.",
            remedy=f"'tidemill predict {spec.model} --from {gaps[-1]} --to {gaps[0]}'.",
            missing=missing,
        )
    if due[0].key in withheld:
        return Timeliness(message=f"The newest rows of the partition due, {due[0].key}, are withheld.", missing=missing)
    return _on_time(spec, known, due[:N_JUDGED], missing)


def _idle(spec: ModelSpec, known: Mapping[str, bool], serves: bool, as_of: datetime) -> Timeliness | None:
    """Return the state of a model for which nothing is due, or that cannot predict; None for others."""
    newest = max(known, default=None, key=key_order)
    if spec.predict.schedule is None:
        return Timeliness(message=f"Predicted only by hand; newest published: {newest or 'none'}.")
    if not serves and spec.draft:
        return Timeliness(message="A draft: its schedules start with the first promotion.")
    if not serves:
        return Timeliness(
            severity=Severity.WARN,
            message="Has no champion, so nothing is predicted.",
            remedy=f"'tidemill train {spec.model} --partition …'.",
        )
    if _ended(spec, as_of):
        return Timeliness(message=f"Its data ended on {spec.partitions.last}; newest published: {newest}.")
    return None


def _late(
    spec: ModelSpec, known: Mapping[str, bool], late: tuple[DuePartition, ...], missing: tuple[str, ...]
) -> Timeliness:
    keys = late[0].key if len(late) == 1 else f"{late[-1].key} to {late[0].key}"
    return Timeliness(
        severity=Severity.FAIL,
        message=f"Late since {late[-1].by:%Y-%m-%d %H:%M %Z}: no partition for {keys}; the newest is"
        f" {max(known, default='none', key=key_order)}.",
        remedy=f"See why 'failed' in tidemill.run, then 'tidemill predict {spec.model} --from {late[-1].key}"
        f" --to {late[0].key}'.",
        missing=missing,
    )


def _on_time(
    spec: ModelSpec, known: Mapping[str, bool], due: tuple[DuePartition, ...], missing: tuple[str, ...]
) -> Timeliness:
    if len(due) > 1 and all(known.get(item.key, False) for item in due):
        return Timeliness(
            severity=Severity.WARN,
            message=f"The newest {len(due)} partitions are published, and all of them are empty.",
            remedy=f"Is the source still being loaded? Run {spec.source.features} by hand.",
            missing=missing,
        )
    empty = ", empty" if known[due[0].key] else ""
    return Timeliness(message=f"The partition due, {due[0].key}, is published{empty}.", missing=missing)


@dataclass(frozen=True, slots=True)
class _Schedule:
    """What decides the keys and deadlines of scheduled runs: models share a few schedules, and ticks are slow to compute."""

    cron: str
    by: str | None
    offset: int
    timezone: str
    every: Every
    cutoff: timedelta
    spec: ModelSpec = field(compare=False)
    """Any spec with these."""

    @classmethod
    def of(cls, spec: ModelSpec) -> "_Schedule":
        """Return the schedule of a spec that has one."""
        predict, partitions = spec.predict, spec.partitions
        assert predict.schedule is not None
        return cls(
            predict.schedule, predict.by, predict.offset, spec.timezone, partitions.every, partitions.cutoff, spec
        )


@lru_cache(maxsize=1024)
def _newest_ticks(schedule: _Schedule, latest: datetime, n: int) -> tuple[tuple[date, DuePartition], ...]:
    """Return the partitions of the newest ticks whose deadline has passed, each with its first day.

    Ticks follow the wall clock, like the timetable. Deadlines are whole minutes, and so is ``latest``.
    """
    zone, spec = ZoneInfo(schedule.timezone), schedule.spec
    local = latest.astimezone(zone).replace(tzinfo=None)
    cron = croniter(schedule.cron, local + timedelta(seconds=1))  # a tick at the very instant counts
    ticks = (cron.get_prev(datetime).replace(tzinfo=zone) for _ in iter(int, 1))
    deadlines = ((tick, spec.deadline(tick) or tick.astimezone(UTC) + GRACE) for tick in ticks)
    found: dict[str, tuple[date, DuePartition]] = {}
    for tick, by in islice(((tick, by) for tick, by in deadlines if by <= latest), n):
        partition = spec.partition_at(tick)
        day = partition.interval.start.astimezone(zone).date()
        found.setdefault(partition.key, (day, DuePartition(key=partition.key, by=by.astimezone(zone))))
    return tuple(found.values())


def _ended(spec: ModelSpec, as_of: datetime) -> bool:
    """Whether the data have ended, so that a run at this time would be for a partition after the last."""
    last = spec.partitions.last
    start = spec.partition_at(as_of - GRACE).interval.start
    return last is not None and start.astimezone(ZoneInfo(spec.timezone)).date() > last
