"""The timetable as the scheduler uses it, compared with a walk over the clock of the zone."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.exceptions import InvalidPartitionKeyError
from airflow.timetables.base import TimeRestriction
from hypothesis import given, settings
from hypothesis import strategies as st
from pendulum import instance

from tidemill.intervals import Every, Interval
from tidemill_airflow.schedules import lifetime, timetable

from .test_schedules import of, scheduler_s

CRONS = {"hour": "5 * * * *", "day": "30 0 * * *", "week": "0 5 * * 1", "month": "0 5 1 * *"}
ZONES = ["America/New_York", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "UTC"]
SPANS = {every: [((3, 1), (11, 10))] for every in CRONS} | {
    "hour": [((3, 5), (4, 3)), ((10, 17), (11, 6))]
}  # month and day
STEP = {"hour": timedelta(minutes=15), "day": timedelta(hours=6), "week": timedelta(1), "month": timedelta(1)}


def walked(every: str, zone: str, instant: datetime, n: int) -> str:
    step = STEP[every] if n > 0 else -STEP[every]
    clock = (instant + number * step for number in itertools.count())
    keys = (at.astimezone(ZoneInfo(zone)).strftime(Every(every).key_format) for at in clock)
    return next(itertools.islice((key for key, _ in itertools.groupby(keys)), abs(n), None))


def made(every: str, zone: str, offset: int, cron: str = "") -> Any:
    """Return the scheduler's timetable of a model, once it has been serialized."""
    cron = cron or CRONS[every]
    return scheduler_s(timetable(of(every, timezone=zone, predict={"schedule": cron, "offset": offset}), cron))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(CRONS)),
    st.sampled_from(ZONES),
    st.integers(-2, 2),
    st.dates(date(2012, 1, 1), date(2018, 12, 1)),
)
def test_each_run_has_the_partition_that_a_walk_meets(every: str, zone: str, offset: int, day: date) -> None:
    ticks, since = made(every, zone, offset), instance(datetime(day.year, day.month, day.day, tzinfo=UTC))
    restriction, info = TimeRestriction(earliest=since, latest=None, catchup=True), None
    for _ in range(5):
        info = ticks.next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction)
        assert info.partition_key == walked(every, zone, info.run_after, offset)
        assert info.partition_date == Every(every).of(info.partition_key, zone).interval.start


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("every", sorted(CRONS))
def test_a_backfill_has_each_partition_once_over_both_changes_of_the_clocks(every: str, offset: int, zone: str) -> None:
    for start, end in SPANS[every]:
        first, last = datetime(2013, *start, tzinfo=UTC), datetime(2013, *end, tzinfo=UTC)
        found = list(made(every, zone, offset).iter_partition_dagrun_infos(earliest=first, latest=last))
        local = Interval(start=first.replace(tzinfo=ZoneInfo(zone)), end=last.replace(tzinfo=ZoneInfo(zone), second=1))
        assert [info.partition_key for info in found] == [item.key for item in Every(every).within(local, zone)]
        assert all(walked(every, zone, info.run_after, offset) == info.partition_key for info in found)


def test_several_runs_of_a_day_are_one_of_a_backfill() -> None:
    day = datetime(2013, 7, 4, tzinfo=UTC)
    found = list(made("day", "UTC", -1, "0 */6 * * *").iter_partition_dagrun_infos(earliest=day, latest=day))
    assert [(info.partition_key, info.run_after) for info in found] == [("2013-07-04", day + timedelta(days=1))]


def test_a_weekly_run_of_a_daily_model_is_for_the_day_before() -> None:
    ticks = made("day", "America/New_York", -1, "0 5 * * 1")
    earliest = instance(datetime(2013, 7, 1, tzinfo=UTC))
    info = ticks.next_dagrun_info_v2(
        last_dagrun_info=None, restriction=TimeRestriction(earliest=earliest, latest=None, catchup=True)
    )
    assert info.partition_key == "2013-06-30"


@pytest.mark.parametrize("key", ["2013-W27", "2013-07-04T01-0400", "2013-07"])
def test_the_date_of_a_partition_is_its_start(key: str) -> None:
    every = {8: "week", 18: "hour", 7: "month"}[len(key)]
    zone = "America/New_York"
    assert made(every, zone, -1).resolve_partition_date(key) == Every(every).of(key, zone).interval.start


def test_a_key_of_another_kind_has_no_date() -> None:
    with pytest.raises(InvalidPartitionKeyError, match="does not match"):
        made("week", "UTC", 0).resolve_partition_date("2013-07-04")


# --- the first run, and the last


@pytest.mark.parametrize(
    ("offset", "start", "end"), [(-1, "01-02", "01-01"), (0, "01-01", "12-31"), (1, "12-31", "12-30")]
)
def test_a_dag_lives_as_long_as_there_are_partitions_to_score(offset: int, start: str, end: str) -> None:
    found = lifetime(of("day", predict={"offset": offset}), "0 5 * * *")
    zone = ZoneInfo("America/New_York")
    assert (f"{found['start_date'].astimezone(zone):%m-%d}", f"{found['end_date'].astimezone(zone):%m-%d}") == (
        start,
        end,
    )


@pytest.mark.parametrize("every", sorted(CRONS))
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_runs_of_a_dag_s_life_are_for_the_partitions_of_the_data(every: str, offset: int) -> None:
    spec = of(every, predict={"schedule": CRONS[every], "offset": offset})
    life = lifetime(spec, CRONS[every])
    first, last = (spec.partition_at(life[name]) for name in ("start_date", "end_date"))
    zone = ZoneInfo(spec.timezone)
    whole = Interval(start=datetime(2013, 1, 1, tzinfo=zone), end=datetime(2014, 1, 1, tzinfo=zone))
    keys = [partition.key for partition in Every(every).within(whole, spec.timezone)]
    assert (first.key, last.key) == (keys[0], keys[-1])
    assert {spec.asked(key).key for key in (first.key, last.key)} == {first.key, last.key}


def test_a_new_dag_does_not_run_for_yesterday() -> None:
    """Ten hours after its tick, on a day in summer; Airflow itself would run it at once because the data begin earlier."""
    hour = (datetime.now(UTC) - timedelta(hours=10)).hour
    ticks = made("day", "UTC", 0, f"0 {hour} * * *")
    restriction = TimeRestriction(earliest=instance(datetime(2013, 1, 1, tzinfo=UTC)), latest=None, catchup=False)
    info = ticks.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert info.run_after > datetime.now(UTC)
    behind = info.run_after - timedelta(days=3)
    later = ticks.next_dagrun_info_v2(
        last_dagrun_info=info._replace(run_after=instance(behind)), restriction=restriction
    )
    assert later.run_after < datetime.now(UTC)  # a run that was missed while Airflow was down
    assert datetime.now(UTC) - later.run_after < timedelta(days=1)


def test_a_dag_whose_data_are_still_to_come_waits_for_them() -> None:
    ahead = instance(datetime.now(UTC) + timedelta(days=30))
    restriction = TimeRestriction(earliest=ahead, latest=None, catchup=False)
    info = made("day", "UTC", 0).next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert info.run_after >= ahead
