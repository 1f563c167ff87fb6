"""When a model's DAGs run, and the partition of a run."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tidemill.errors import PartitionError
from tidemill.intervals import Every, Interval, Partition
from tidemill.spec import ModelSpec
from tidemill_airflow.scheduling.timetable import PartitionTimetable

__all__ = ["first_partition", "lifetime", "partition_of_run", "timetable"]


def timetable(spec: ModelSpec, cron: str | None) -> PartitionTimetable | None:
    """Return the timetable of a cron line: each run carries the key of its partition."""
    return _timetable(cron, spec.timezone, spec.partitions.every, spec.predict.offset) if cron else None


@cache  # Airflow describes each cron line in words, for which it reads a file
def _timetable(cron: str, timezone: str, every: Every, offset: int) -> PartitionTimetable:
    return PartitionTimetable(cron, timezone=timezone, every=every.value, offset=offset)


@cache  # the models of a source begin on the same day
def first_partition(every: Every, midnight: datetime, timezone: str) -> Partition:
    """Return the first partition that starts at or after a midnight."""
    return next(every.within(Interval(start=midnight, end=midnight + timedelta(days=62)), timezone))


def lifetime(spec: ModelSpec, cron: str | None) -> dict[str, Any]:
    """Return a DAG's ``start_date``, ``end_date`` and ``catchup``: its runs are those of the model's first to last partition.

    A DAG without a schedule gets no dates: a run with a later logical date would have no task, and would succeed.
    """
    if cron is None:
        return {"catchup": False}
    every, first, last = spec.partitions.every, spec.partitions.first, spec.partitions.last
    start = end = None
    if first:
        start = spec.run_window(first_partition(every, spec.local_midnight(first), spec.timezone)).start
    if last:
        latest = datetime.combine(last, time.max, ZoneInfo(spec.timezone))
        end = spec.run_window(every.containing(latest, spec.timezone)).end - timedelta(microseconds=1)
    return {"start_date": start, "end_date": end, "catchup": False}


def partition_of_run(context: Mapping[str, Any], spec: ModelSpec) -> str:
    """Return the partition of a run: its partition key, the parameter ``partition``, or its data interval.

    Raises
    ------
    PartitionError
        If the run has none of them, or two that differ, or the key is not valid for the model.
    """
    run, chosen = context["dag_run"], context["params"].get("partition")
    key = run.partition_key or chosen
    if chosen and chosen != key:
        raise PartitionError(
            f"Run {run.run_id!r} has partition key {key!r}, and its parameter 'partition' says {chosen!r}.",
            "Trigger it with one of the two.",
        )
    if not key and run.data_interval_start and run.data_interval_start < run.data_interval_end:
        key = spec.partition_at(run.data_interval_start).key
    if not key:
        raise PartitionError(
            f"Run {run.run_id!r} names no partition of {spec.model!r}.",
            f"Trigger it with the parameter 'partition', such as {_example(spec)!r}.",
        )
    return spec.asked(key).key


def _example(spec: ModelSpec) -> str:
    return spec.partitions.every.containing(datetime(2013, 7, 4, 12, tzinfo=ZoneInfo(spec.timezone)), spec.timezone).key
