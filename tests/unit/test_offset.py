"""Which partition a run scores, and as of when, compared with a walk over the clock of the zone."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.checking import check_models
from tidemill.doctor.findings import Health
from tidemill.doctor.freshness import check_freshness
from tidemill.intervals import Every, Interval
from tidemill.spec import ModelSpec
from tidemill.spec.due_partitions import GRACE, due_partitions
from tidemill.steps.monitor.freshness import _is_due
from tidemill.workspace import Workspace

ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "America/Sao_Paulo",  # its clocks changed at midnight
    "America/Havana",
    "Asia/Kathmandu",
    "Pacific/Apia",  # it skipped a day
    "UTC",
]
INSTANTS = st.integers(1_100_000_000, 2_050_000_000).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)  # 2004 to 2034
EVERY, ZONE, OFFSET = st.sampled_from(list(Every)), st.sampled_from(ZONES), st.integers(-3, 3)
STEP = {
    "hour": timedelta(minutes=15),
    "day": timedelta(hours=6),
    "week": timedelta(hours=12),
    "month": timedelta(hours=12),
}


def spec_of(every: str = "day", zone: str = "UTC", offset: int = 0, cutoff: str = "0 hours", **more: Any) -> ModelSpec:
    predict = {"schedule": more.pop("schedule", "30 0 * * *"), "offset": offset}
    partitions = {"every": every, "cutoff": cutoff} | more.pop("partitions", {})
    return ModelSpec.model_validate(
        {
            "model": "m", "task": "binary", "entity_key": "k", "event_time": "at", "timezone": zone,
            "source": {"features": "m/f.sql", "labels": "m/l.sql"}, "label": {"column": "y"},
            "partitions": partitions, "predict": predict,
        } | more
    )  # fmt: skip


def walked(every: Every, zone: str, instant: datetime, n: int) -> str:
    """Return the key of the n-th other partition that a walk over the clock meets."""
    step = STEP[every] if n > 0 else -STEP[every]
    clock = (instant + number * step for number in itertools.count())
    keys = (at.astimezone(ZoneInfo(zone)).strftime(every.key_format) for at in clock)
    met = (key for key, _ in itertools.groupby(keys))
    return next(itertools.islice(met, abs(n), None))


@given(EVERY, ZONE, INSTANTS, OFFSET)
def test_a_run_is_for_the_partition_that_a_walk_over_the_clock_meets(
    every: Every, zone: str, instant: datetime, offset: int
) -> None:
    assert spec_of(every, zone, offset).partition_at(instant).key == walked(every, zone, instant, offset)


@given(EVERY, ZONE, INSTANTS, OFFSET, st.floats(-2, 3))
def test_runs_of_a_partition_are_those_in_its_window(
    every: Every, zone: str, instant: datetime, offset: int, at: float
) -> None:
    spec = spec_of(every, zone, offset)
    partition = spec.partition_at(instant)
    window = spec.run_window(partition)
    tick = window.start + at * (window.end - window.start)
    assert (spec.partition_at(tick) == partition) == (window.start <= tick < window.end)


@given(st.sampled_from(["day", "week", "month"]), ZONE, INSTANTS, st.integers(-72 * 60, 72 * 60))
def test_cutoff_is_read_from_the_wall_clock_before_and_after_the_partition(
    every: str, zone: str, instant: datetime, minutes: int
) -> None:
    spec = spec_of(every, zone, cutoff=f"{minutes} minutes")
    partition = spec.partition_at(instant)
    local = partition.interval.start.astimezone(ZoneInfo(zone)).replace(tzinfo=None, hour=0, minute=0)
    wall = (local + timedelta(minutes=minutes)).replace(tzinfo=ZoneInfo(zone))
    assert partition.cutoff == wall.astimezone(UTC)


@given(ZONE, INSTANTS, st.integers(-72 * 60, 72 * 60))
def test_cutoff_of_an_hour_is_measured_in_real_hours(zone: str, instant: datetime, minutes: int) -> None:
    partition = spec_of("hour", zone, cutoff=f"{minutes} minutes").partition_at(instant)
    assert partition.cutoff == partition.interval.start + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("cutoff", "hours"), [("-2 hours", -2), ("1 day", 24), ("1 day 3 hours", 27), ("- 1 day", -24)]
)
def test_cutoff_may_lie_before_the_start_and_after_the_end(cutoff: str, hours: int) -> None:
    spec = spec_of(cutoff=cutoff)
    partition = spec.partition("2026-07-04")
    assert (partition.cutoff - partition.interval.start) / timedelta(hours=1) == hours
    assert ModelSpec.model_validate_json(spec.meaning) == spec


@pytest.mark.parametrize("cutoff", ["2", "-", "1 day -3 hours", "--1 day", "1 fortnight", "1 day, 3 hours", "1day"])
def test_a_cutoff_in_other_words_is_refused(cutoff: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write whole numbers and units"):
        spec_of(cutoff=cutoff)


def test_only_a_cutoff_may_be_negative() -> None:
    with pytest.raises(ValueError, match="'-2 days' is not a duration"):
        spec_of(label={"column": "y", "matures_after": "-2 days"})


# --- what is due


@given(ZONE, INSTANTS, OFFSET)
def test_due_is_what_the_ticks_of_the_week_were_for(zone: str, instant: datetime, offset: int) -> None:
    spec = spec_of("day", zone, offset)
    days = ((instant - GRACE).astimezone(ZoneInfo(zone)).date() - timedelta(days=number) for number in range(9))
    ticks = [datetime(day.year, day.month, day.day, 0, 30, tzinfo=ZoneInfo(zone)) for day in days]
    wanted = [walked(Every.DAY, zone, tick, offset) for tick in ticks if tick <= instant - GRACE]
    found = [item.key for item in due_partitions(spec, instant)]
    assert found == list(dict.fromkeys(wanted))[: len(found)]
    assert len(found) >= 6  # in a zone that skips a day, two ticks may be for the same one


def partitions_of(spec: ModelSpec) -> Iterator[Any]:
    start = datetime(2026, 3, 20, tzinfo=ZoneInfo(spec.timezone))
    yield from spec.partitions.every.within(Interval(start=start, end=start + timedelta(days=40)), spec.timezone)


@pytest.mark.parametrize("offset", [-2, -1, 0, 1])
def test_monitoring_expects_each_partition_whose_run_has_a_tick(offset: int) -> None:
    spec = spec_of("day", "Europe/Berlin", offset, schedule="30 0 * * 1-5")
    for partition in partitions_of(spec):
        tick_day = datetime.fromisoformat(partition.key) - timedelta(days=offset)
        assert _is_due(spec, partition) == (tick_day.weekday() < 5)


@pytest.mark.parametrize(("offset", "last"), [(-1, "2026-07-04"), (0, "2026-07-03"), (1, "2026-07-02")])
def test_data_have_ended_once_the_last_partition_s_run_was_due(offset: int, last: str) -> None:
    spec = spec_of(offset=offset, partitions={"last": "2026-07-03"})
    published = dict.fromkeys([f"2026-06-{day:02}" for day in range(1, 31)], False)
    published |= dict.fromkeys(["2026-07-01", "2026-07-02", "2026-07-03"], False)
    after_the_last = datetime.fromisoformat(last).replace(tzinfo=UTC, hour=0, minute=30) + timedelta(days=1) + GRACE
    assert "Its data ended" in check_freshness(spec, published, True, after_the_last).message
    before = check_freshness(spec, published, True, after_the_last - timedelta(days=1))
    assert before.message == "The partition due, 2026-07-03, is published."


def test_a_day_that_is_over_is_missed_and_today_is_not() -> None:
    spec, at = spec_of(offset=-1), datetime(2026, 7, 5, 3, tzinfo=UTC)
    assert check_freshness(spec, {"2026-07-03": False, "2026-07-04": False}, True, at).severity is Health.OK
    found = check_freshness(spec, {"2026-07-03": False}, True, at)
    assert (found.severity, "no partition for 2026-07-04;" in found.message) == (Health.FAIL, True)


# --- drafts


def test_a_draft_is_nothing_to_worry_about() -> None:
    found = check_freshness(spec_of(), {}, False, datetime(2026, 7, 5, 3, tzinfo=UTC))
    assert (found.severity, found.message) == (
        Health.OK,
        "A draft: its schedules start with the first promotion.",
    )


def test_a_model_that_is_not_a_draft_needs_a_champion() -> None:
    found = check_freshness(spec_of(draft=False), {}, False, datetime(2026, 7, 5, 3, tzinfo=UTC))
    assert (found.severity, "Has no champion" in found.message) == (Health.WARN, True)


# --- schedules


def problems(tmp_path: Path, **keys: str) -> list[str]:
    """Check a daily model with the given lines; return the findings about its schedules."""
    for folder in ("models", "sql/m"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("f", "l"):
        (tmp_path / f"sql/m/{name}.sql").write_text("SELECT 1 WHERE :start < :end AND :cutoff > :start")
    lines = "".join(f"{name}: {value}\n" for name, value in keys.items())
    (tmp_path / "models/m.yaml").write_text(
        "model: m\ntask: binary\nentity_key: k\nevent_time: at\nlabel: {column: y}\n"
        f"source: {{features: m/f.sql, labels: m/l.sql}}\n{lines}"
    )
    workspace = Workspace(models=tmp_path / "models", sql=tmp_path / "sql", storage=tmp_path, tracking_uri=None)
    return [item for item in check_models(workspace, ["m"], source=False) if "schedule" in item]


def test_a_run_before_the_cutoff_of_the_day_that_is_over_is_reported(tmp_path: Path) -> None:
    (found,) = problems(
        tmp_path, partitions="{cutoff: 1 day 30 minutes}", predict='{schedule: "15 0 * * *", offset: -1}'
    )
    assert "predict.schedule '15 0 * * *' runs at Mon 00:15, before the cutoff of its partition '2023-12-31'" in found


def test_every_chain_follows_the_offset(tmp_path: Path) -> None:
    found = problems(tmp_path, partitions="{cutoff: -6 hours}", predict='{schedule: "15 18 * * *", offset: 1}')
    assert [item.split(".schedule")[0] for item in found] == ["m: train", "m: monitor", "m: retrain"]


def test_schedules_after_the_cutoff_are_in_order(tmp_path: Path) -> None:
    evening = {name: f'{{schedule: "{minute} 18 * * *"}}' for name, minute in (("train", 5), ("monitor", 45))}
    assert not problems(
        tmp_path,
        partitions="{cutoff: -6 hours}",
        predict='{schedule: "15 18 * * *", offset: 1}',
        retrain='{schedule: "50 18 * * *"}',
        **evening,
    )
