from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronPartitionTimetable
from pendulum import instance
from pydantic import ValidationError

from tidemill.errors import PartitionError
from tidemill.intervals import Interval
from tidemill.spec import ModelSpec, Partitions
from tidemill.spec_file import read_spec
from tidemill_airflow.schedules import lifetime, partition_of_run, timetable

FLIGHTS = read_spec(Path(__file__).parents[2] / "dags" / "models" / "flight_delays.yaml")
NOON = datetime(2013, 7, 9, 16, tzinfo=UTC)


def context(
    *, key: str | None = None, start: datetime | None = None, end: datetime | None = None, **params: object
) -> dict[str, Any]:
    """What a task knows about its run and its partition."""
    run = SimpleNamespace(run_id="manual__1", partition_key=key, data_interval_start=start, data_interval_end=end)
    return {"dag_run": run, "params": params}


def test_a_run_with_a_partition_key_is_for_it() -> None:
    assert partition_of_run(context(key="2013-07-09", partition=None), FLIGHTS) == "2013-07-09"


def test_a_run_without_key_is_for_the_partition_of_its_parameters() -> None:
    assert partition_of_run(context(partition="2013-07-09"), FLIGHTS) == "2013-07-09"


def test_a_run_with_only_an_interval_is_for_the_partition_of_its_start() -> None:
    late = datetime(2013, 7, 10, 3, 59, tzinfo=UTC)  # still the ninth in New York
    assert partition_of_run(context(start=late, end=NOON.replace(day=11)), FLIGHTS) == "2013-07-09"


def test_parameters_go_before_the_interval() -> None:
    run = context(partition="2013-07-01", start=NOON, end=NOON.replace(day=10))
    assert partition_of_run(run, FLIGHTS) == "2013-07-01"


def test_an_interval_without_length_names_no_partition() -> None:
    with pytest.raises(PartitionError, match="'manual__1' names no partition of 'flight_delays'"):
        partition_of_run(context(start=NOON, end=NOON), FLIGHTS)


def test_a_run_with_nothing_is_told_which_parameter_to_set() -> None:
    with pytest.raises(PartitionError, match=r"parameter 'partition', such as '2013-07-04'"):
        partition_of_run(context(partition=""), FLIGHTS)


def test_key_and_parameter_may_agree() -> None:
    assert partition_of_run(context(key="2013-07-09", partition="2013-07-09"), FLIGHTS) == "2013-07-09"


def test_key_and_parameter_may_not_differ() -> None:
    with pytest.raises(PartitionError, match=r"partition key '2013-07-09'.* says '2013-07-10'"):
        partition_of_run(context(key="2013-07-09", partition="2013-07-10"), FLIGHTS)


@pytest.mark.parametrize("key", ["nonsense", "2013-7-9", "2013-07-09T00", "2013-02-30", " 2013-07-09", "2013-W27"])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(PartitionError, match="is not a day in America/New_York"):
        partition_of_run(context(key=key), FLIGHTS)


@pytest.mark.parametrize("key", ["2012-12-31", "2014-01-01"])
def test_a_key_outside_the_data_is_refused(key: str) -> None:
    with pytest.raises(PartitionError, match="lies outside the data"):
        partition_of_run(context(partition=key), FLIGHTS)


def test_a_dag_begins_with_the_first_local_day_and_ends_with_the_last() -> None:
    found = lifetime(FLIGHTS, "0 5 * * *")
    assert (found["start_date"].astimezone(UTC), found["end_date"].astimezone(UTC)) == (
        datetime(2013, 1, 1, 5, tzinfo=UTC),
        datetime(2014, 1, 1, 4, 59, 59, 999999, tzinfo=UTC),
    )


def test_a_model_without_known_first_day_gives_a_dag_without_start() -> None:
    endless = FLIGHTS.model_copy(update={"partitions": Partitions(last=date(2013, 12, 31))})
    assert lifetime(endless, "0 5 * * *")["start_date"] is None


def test_hours_may_begin_on_a_day_whose_midnight_the_clocks_skip() -> None:
    # An error here would take the DAGs of every model away.
    partitions = Partitions(every="hour", first=date(2018, 11, 4))
    model = FLIGHTS.model_copy(update={"timezone": "America/Sao_Paulo", "partitions": partitions})
    assert lifetime(model, "0 * * * *")["start_date"] == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_a_dag_without_schedule_has_no_dates_that_could_empty_a_run() -> None:
    assert lifetime(FLIGHTS, None) == {"catchup": False}


def test_no_cron_line_is_no_timetable() -> None:
    assert timetable(FLIGHTS, None) is None


@pytest.mark.parametrize(
    ("every", "key_format"), [("day", "%Y-%m-%d"), ("week", "%G-W%V"), ("month", "%Y-%m"), ("hour", "%Y-%m-%dT%H%z")]
)
def test_keys_have_the_form_of_the_partitions(every: str, key_format: str) -> None:
    values = FLIGHTS.model_dump(mode="json") | {"partitions": {"every": every}}
    found = timetable(ModelSpec.model_validate(values), "0 5 * * *")
    assert found is not None
    assert found.key_format == key_format


def test_a_clock_that_goes_back_gives_no_partition_a_second_time() -> None:
    """As the scheduler asks it after a run, with its clock then an hour and a day behind that run."""
    daily = CronPartitionTimetable("0 5 * * *", timezone=FLIGHTS.timezone, key_format="%Y-%m-%d")
    anytime = TimeRestriction(earliest=None, latest=None, catchup=False)
    first = daily.next_dagrun_info_v2(last_dagrun_info=None, restriction=anytime)
    assert first is not None
    ahead = daily.next_dagrun_info_v2(last_dagrun_info=first, restriction=anytime)
    assert ahead is not None
    again = daily.next_dagrun_info_v2(last_dagrun_info=ahead, restriction=anytime)  # tomorrow's, by a clock of today
    assert again is not None
    assert first.run_after < ahead.run_after < again.run_after
    assert len({first.partition_key, ahead.partition_key, again.partition_key}) == 3


# --- hours, weeks and months


def of(every: str, **more: object) -> ModelSpec:
    values = FLIGHTS.model_dump(mode="json") | {
        "partitions": {"every": every, "first": "2013-01-01", "last": "2013-12-31"}
    }
    return ModelSpec.model_validate(values | more)


KEYS = {"hour": "2013-11-03T01-0500", "week": "2013-W27", "month": "2013-07"}


@pytest.mark.parametrize("every", KEYS)
def test_the_form_takes_a_key_of_the_model_s_own_kind(every: str) -> None:
    assert partition_of_run(context(partition=KEYS[every]), of(every)) == KEYS[every]


@pytest.mark.parametrize("every", KEYS)
def test_a_run_of_an_asset_or_a_backfill_brings_a_key_of_the_model_s_own_kind(every: str) -> None:
    assert partition_of_run(context(key=KEYS[every], partition=None), of(every)) == KEYS[every]


@pytest.mark.parametrize("every", KEYS)
@pytest.mark.parametrize("other", [*KEYS.values(), "2013-07-04"])
def test_a_key_of_another_kind_is_refused_with_an_example(every: str, other: str) -> None:
    if other == KEYS[every]:
        return
    with pytest.raises(PartitionError, match=f"is not a {every} in America/New_York. Write it like '2013-"):
        partition_of_run(context(partition=other), of(every))


@pytest.mark.parametrize(
    ("every", "start", "key"),
    [
        ("hour", datetime(2013, 11, 3, 5, 30, tzinfo=UTC), "2013-11-03T01-0400"),  # the first of the two
        ("hour", datetime(2013, 11, 3, 6, 30, tzinfo=UTC), "2013-11-03T01-0500"),
        ("week", datetime(2013, 7, 8, 3, 59, tzinfo=UTC), "2013-W27"),  # still Sunday in New York
        ("month", datetime(2013, 8, 1, 3, 59, tzinfo=UTC), "2013-07"),
    ],
)
def test_an_interval_falls_into_the_local_hour_week_or_month(every: str, start: datetime, key: str) -> None:
    assert partition_of_run(context(start=start, end=start.replace(year=2014)), of(every)) == key


@pytest.mark.parametrize("every", KEYS)
def test_a_run_with_nothing_is_shown_a_key_of_the_model_s_own_kind(every: str) -> None:
    spec = of(every)
    with pytest.raises(PartitionError) as caught:
        partition_of_run(context(partition=""), spec)
    example = str(caught.value).split("such as '")[1].split("'")[0]
    assert spec.partition(example).key == example


TICKS = {"hour": "0 * * * *", "day": "0 5 * * *", "week": "0 5 * * 1", "month": "0 5 1 * *"}


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Europe/Berlin", "Africa/Cairo"])
@pytest.mark.parametrize("every", TICKS)
def test_a_year_of_ticks_names_each_partition_once_and_leaves_none_out(every: str, zone: str) -> None:
    spec = of(every, timezone=zone)
    ticks = scheduler_s(timetable(spec, TICKS[every]))
    first, last = (spec.local_midnight(date(2013, month, 1)) for month in (2, 12))
    restriction = TimeRestriction(earliest=instance(first), latest=instance(last), catchup=True)
    info, keys = ticks.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction), []
    while info is not None and info.run_after < last:
        keys.append(info.partition_key)
        info = ticks.next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction)
    wanted = spec.partitions.every.within(Interval(start=first, end=last), zone)
    assert keys == [partition.key for partition in wanted]


def scheduler_s(declared: Any) -> Any:
    """Return the scheduler's own timetable for a declared one, as it makes it from a serialized DAG."""
    with DAG("of_this_test", schedule=declared) as dag:
        pass
    return DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable


def test_a_zone_that_changes_by_half_an_hour_has_no_hourly_partitions() -> None:
    with pytest.raises(ValidationError, match="Australia/Lord_Howe change by half an hour"):
        of("hour", timezone="Australia/Lord_Howe")


def test_a_zone_that_changes_by_half_an_hour_has_days() -> None:
    assert of("day", timezone="Australia/Lord_Howe").partition("2013-04-07").interval.start.tzinfo is not None
