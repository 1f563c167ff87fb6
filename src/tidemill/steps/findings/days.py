"""Days of hourly partitions, which monitoring compares, as the gate does.

What happens on a day happens to all of its hours.
"""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from tidemill.intervals import Every, day_of
from tidemill.spec import ModelSpec

__all__ = ["whole_days"]


def whole_days(spec: ModelSpec, keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the hours of each day, without a newest day that has not ended; longer partitions are their own days.

    Parameters
    ----------
    keys : iterable of str
        Keys of partitions.
    """
    ordered = sorted(keys)
    if not spec.has_time or spec.partitions.every is not Every.HOUR:
        return {key: (key,) for key in ordered}
    days: dict[str, list[str]] = {}
    for key in ordered:
        days.setdefault(day_of(key), []).append(key)
    if ordered:
        end = max(spec.partition(key).interval.end for key in days[day_of(ordered[-1])])
        newest = day_of(ordered[-1])
        if f"{end.astimezone(ZoneInfo(spec.timezone)):%Y-%m-%d}" == newest:
            del days[newest]
    return {day: tuple(hours) for day, hours in days.items()}
