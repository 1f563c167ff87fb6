"""Partitions of time: keys, half-open intervals and durations in words.

All arithmetic uses the wall clock of the model's time zone: a day stays a day when the clocks change. Nothing here reads
the current time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from tidemill.errors import PartitionError
from tidemill.records import Record

__all__ = [
    "DURATION",
    "FOLD",
    "Every",
    "Interval",
    "Partition",
    "day_of",
    "duration_words",
    "is_longer_than_day",
    "key_order",
    "parse_duration",
    "parse_offset",
]

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_HOUR_KEY = re.compile(r"\d{4}-\d\d-\d\dT\d\d[+-]\d{4}")
_LONG_KEY = re.compile(r"\d{4}-W?\d\d")
DURATION = r"\d{1,8} (minute|hour|day|week)s?( \d{1,8} (minute|hour|day|week)s?)*"
"""Regular expression of a duration in words."""
FOLD = "fold-"
"""Beginning of the key of a fold, which stands for a partition where rows have no time."""
_YEARS = range(1000, 9000)  # leaves room for durations of centuries before and after a partition
_LONGEST = timedelta(days=36_525)  # a century: anything longer is a typing error and would overflow dates


def parse_duration(words: str) -> timedelta:
    """Parse a duration in words.

    Parameters
    ----------
    words : str
        Whole numbers, each with a unit: minutes, hours, days or weeks.

    Raises
    ------
    ValueError
        If the words have another form, or exceed 100 years.

    Examples
    --------
    >>> parse_duration("90 days"), parse_duration("1 day 3 hours")
    (datetime.timedelta(days=90), datetime.timedelta(days=1, seconds=10800))
    """
    if re.fullmatch(DURATION, words.strip()) is None:
        raise ValueError(
            f"{words!r} is not a duration: write whole numbers and units, such as '2 days', '15 minutes' or '1 day 3 hours'"
        )
    numbers = words.split()
    duration = sum(
        (
            int(number) * _UNITS[unit.removesuffix("s")]
            for number, unit in zip(numbers[::2], numbers[1::2], strict=True)
        ),
        timedelta(),
    )
    if duration > _LONGEST:
        raise ValueError(f"{words!r} is longer than 100 years")
    return duration


def parse_offset(words: str) -> timedelta:
    """Parse a duration in words that may be negative, with one minus sign in front.

    Raises
    ------
    ValueError
        If the words have another form, or exceed 100 years.

    Examples
    --------
    >>> parse_offset("-2 hours") / timedelta(hours=1)
    -2.0
    """
    positive = words.strip().removeprefix("-")
    return -parse_duration(positive) if positive != words.strip() else parse_duration(words)


def duration_words(duration: timedelta) -> str:
    """Return the words of a duration, in whole minutes, as `parse_offset` reads them.

    Examples
    --------
    >>> duration_words(timedelta(days=1, hours=3)), duration_words(-timedelta(hours=2)), duration_words(timedelta())
    ('1 day 3 hours', '-2 hours', '0 minutes')
    """
    rest, words = abs(duration), []
    for unit in ("day", "hour", "minute"):
        number, rest = divmod(rest, _UNITS[unit])
        words += [f"{number} {unit}{'' if number == 1 else 's'}"] * (number > 0)
    return ("-" if duration < timedelta() else "") + (" ".join(words) or "0 minutes")


def day_of(key: str) -> str:
    """Return the day of an hourly key, and any other key unchanged.

    Rows of one day are correlated, so statistics use days or longer partitions as blocks, never hours.

    Examples
    --------
    >>> day_of("2013-07-04T05-0400"), day_of("2013-07-04"), day_of("2013-W27")
    ('2013-07-04', '2013-07-04', '2013-W27')
    """
    return key[:10] if _HOUR_KEY.fullmatch(key) else key


def is_longer_than_day(key: str) -> bool:
    """Whether the key is that of a week or a month.

    Examples
    --------
    >>> [is_longer_than_day(key) for key in ("2013-W27", "2013-07", "2013-07-04", "2013-07-04T05-0400")]
    [True, True, False, False]
    """
    return _LONG_KEY.fullmatch(key) is not None


def key_order(key: str) -> str:
    """Return a text that sorts as the partition of a key does in time, like ``tidemill.key_order`` in SQL.

    In the repeated hour of a clock change, two keys differ only in their offset, of which the larger one is first.

    Examples
    --------
    >>> sorted(["2024-10-27T02+0100", "2024-10-27T03+0100", "2024-10-27T02+0200"], key=key_order)
    ['2024-10-27T02+0200', '2024-10-27T02+0100', '2024-10-27T03+0100']
    """
    return f"{key[:13]}{5000 - int(key[13:])}" if _HOUR_KEY.fullmatch(key) else key


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval(Record):
    """A half-open time interval, ``[start, end)``."""

    start: datetime
    """First instant, inclusive, time zone aware."""
    end: datetime
    """End, exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition(Record):
    """The unit of scheduled work: key, interval, and the time as of which features are known."""

    key: str
    """Key, for example ``2013-07-04``, or ``2013-07-04T05-0400`` for an hour."""
    interval: Interval
    """Event times of its rows."""
    cutoff: datetime
    """Time after which nothing observed may enter a row of this partition."""
    timezone: str = "UTC"
    """IANA name of the time zone whose wall clock applies to durations."""

    def due(self, after: timedelta) -> datetime:
        """Return the instant a duration after the end of the partition."""
        return self.shift(self.interval.end, after)

    def shift(self, instant: datetime, duration: timedelta) -> datetime:
        """Return the instant shifted by a duration, which may be negative, on the wall clock.

        For hourly partitions, only whole days follow the wall clock; hours and minutes are exact.

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
    """Length of a partition."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def key_format(self) -> str:
        """``strftime`` format of the partition key."""
        return {"hour": "%Y-%m-%dT%H%z", "day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[self.value]

    @property
    def block_unit(self) -> str:
        """Unit of the blocks in statistics: days, or longer partitions."""
        return "day" if self is Every.HOUR else self.value

    def of(self, key: str, timezone: str, cutoff: timedelta = timedelta(0)) -> Partition:
        """Return the partition of a key.

        Parameters
        ----------
        key : str
            For example ``2013-07-04`` (day), ``2013-W27`` (week), ``2013-07`` (month) or ``2013-07-04T05-0400`` (hour).
        timezone : str
            IANA name of the model's time zone.
        cutoff : timedelta, default 0
            Offset from the partition's start to its cutoff, on the wall clock.

        Raises
        ------
        PartitionError
            If the key is malformed, denotes a time that does not exist, or lies outside the years 1000 to 8999.

        Examples
        --------
        >>> day = Every.DAY.of("2013-03-10", "America/New_York", timedelta(hours=5))
        >>> day.interval.end - day.interval.start
        datetime.timedelta(seconds=82800)
        """
        zone = ZoneInfo(timezone)
        start, local = self._start(key, zone)
        if self is Every.HOUR:
            end, known = start + timedelta(hours=1), start + cutoff  # instants, not wall clock: an hour is 60 minutes
        else:
            end, known = _instant(self._following(local), zone), _instant(local + cutoff, zone)
        return Partition(key=key, interval=Interval(start=start, end=end), cutoff=known, timezone=timezone)

    def containing(self, instant: datetime, timezone: str, cutoff: timedelta = timedelta(0)) -> Partition:
        """Return the partition that contains an instant.

        Examples
        --------
        >>> Every.DAY.containing(datetime(2013, 7, 4, 3, tzinfo=UTC), "America/New_York").key
        '2013-07-03'
        """
        # By way of UTC, because a wall-clock time of that zone stays as it is, even if the clocks skip it.
        local = instant.astimezone(UTC).astimezone(ZoneInfo(timezone))
        return self.of(local.strftime(self.key_format), timezone, cutoff)

    def move(self, partition: Partition, n: int, cutoff: timedelta = timedelta(0)) -> Partition:
        """Return the n-th partition after another one, or before it if n is negative.

        Examples
        --------
        >>> Every.MONTH.move(Every.MONTH.of("2013-01", "UTC"), -1).key
        '2012-12'
        """
        for _ in range(abs(n)):
            interval = partition.interval
            beside = interval.end if n > 0 else interval.start - timedelta(microseconds=1)
            partition = self.containing(beside, partition.timezone, cutoff)
        return partition

    def within(self, interval: Interval, timezone: str, cutoff: timedelta = timedelta(0)) -> Iterator[Partition]:
        """Yield every partition that starts in an interval, oldest first."""
        partition = self.containing(interval.start, timezone, cutoff)
        while partition.interval.start < interval.end:
            if partition.interval.start >= interval.start:
                yield partition
            partition = self.containing(partition.interval.end, timezone, cutoff)

    def _start(self, key: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return a key's start in UTC and on the wall clock; reject a key that does not round-trip, and far-off years."""
        weekly = self is Every.WEEK
        try:
            form = f"{self.key_format}-%u" if weekly else self.key_format
            local = datetime.strptime(f"{key}-1" if weekly else key, form)  # noqa: DTZ007 - a wall clock's time
            if local.year not in _YEARS:
                raise PartitionError(
                    f"Partition key {key!r} lies outside the years {_YEARS[0]} to {_YEARS[-1]}.",
                    "Name a partition that the source has data of.",
                )
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
    """Convert a wall-clock time to UTC; a time that the clocks skip becomes the next one that exists."""
    return local.replace(tzinfo=zone).astimezone(UTC)
