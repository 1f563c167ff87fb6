from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronPartitionTimetable

from tidemill.errors import PartitionError
from tidemill.spec import ModelSpec, Partitions
from tidemill.spec_file import read_spec
from tidemill_airflow.schedules import lifetime, partition_of_run, timetable

FLIGHTS = read_spec(Path(__file__).parents[2] / "dags" / "models" / "flight_delays.yaml")
NOON = datetime(2013, 7, 9, 16, tzinfo=UTC)


def context(
    *, key: str | None = None, start: datetime | None = None, end: datetime | None = None, **params: object
) -> dict[str, Any]:
    """What a task is told about its run, as far as partitions are concerned."""
    run = SimpleNamespace(run_id="manual__1", partition_key=key, data_interval_start=start, data_interval_end=end)
    return {"dag_run": run, "params": params}


def test_a_run_with_a_partition_key_is_for_it() -> None:
    assert partition_of_run(context(key="2013-07-09", partition=None), FLIGHTS) == "2013-07-09"


def test_a_run_without_key_is_for_the_partition_of_its_parameters() -> None:
    assert partition_of_run(context(partition="2013-07-09"), FLIGHTS) == "2013-07-09"


def test_a_run_with_an_interval_alone_is_for_the_partition_of_its_start() -> None:
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
