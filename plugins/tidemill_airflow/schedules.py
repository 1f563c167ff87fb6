"""When a model's DAGs run, and the partition of a run."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import CronPartitionTimetable

from tidemill.errors import PartitionError
from tidemill.spec import ModelSpec

__all__ = ["lifetime", "partition_of_run", "timetable"]


def timetable(spec: ModelSpec, cron: str | None) -> CronPartitionTimetable | None:
    """Return the timetable of a cron line: each run carries the key of the partition that contains its tick."""
    if cron is None:
        return None
    return CronPartitionTimetable(cron, timezone=spec.timezone, key_format=spec.partitions.every.key_format)


def lifetime(spec: ModelSpec, cron: str | None) -> dict[str, Any]:
    """Return a DAG's ``start_date``, ``end_date`` and ``catchup``: past partitions are not caught up by themselves.

    A DAG without a schedule gets no dates: a run with a later logical date would have no task, and would succeed.
    """
    if cron is None:
        return {"catchup": False}
    first, last, zone = spec.partitions.first, spec.partitions.last, ZoneInfo(spec.timezone)
    return {
        "start_date": datetime.combine(first, time(), zone) if first else None,
        "end_date": datetime.combine(last, time.max, zone) if last else None,
        "catchup": False,
    }


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
        key = spec.partitions.every.containing(run.data_interval_start, spec.timezone).key
    if not key:
        raise PartitionError(
            f"Run {run.run_id!r} names no partition of {spec.model!r}.",
            f"Trigger it with the parameter 'partition', such as {_example(spec)!r}.",
        )
    return spec.asked(key).key


def _example(spec: ModelSpec) -> str:
    return spec.partitions.every.containing(datetime(2013, 7, 4, 12, tzinfo=ZoneInfo(spec.timezone)), spec.timezone).key
