import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import PartitionError
from tidemill.intervals import Every, Interval, key_order, parse_duration

ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
]
INSTANTS = st.integers(1_100_000_000, 2_050_000_000).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)  # 2004 to 2034


@pytest.mark.parametrize(
    ("day", "hours"), [("2013-03-10", 23), ("2013-11-03", 25), ("2013-07-04", 24), ("2028-02-29", 24)]
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: str, hours: int) -> None:
    interval = Every.DAY.of(day, "America/New_York").interval
    assert interval.end - interval.start == timedelta(hours=hours)


def test_cutoff_is_read_from_the_wall_clock_on_a_day_of_23_hours() -> None:
    cutoff = Every.DAY.of("2013-03-10", "America/New_York", timedelta(hours=5)).cutoff
    assert cutoff.astimezone(ZoneInfo("America/New_York")).hour == 5


def test_midnight_that_does_not_exist_begins_at_the_next_instant() -> None:
    start = Every.DAY.of("2018-11-04", "America/Sao_Paulo").interval.start
    assert start.astimezone(ZoneInfo("America/Sao_Paulo")).hour == 1


def test_a_wall_clock_time_that_does_not_exist_lies_in_the_hour_after_it() -> None:
    midnight = datetime(2018, 11, 4, tzinfo=ZoneInfo("America/Sao_Paulo"))  # the clocks go from 00:00 to 01:00
    assert Every.HOUR.containing(midnight, "America/Sao_Paulo").key == "2018-11-04T01-0200"


def test_a_day_that_the_calendar_skips_is_refused() -> None:
    with pytest.raises(PartitionError, match="2011-12-30"):
        Every.DAY.of("2011-12-30", "Pacific/Apia")


@pytest.mark.parametrize("key", ["2013-7-04", "2013-02-30", "", "x", "2013-07-04 ", "../2013-07-04", "2013-07-04T05"])
def test_a_malformed_key_is_refused_with_an_example(key: str) -> None:
    with pytest.raises(PartitionError, match=r"Write it like '2013-07-04'\."):
        Every.DAY.of(key, "UTC")


@given(st.sampled_from(list(Every)), st.sampled_from(ZONES), INSTANTS)
def test_an_instant_lies_in_the_partition_that_contains_it(every: Every, zone: str, instant: datetime) -> None:
    interval = every.containing(instant, zone).interval
    assert interval.start <= instant < interval.end


@given(st.sampled_from(list(Every)), st.sampled_from(ZONES), INSTANTS)
def test_the_next_partition_begins_where_one_ends(every: Every, zone: str, instant: datetime) -> None:
    first = every.containing(instant, zone)
    assert every.containing(first.interval.end, zone).interval.start == first.interval.end


@given(st.sampled_from(ZONES), INSTANTS, st.integers(1, 40))
def test_partitions_within_an_interval_cover_it_without_gap_or_overlap(
    zone: str, instant: datetime, n_days: int
) -> None:
    start = Every.DAY.containing(instant, zone).interval.start
    end = Every.DAY.containing(start + timedelta(days=n_days), zone).interval.start
    found = list(Every.DAY.within(Interval(start=start, end=end), zone))
    assert sum((item.interval.end - item.interval.start for item in found), timedelta()) == end - start


@pytest.mark.parametrize("words", ["2 dayz", "-1 days", "1.5 hours", "days", "", "2  days", "1 month"])
def test_words_that_are_not_a_duration_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(words)


@pytest.mark.parametrize(
    ("every", "key"),
    [
        ("day", "9999-12-31"), ("day", "0001-01-01"), ("hour", "9999-12-31T23-0500"), ("hour", "0001-01-01T00+0500"),
        ("week", "9999-W52"), ("month", "9999-12"), ("month", "0001-01"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_a_key_of_a_far_off_year_is_refused_with_a_message(every: str, key: str, zone: str) -> None:
    with pytest.raises(PartitionError, match="outside the years 1000 to 8999"):
        Every(every).of(key, zone, timedelta(days=36_525))


@pytest.mark.parametrize("every", list(Every))
@given(st.text(st.characters() | st.characters(categories=["Cs"]), max_size=20))
def test_no_key_ends_in_anything_but_a_partition_or_words(every: Every, key: str) -> None:
    with contextlib.suppress(PartitionError):
        every.of(key, "Europe/Berlin")


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "Europe/London", "Atlantic/Azores", "America/New_York", "UTC"])
def test_keys_of_hours_sort_in_time_over_both_clock_changes(timezone: str) -> None:
    for first in (
        datetime(2024, 3, 9, tzinfo=UTC),
        datetime(2024, 3, 30, tzinfo=UTC),
        datetime(2024, 10, 26, tzinfo=UTC),
    ):
        hours = Every.HOUR.within(Interval(start=first, end=first + timedelta(days=9)), timezone)
        keys = [partition.key for partition in hours]
        assert sorted(keys, key=key_order) == keys


@pytest.mark.parametrize("key", ["2024-10-27", "2024-W43", "2024-10", "fold-07", ""])
def test_other_keys_sort_as_texts(key: str) -> None:
    assert key_order(key) == key
