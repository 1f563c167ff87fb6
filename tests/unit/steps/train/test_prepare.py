from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import NotTrainable
from tidemill.intervals import Every
from tidemill.spec import ModelSpec, Partitions
from tidemill.steps.train.prepare import plan_split


def spec(**train: str) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": "binary",
            "entity_key": "id",
            "event_time": "at",
            "timezone": "America/New_York",
            "source": {"features": "a.sql", "labels": "b.sql"},
            "label": {"column": "y", "matures_after": "2 days"},
            "partitions": {"cutoff": "5 hours"},
            "train": {"window": "30 days", "validation": "5 days", "test": "4 days"} | train,
        }
    )


def test_sets_follow_each_other_and_have_the_lengths_of_the_spec() -> None:
    partitions = tuple(spec().partitions_between("2013-03-01", "2013-03-30"))
    plan = plan_split(spec(), partitions, partitions[-1].cutoff)
    assert plan.test_end - plan.test_start == timedelta(days=4)


def test_a_partition_whose_labels_are_still_coming_belongs_to_no_set() -> None:
    partitions = tuple(spec().partitions_between("2013-03-01", "2013-03-30"))
    plan = plan_split(spec(), partitions, partitions[-1].cutoff)
    assert [item.key for item in partitions if plan.set_of(item.interval.start) is None] == [
        "2013-03-28",
        "2013-03-29",
        "2013-03-30",
    ]


@given(st.integers(16, 60), st.integers(1, 5), st.integers(1, 5))
def test_no_test_row_is_older_than_the_newest_train_row(n_days: int, validation: int, test: int) -> None:
    chosen = spec(window="60 days", validation=f"{validation} days", test=f"{test} days")
    partitions = tuple(chosen.partitions_between("2013-02-20", "2013-05-01"))[:n_days]
    plan = plan_split(chosen, partitions, partitions[-1].cutoff + timedelta(days=1))
    sets = [plan.set_of(item.interval.start) for item in partitions]
    order = [name for name in sets if name is not None]
    assert order == sorted(order, key=["train", "validation", "test"].index)


def test_a_window_that_leaves_nothing_to_train_on_is_refused_with_counts() -> None:
    partitions = tuple(spec().partitions_between("2013-03-01", "2013-03-08"))
    with pytest.raises(NotTrainable, match=r"Only 5 partition\(s\) of 'm' have matured"):
        plan_split(spec(), partitions, partitions[-1].cutoff)


@pytest.mark.parametrize("every", ["week", "month"])
def test_each_set_has_a_partition_even_if_that_is_longer_than_the_spec_says(every: str) -> None:
    chosen = spec(window="300 days").model_copy(update={"partitions": Partitions(every=Every(every))})
    first, last = ("2013-W01", "2013-W09") if every == "week" else ("2013-01", "2013-09")
    partitions = tuple(chosen.partitions_between(first, last))
    plan = plan_split(chosen, partitions, partitions[-1].interval.end)
    assert [plan.set_of(item.interval.start) for item in partitions[-4:-1]] == ["train", "validation", "test"]


def test_a_day_of_25_hours_is_a_test_set_of_one_day() -> None:
    chosen = spec(test="1 day", validation="1 day")
    partitions = tuple(chosen.partitions_between("2013-10-20", "2013-11-03"))  # the clocks go back on the last
    plan = plan_split(chosen, partitions, partitions[-1].cutoff + timedelta(days=3))
    assert plan.test_start == partitions[-1].interval.start
