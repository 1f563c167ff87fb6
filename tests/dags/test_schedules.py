"""When the DAGs run and for which partition, as the scheduler computes it."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import yaml

from tidemill.intervals import Every, Interval
from tidemill.spec import ModelSpec

from .conftest import PROJECT, Described

VERBS = ("train", "predict", "monitor", "retrain", "reproduce")
LOCAL_TIME = {"train": "05:00", "predict": "05:30", "monitor": "08:00", "retrain": "09:00", "reproduce": "06:00"}
FLIGHTS = (PROJECT / "dags" / "models" / "flight_delays.yaml").read_text(encoding="utf-8")
PREDICT = 'predict: {schedule: "30 5 * * *"}'


def runs(described: Described, verb: str, change: str) -> list[tuple[str, str]]:
    """Local time of day and partition key of four runs around a change of the clocks."""
    found = described["dags"][f"flight_delays_{verb}"]["runs"][change]
    zone = ZoneInfo("America/New_York")
    return [(f"{datetime.fromisoformat(moment).astimezone(zone):%H:%M}", key) for moment, key in found]


@pytest.mark.parametrize("verb", VERBS)
def test_the_timetable_gives_partition_keys(described: Described, verb: str) -> None:
    assert described["dags"][f"flight_delays_{verb}"]["timetable"] == "PartitionTimetable"


@pytest.mark.parametrize("verb", ["predict", "monitor", "retrain"])
@pytest.mark.parametrize("change", ["spring", "autumn"])
def test_a_daily_run_keeps_its_local_time_when_the_clocks_change(described: Described, verb: str, change: str) -> None:
    assert {moment for moment, _ in runs(described, verb, change)} == {LOCAL_TIME[verb]}


@pytest.mark.parametrize("verb", ["predict", "monitor", "retrain"])
@pytest.mark.parametrize(("change", "month", "first"), [("spring", 3, 10), ("autumn", 11, 3)])
def test_no_day_is_missed_or_doubled_when_the_clocks_change(
    described: Described, verb: str, change: str, month: int, first: int
) -> None:
    assert [key for _, key in runs(described, verb, change)] == [f"2013-{month:02}-{first + n:02}" for n in range(4)]


def test_training_runs_on_mondays(described: Described) -> None:
    assert runs(described, "train", "spring") == [
        ("05:00", "2013-03-11"),
        ("05:00", "2013-03-18"),
        ("05:00", "2013-03-25"),
        ("05:00", "2013-04-01"),
    ]


def test_a_release_is_built_again_on_sundays(described: Described) -> None:
    assert [key for _, key in runs(described, "reproduce", "autumn")] == [
        "2013-11-03",
        "2013-11-10",
        "2013-11-17",
        "2013-11-24",
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_a_dag_lives_as_long_as_its_data_do(described: Described, verb: str) -> None:
    dag = described["dags"][f"flight_delays_{verb}"]
    assert (dag["start"], dag["end"]) == ("2013-01-01T05:00:00+00:00", "2014-01-01T04:59:59.999999+00:00")


@pytest.mark.parametrize("verb", VERBS)
def test_past_partitions_are_not_caught_up_unasked(described: Described, verb: str) -> None:
    assert described["dags"][f"flight_delays_{verb}"]["catchup"] is False


@pytest.fixture(scope="module")
def others(describe_models: Callable[..., Described]) -> Described:
    by_hand = FLIGHTS.replace(PREDICT, "predict: {schedule: null}").replace("model: flight_delays", "model: by_hand")
    hourly = FLIGHTS.replace(PREDICT, 'predict: {schedule: "0 * * * *"}').replace(
        "model: flight_delays", "model: hourly"
    )
    weekly = FLIGHTS.replace(PREDICT, 'predict: {schedule: "0 5 * * 1"}').replace(
        "model: flight_delays", "model: weekly"
    )
    monthly = FLIGHTS.replace(PREDICT, 'predict: {schedule: "0 5 1 * *"}').replace(
        "model: flight_delays", "model: monthly"
    )
    return describe_models(
        by_hand=by_hand,
        hourly=hourly.replace("every: day, cutoff: 5 hours", "every: hour"),
        weekly=weekly.replace("every: day", "every: week"),
        monthly=monthly.replace("every: day", "every: month"),
    )


@pytest.mark.parametrize(
    ("model", "key"), [("hourly", "2013-01-01T00-0500"), ("weekly", "2013-W02"), ("monthly", "2013-01")]
)
def test_the_page_of_a_dag_names_a_key_of_its_own_kind(others: Described, model: str, key: str) -> None:
    assert f"such as `{key}`" in others["dags"][f"{model}_predict"]["doc_md"]


def test_the_page_of_a_rollback_names_its_command(others: Described) -> None:
    page = others["dags"]["weekly_rollback"]["doc_md"]
    assert "`tidemill rollback weekly --reason …`" in page
    assert "--partition" not in page


def test_a_null_schedule_runs_only_by_hand(others: Described) -> None:
    assert others["dags"]["by_hand_predict"]["runs"]["spring"] == []


def test_an_hourly_model_has_no_key_for_the_hour_that_the_clocks_skip(others: Described) -> None:
    assert [key for _, key in others["dags"]["hourly_predict"]["runs"]["spring"]] == [
        "2013-03-10T00-0500",
        "2013-03-10T01-0500",
        "2013-03-10T03-0400",
        "2013-03-10T04-0400",
    ]


def test_an_hourly_model_has_two_keys_for_the_hour_that_comes_twice(others: Described) -> None:
    assert [key for _, key in others["dags"]["hourly_predict"]["runs"]["autumn"]] == [
        "2013-11-03T00-0400",
        "2013-11-03T01-0400",
        "2013-11-03T01-0500",
        "2013-11-03T02-0500",
    ]


@pytest.mark.parametrize(
    ("model", "change", "keys"),
    [
        ("weekly", "spring", ["2013-W11", "2013-W12", "2013-W13", "2013-W14"]),
        ("weekly", "autumn", ["2013-W45", "2013-W46", "2013-W47", "2013-W48"]),
        ("monthly", "spring", ["2013-04", "2013-05", "2013-06", "2013-07"]),
        ("monthly", "autumn", ["2013-12", "2014-01", "2014-02", "2014-03"]),
    ],
)
def test_weekly_and_monthly_runs_have_the_key_of_the_week_or_month_that_begins(
    others: Described, model: str, change: str, keys: list[str]
) -> None:
    found = others["dags"][f"{model}_predict"]["runs"][change]
    assert [key for _, key in found] == keys
    assert {f"{datetime.fromisoformat(at).astimezone(ZoneInfo('America/New_York')):%H:%M}" for at, _ in found} == {
        "05:00"
    }


# --- backfills


def spec_of(every: str) -> ModelSpec:
    text = FLIGHTS.replace("every: day, cutoff: 5 hours", f"every: {every}")
    return ModelSpec.model_validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("dag_id", "every", "n"),
    [
        ("flight_delays_predict", "day", 25),
        ("hourly_predict", "hour", 599),
        ("weekly_predict", "week", 4),
        ("monthly_predict", "month", 1),
    ],
)
def test_a_backfill_makes_a_run_for_each_partition_that_begins_and_none_twice(
    described: Described, others: Described, dag_id: str, every: str, n: int
) -> None:
    """Over a change of the clocks: one hour of the 25 days does not exist."""
    keys = (described if every == "day" else others)["dags"][dag_id]["backfill"]
    zone = ZoneInfo("America/New_York")
    wanted = Every(every).within(
        Interval(start=datetime(2013, 3, 9, tzinfo=zone), end=datetime(2013, 4, 3, tzinfo=zone)), "America/New_York"
    )
    assert keys == [partition.key for partition in wanted]
    assert len(keys) == n


@pytest.mark.parametrize(
    ("dag_id", "every"), [("hourly_predict", "hour"), ("weekly_predict", "week"), ("monthly_predict", "month")]
)
def test_every_key_of_a_backfill_is_one_of_the_model_s(others: Described, dag_id: str, every: str) -> None:
    spec = spec_of(every)
    keys = others["dags"][dag_id]["backfill"]
    assert [spec.partition(key).key for key in keys] == keys
