"""Partitions of time: keys, half-open intervals and durations in words.

All arithmetic happens on the wall clock of the model's time zone, so that a day is a day when the
clocks change. Nothing here asks what time it is now.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from tidemill.errors import PartitionError
from tidemill.records import Record

__all__ = ["Every", "Interval", "Partition", "day_of", "parse_duration"]

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_HOUR_KEY = re.compile(r"\d{4}-\d\d-\d\dT\d\d[+-]\d{4}")
_DURATION = re.compile(r"(\d{1,8}) (minute|hour|day|week)s?")
_LONGEST = timedelta(days=36_525)  # a century: what is longer is a slip, and takes dates beyond what they can be


def parse_duration(words: str) -> timedelta:
    """Read a duration in words.

    Parameters
    ----------
    words : str
        A whole number and a unit: minutes, hours, days or weeks.

    Raises
    ------
    ValueError
        If the words are anything else, or mean more than 100 years.

    Examples
    --------
    >>> parse_duration("90 days")
    datetime.timedelta(days=90)
    """
    match = _DURATION.fullmatch(words.strip())
    if match is None:
        raise ValueError(
            f"{words!r} is not a duration: write a whole number and a unit, such as '2 days' or '15 minutes'"
        )
    duration = int(match[1]) * _UNITS[match[2]]
    if duration > _LONGEST:
        raise ValueError(f"{words!r} is longer than 100 years")
    return duration


def day_of(key: str) -> str:
    """Return the day of an hour's key, and any other partition's key as it is.

    Rows of one day share what happened on it, so statistics count days, or longer partitions, but never hours.

    Examples
    --------
    >>> day_of("2013-07-04T05-0400"), day_of("2013-07-04"), day_of("2013-W27")
    ('2013-07-04', '2013-07-04', '2013-W27')
    """
    return key[:10] if _HOUR_KEY.fullmatch(key) else key


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval(Record):
    """A half-open stretch of time, ``[start, end)``."""

    start: datetime
    """First instant, inclusive, with a time zone."""
    end: datetime
    """First instant after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition(Record):
    """One piece of scheduled work: its key, its interval, and the instant as of which features are known."""

    key: str
    """Key, e.g. ``2013-07-04``, or ``2013-07-04T05`` for an hour."""
    interval: Interval
    """The event times that belong to it."""
    cutoff: datetime
    """Nothing observed later may enter a row of this partition."""
    timezone: str = "UTC"
    """IANA name of the zone on whose wall clock its durations are counted."""

    def due(self, after: timedelta) -> datetime:
        """Return the instant at which something that takes a while after the end of the partition is there."""
        return self.shift(self.interval.end, after)

    def shift(self, instant: datetime, duration: timedelta) -> datetime:
        """Return the instant a duration later, or earlier, on the wall clock.

        For partitions of an hour only whole days follow the wall clock; hours and minutes are exact.

        Examples
        --------
        >>> day = Every.DAY.of("2013-11-02", "America/New_York")
        >>> (day.shift(day.interval.end, timedelta(days=1)) - day.interval.end) / timedelta(hours=1)
        25.0
        """
        hourly = self.interval.end - self.interval.start == _UNITS["hour"]
        on_clock = timedelta(days=int(duration / _UNITS["day"])) if hourly else duration
        exact, zone = duration - on_clock, ZoneInfo(self.timezone)
        if not on_clock:
            return instant + exact
        return _instant(instant.astimezone(zone).replace(tzinfo=None) + on_clock, zone) + exact


class Every(StrEnum):
    """How long a partition is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def key_format(self) -> str:
        """Format of the partition key, for ``strftime``."""
        return {"hour": "%Y-%m-%dT%H%z", "day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[self.value]

    @property
    def block_unit(self) -> str:
        """What statistics count: days, or longer partitions."""
        return "day" if self is Every.HOUR else self.value

    def of(self, key: str, timezone: str, cutoff: timedelta = timedelta(0)) -> Partition:
        """Return the partition of a key.

        Parameters
        ----------
        key : str
            Such as ``2013-07-04`` (day), ``2013-W27`` (week), ``2013-07`` (month), ``2013-07-04T05-0400`` (hour).
        timezone : str
            IANA name of the model's zone.
        cutoff : timedelta, default 0
            From the partition's start to its cutoff, on the wall clock.

        Raises
        ------
        PartitionError
            If the key is not of this form, or names a time that does not exist.

        Examples
        --------
        >>> day = Every.DAY.of("2013-03-10", "America/New_York", timedelta(hours=5))
        >>> day.interval.end - day.interval.start
        datetime.timedelta(seconds=82800)
        """
        zone = ZoneInfo(timezone)
        start, local = self._start(key, zone)
        if self is Every.HOUR:
            end, known = start + timedelta(hours=1), start + cutoff  # instants: an hour is an hour
        else:
            end, known = _instant(self._following(local), zone), _instant(local + cutoff, zone)
        return Partition(key=key, interval=Interval(start=start, end=end), cutoff=known, timezone=timezone)

    def containing(self, instant: datetime, timezone: str, cutoff: timedelta = timedelta(0)) -> Partition:
        """Return the partition that an instant falls into.

        Examples
        --------
        >>> Every.DAY.containing(datetime(2013, 7, 4, 3, tzinfo=UTC), "America/New_York").key
        '2013-07-03'
        """
        return self.of(instant.astimezone(ZoneInfo(timezone)).strftime(self.key_format), timezone, cutoff)

    def within(self, interval: Interval, timezone: str, cutoff: timedelta = timedelta(0)) -> Iterator[Partition]:
        """Yield every partition that starts in an interval, oldest first."""
        partition = self.containing(interval.start, timezone, cutoff)
        while partition.interval.start < interval.end:
            if partition.interval.start >= interval.start:
                yield partition
            partition = self.containing(partition.interval.end, timezone, cutoff)

    def _start(self, key: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return a key's first instant in UTC and on the wall clock; refuse what does not come back as the same key."""
        weekly = self is Every.WEEK
        try:
            form = f"{self.key_format}-%u" if weekly else self.key_format
            local = datetime.strptime(f"{key}-1" if weekly else key, form)  # noqa: DTZ007 - a wall clock's time
            start = local.astimezone(UTC) if self is Every.HOUR else _instant(local, zone)
        except ValueError:
            start = None
        if start is None or start.astimezone(zone).strftime(self.key_format) != key:
            raise PartitionError(
                f"Partition key {key!r} is not a {self.value} in {zone.key}.",
                f"Write it like {datetime(2013, 7, 4, 5, tzinfo=zone).strftime(self.key_format)!r}.",
            )
        return start, local

    def _following(self, local: datetime) -> datetime:
        if self is Every.MONTH:
            first = date(local.year + local.month // 12, local.month % 12 + 1, 1)
            return datetime.combine(first, time())
        return local + _UNITS[self.value]


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Turn a wall-clock time into an instant in UTC; a time that the clocks skip becomes the next that exists."""
    return local.replace(tzinfo=zone).astimezone(UTC)
