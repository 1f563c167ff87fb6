"""How a table's time is divided: partitions, cutoff, maturity, and the sets of a training. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tidemill.errors import SettingsError
from tidemill.onboarding.event_time import Lag

__all__ = ["Calendar", "plan_calendar"]

DAY = timedelta(days=1)
_FEW_ROWS = 5  # per day, below which weeks are the partitions, if there are enough of them
_DAYS_APART = {
    "week": 4,
    "month": 20,
}  # from one day with rows to the next, beyond which most shorter partitions are empty
_TEST_ROWS = 150  # of a small table's test set; the gate needs 100
_MIN_BLOCKS = 5  # of the test set, as the gate needs
_MAX_WINDOW = {"day": 365, "week": 730, "month": 1825}  # days
_MAX_TEST = {"day": 42, "week": 182, "month": 365}
_LENGTH = {"day": 1, "week": 7, "month": 31}  # days of the longest partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Partitions of a model, and the lengths of its sets, in days."""

    every: str
    first: date
    partition: date
    """A day of the newest partition that looks complete."""
    cutoff: timedelta
    """From a partition's start to when its rows are known."""
    hour: int
    """Of the day on which a partition can be scored."""
    matures_after: timedelta
    window: int
    validation: int
    test: int
    rows_per_day: int
    n_days: int

    @property
    def key(self) -> str:
        """Key of the newest complete partition."""
        if self.every == "week":
            year, week, _ = self.partition.isocalendar()
            return f"{year}-W{week:02}"
        return f"{self.partition:%Y-%m}" if self.every == "month" else f"{self.partition}"


def plan_calendar(
    days: Sequence[tuple[datetime, int]], arrival: Lag | None, label_time: Lag | None, every: str | None = None
) -> Calendar:
    """Return partitions and sets for the days of a table.

    Parameters
    ----------
    days : sequence of (datetime, int)
        Days with labelled rows, oldest first, with their number of rows.
    every : str, optional
        Length of a partition, if it is not to be guessed.

    Raises
    ------
    SettingsError
        If the rows span too few days for a train, a validation and a test set.
    """
    counts = {day.date(): n for day, n in days}
    first, last = min(counts), max(counts)
    span = (last - first).days + 1
    per_day = sum(counts.values()) / span
    chosen = every or _length_of_partition(span, len(counts), per_day)
    length = _LENGTH[chosen]
    late = arrival.usual if arrival else timedelta(0)
    matures = _whole_days(label_time.usual) if label_time else DAY
    partition = _newest_complete(counts, chosen)
    usable = (partition - first).days - 2 * matures.days - (2 * length if length > 1 else 0)
    if usable < (_MIN_BLOCKS + 2) * length:
        raise SettingsError(
            f"The labelled rows span {span} days, from {first} to {last}. With labels known {matures.days} day(s) later, "
            f"a train, a validation and a test set of {_MIN_BLOCKS} {chosen}s do not fit.",
            "Load a longer past.",
        )
    window = min((partition - first).days - matures.days, _MAX_WINDOW[chosen])
    usable = min(usable, window)
    enough = min(_TEST_ROWS / per_day, 0.4 * usable)
    test = _rounded(max(min(max(0.25 * usable, _MIN_BLOCKS * length), _MAX_TEST[chosen]), enough), length)
    return Calendar(
        every=chosen,
        first=first,
        partition=partition,
        cutoff=timedelta(days=length) + _whole_minutes(late),
        hour=5 + math.ceil(late / timedelta(hours=1)) % 24 if late < 18 * timedelta(hours=1) else 5,
        matures_after=matures,
        window=window,
        validation=_rounded(min(max(0.15 * usable, length), test), length),
        test=test,
        rows_per_day=round(per_day),
        n_days=span,
    )


def _length_of_partition(span: int, n_days: int, per_day: float) -> str:
    apart = span / n_days
    if span >= 31 * 20 and apart > _DAYS_APART["month"]:
        return "month"
    if (per_day >= _FEW_ROWS and apart < _DAYS_APART["week"]) or span < 7 * 16:
        return "day"
    return "week" if per_day >= 1 / 3 or span < 31 * 20 else "month"


def _newest_complete(counts: dict[date, int], every: str) -> date:
    """Return a day of the newest partition that is over by the table's last day, or looks full."""
    last = max(counts)
    if every == "day":
        usual = sorted(counts.values())[len(counts) // 2]
        full = [day for day, n in counts.items() if n >= usual / 2]
        return max(full) if full else last
    if every == "week":
        return last if last.weekday() == 6 else last - timedelta(days=last.weekday() + 1)
    after = last + DAY
    return last if after.month != last.month else last.replace(day=1) - DAY


def _rounded(days: float, length: int) -> int:
    return max(length, math.ceil(days / length) * length)


def _whole_days(lag: timedelta) -> timedelta:
    return max(1, math.ceil(lag / DAY)) * DAY


def _whole_minutes(lag: timedelta) -> timedelta:
    step = timedelta(minutes=10)
    return math.ceil(lag / step) * step
