"""The timetable of a model's DAGs: cron ticks, each with the partition that the run is for."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from airflow.sdk.timezone import coerce_datetime, utcnow
from airflow.timetables.base import DagRunInfo, TimeRestriction
from airflow.timetables.trigger import CronPartitionTimetable
from pendulum import DateTime

from tidemill.errors import PartitionError
from tidemill.intervals import Every, Partition

__all__ = ["PartitionTimetable"]


class PartitionTimetable(CronPartitionTimetable):
    """Runs at the ticks of a cron expression, each for the partition that is ``offset`` after the one with the tick.

    Airflow's own ``run_offset`` counts ticks, which equal partitions only if each partition has exactly one. A backfill
    makes one run for each partition in its range that has a tick.

    Parameters
    ----------
    cron : str
        Expression with five fields.
    timezone : str
        IANA name.
    every : str
        Length of a partition: ``hour``, ``day``, ``week`` or ``month``.
    offset : int, default 0
        Number of partitions; negative for earlier ones.
    """

    def __init__(self, cron: str, *, timezone: str, every: str, offset: int = 0) -> None:
        super().__init__(cron, timezone=timezone, key_format=Every(every).key_format)
        self._zone, self._every, self._offset = timezone, Every(every), offset
        self._is_valid = False

    @property
    def key_format(self) -> str:
        """``strftime`` format of the partition keys."""
        return self._key_format

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "PartitionTimetable":
        """Return the timetable with the arguments from `serialize`."""
        return cls(data["expression"], timezone=data["timezone"], every=data["every"], offset=data["offset"])

    def serialize(self) -> dict[str, Any]:
        """Return the arguments, as JSON types."""
        return {
            "expression": self._expression,
            "timezone": self._zone,
            "every": self._every.value,
            "offset": self._offset,
        }

    def validate(self) -> None:
        """Raise if Airflow does not take the expression; looked at once, though many DAGs share a timetable."""
        if not self._is_valid:
            super().validate()
            self._is_valid = True

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run; the first is the coming one, or one that was just due, however early the data begin."""
        begun = restriction.earliest is not None and restriction.earliest <= utcnow()
        if last_dagrun_info is None and begun and not restriction.catchup:
            restriction = restriction._replace(earliest=None)
        return super().next_dagrun_info_v2(last_dagrun_info=last_dagrun_info, restriction=restriction)

    def iter_partition_dagrun_infos(self, *, earliest: datetime, latest: datetime) -> Iterable[DagRunInfo]:
        """Yield a run for each partition that starts between two instants, both included, and has a tick."""
        since, until = self.localize_partition_datetime(earliest), self.localize_partition_datetime(latest)
        window = self._every.move(self._every.containing(since, self._zone), -self._offset).interval
        tick, seen = self._align_to_next(coerce_datetime(window.start)), ""
        while (partition := self._partition(tick)).interval.start <= until:
            if partition.interval.start >= since and partition.key != seen:
                seen = partition.key
                yield DagRunInfo(
                    run_after=tick,
                    data_interval=None,
                    partition_date=coerce_datetime(partition.interval.start),
                    partition_key=seen,
                )
            tick = self._get_next(tick)

    def _partition(self, tick: datetime) -> Partition:
        return self._every.move(self._every.containing(tick, self._zone), self._offset)

    def _get_partition_info(self, run_date: DateTime) -> tuple[DateTime, str]:
        partition = self._partition(run_date)
        return coerce_datetime(partition.interval.start), partition.key

    def _decode_partition_date(self, partition_key: str) -> datetime:
        try:
            return self._every.of(partition_key, self._zone).interval.start
        except PartitionError:
            return super()._decode_partition_date(partition_key)  # raises what the API server expects
