"""Partitions and sets follow from the days of a table."""

from datetime import datetime, timedelta

import pytest

from tidemill.errors import SettingsError
from tidemill.onboarding.calendar import plan_calendar


def days(n_days: int, per_day: int, first: datetime = datetime(2024, 1, 1)) -> list[tuple[datetime, int]]:  # noqa: DTZ001 - a wall clock
    return [(first + timedelta(days=at), per_day) for at in range(n_days)]


def test_many_rows_a_day_make_days_and_a_day_that_has_hardly_begun_is_not_the_newest() -> None:
    plan = plan_calendar([*days(100, 50), *days(1, 3, datetime(2024, 4, 10))], None, None)  # noqa: DTZ001 - a wall clock
    assert (plan.every, plan.key, plan.cutoff) == ("day", "2024-04-09", timedelta(days=1))


def test_one_row_a_day_makes_weeks_that_are_over() -> None:
    plan = plan_calendar(days(1000, 1), None, None)
    assert plan.every == "week"
    assert plan.partition.weekday() == 6
    assert plan.test % 7 == 0
    assert plan.test >= 150


@pytest.mark.parametrize(("apart", "every"), [(1, "day"), (7, "week"), (30, "month")])
def test_no_partition_is_empty_where_rows_come_in_batches(apart: int, every: str) -> None:
    assert plan_calendar(days(1200, 200)[::apart], None, None).every == every


def test_small_table_keeps_the_rows_that_the_gate_needs_for_its_test_set() -> None:
    assert plan_calendar(days(100, 5), None, None).test * 5 >= 100


@pytest.mark.parametrize("n_days", range(13, 400, 29))
def test_sets_and_gaps_fit_into_the_window(n_days: int) -> None:
    plan = plan_calendar(days(n_days, 20), None, None)
    gaps = 2 * plan.matures_after.days
    assert plan.test >= 5
    assert plan.test + plan.validation + gaps < plan.window < n_days


def test_short_past_is_refused_with_its_length() -> None:
    with pytest.raises(SettingsError, match="span 6 days"):
        plan_calendar(days(6, 100), None, None)
