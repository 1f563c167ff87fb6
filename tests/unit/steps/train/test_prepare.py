import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import ContractBroken, NotTrainable
from tidemill.intervals import Every, Interval
from tidemill.records import SplitRef
from tidemill.runtime.job import Job
from tidemill.spec import Label, ModelSpec, Partitions
from tidemill.steps.data.split_plan import plan_split
from tidemill.steps.train.prepare import SETS, cut
from tidemill.storage.layout import PARTITION
from tidemill.storage.store import Store

from .snapshots import stored_snapshot


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


def test_a_partition_whose_labels_are_still_coming_or_came_after_the_next_set_began_belongs_to_no_set() -> None:
    partitions = tuple(spec().partitions_between("2013-03-01", "2013-03-30"))
    plan = plan_split(spec(), partitions, partitions[-1].cutoff)
    assert [item.key[-2:] for item in partitions if plan.set_of(item.interval.start) is None] == [
        *("15", "16"),  # before validation, 17 to 21
        *("22", "23"),  # before the test set, 24 to 27
        *("28", "29", "30"),  # labels still to come
    ]


@given(
    st.integers(0, 45),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(["2013-03-10", "2013-11-03", "2013-07-04"]),
)
def test_every_label_of_a_set_was_known_when_the_next_set_begins(
    delay: int, validation: int, test: int, end: str
) -> None:
    chosen = spec(window="300 days", validation=f"{validation} days", test=f"{test} days")
    chosen = chosen.model_copy(update={"label": Label(column="y", matures_after=timedelta(days=delay))})
    partitions = tuple(chosen.partitions_between("2012-06-01", end))
    plan = plan_split(chosen, partitions, partitions[-1].cutoff)
    sets = {name: [item for item in partitions if plan.set_of(item.interval.start) == name] for name in SETS}
    assert (len(sets["validation"]), len(sets["test"])) == (validation, test)
    for earlier, later in itertools.pairwise(SETS):
        assert sets[earlier][-1].due(timedelta(days=delay)) <= sets[later][0].cutoff
        skipped = partitions[partitions.index(sets[earlier][-1]) + 1]
        assert skipped is sets[later][0] or skipped.due(timedelta(days=delay)) > sets[later][0].cutoff


@pytest.mark.parametrize(
    "zone", ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"]
)
@pytest.mark.parametrize(("every", "last", "days", "n"), [
    ("week", "2013-W46", 35, 5), ("week", "2013-W14", 35, 5), ("day", "2013-11-10", 14, 14), ("day", "2013-03-31", 14, 14),
    ("day", "2013-10-06", 14, 14), ("month", "2013-12", 61, 2), ("month", "2013-04", 59, None),
])  # fmt: skip
def test_a_clock_change_leaves_the_sets_as_long_as_the_spec_says(
    zone: str, every: str, last: str, days: int, n: int | None
) -> None:
    end = Every(every).of(last, zone)
    start = end.interval.start - timedelta(days=400 if every == "month" else 120)
    partitions = tuple(Every(every).within(Interval(start=start, end=end.interval.start), zone))
    chosen = spec(window="400 days", validation=f"{days} days", test=f"{days} days")
    chosen = chosen.model_copy(update={"label": Label(column="y"), "timezone": zone})
    plan = plan_split(chosen, partitions, end.cutoff)
    if n is not None:
        names = [plan.set_of(item.interval.start) for item in partitions]
        assert (names.count("validation"), names.count("test")) == (n, n)
    local = [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in (plan.test_start, plan.test_end)]
    assert local[1] - local[0] == timedelta(days=days)


@given(st.integers(18, 60), st.integers(1, 5), st.integers(1, 5))
def test_no_test_row_is_older_than_the_newest_train_row(n_days: int, validation: int, test: int) -> None:
    chosen = spec(window="60 days", validation=f"{validation} days", test=f"{test} days")
    partitions = tuple(chosen.partitions_between("2013-02-20", "2013-05-01"))[:n_days]
    plan = plan_split(chosen, partitions, partitions[-1].cutoff + timedelta(days=1))
    sets = [plan.set_of(item.interval.start) for item in partitions]
    order = [name for name in sets if name is not None]
    assert order == sorted(order, key=["train", "validation", "test"].index)


@pytest.mark.parametrize(("zone", "day"), [("America/New_York", "2013-11-04"), ("Europe/Berlin", "2013-04-01")])
def test_two_days_of_hours_are_two_days_when_the_clocks_change(zone: str, day: str) -> None:
    end = Every.DAY.of(day, zone).interval.start
    partitions = tuple(Every.HOUR.within(Interval(start=end - timedelta(days=9), end=end), zone))
    chosen = spec(validation="2 days", test="2 days").model_copy(update={"label": Label(column="y"), "timezone": zone})
    plan = plan_split(chosen, partitions, end)
    local = [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in (plan.test_start, plan.test_end)]
    assert local[1] - local[0] == timedelta(days=2)


def test_hours_after_an_hour_are_exact_when_the_clocks_change() -> None:
    hour = Every.HOUR.of("2013-03-10T00-0500", "America/New_York")
    assert hour.due(timedelta(hours=2)) - hour.interval.end == timedelta(hours=2)
    assert hour.due(timedelta(days=1)) - hour.interval.end == timedelta(hours=23)


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
    names = [plan.set_of(item.interval.start) for item in partitions[-6:]]
    assert names == ["train", None, "validation", None, "test", None]  # labels of two days leave a partition between


def test_a_day_of_25_hours_is_a_test_set_of_one_day() -> None:
    chosen = spec(test="1 day", validation="1 day")
    partitions = tuple(chosen.partitions_between("2013-10-20", "2013-11-03"))  # the clocks go back on the last
    plan = plan_split(chosen, partitions, partitions[-1].cutoff + timedelta(days=3))
    assert plan.test_start == partitions[-1].interval.start


ROWS_PER_DAY = 10


def split_of(
    folder: Path,
    engine: str,
    labels: list[tuple[str | None, bool | None]],
    often: Sequence[float | None] | None = None,
    x: Sequence[float | None] | None = None,
) -> SplitRef:
    """Cut a month with the keys 0 to 299, ten a day, each with a weight and a feature if there are any."""
    chosen = spec(engine=engine, estimators=["xgboost"])
    if often is not None:
        chosen = chosen.model_copy(update={"weight": "w"})
    partitions = tuple(chosen.partitions_between("2013-03-01", "2013-03-30"))
    days = [item for item in partitions for _ in range(ROWS_PER_DAY)]
    features = {
        "id": [str(key) for key in range(len(days))],
        "at": [item.interval.start for item in days],
        PARTITION: [item.key for item in days],
        **{name: pa.array(values, pa.float64()) for name, values in (("w", often), ("x", x)) if values is not None},
    }
    known = {
        "id": pa.array([key for key, _ in labels], pa.string()),
        "y": pa.array([value for _, value in labels], pa.bool_()),
    }
    store = Store(folder)
    snapshot = stored_snapshot(store, partitions, pa.table(features), pa.table(known))
    return cut(cast(Job, SimpleNamespace(spec=chosen, store=store)), snapshot)


ENGINES = pytest.mark.parametrize("engine", ["local", "external_memory"])
N_OF_SETS = 230  # 14 days of training, 5 of validation and 4 of test; the gaps and the newest days are in none


@ENGINES
def test_labels_of_all_rows_leave_none_out(tmp_path: Path, engine: str) -> None:
    split = split_of(tmp_path, engine, [(str(key), key % 3 == 0) for key in range(300)])
    assert (split.n_labels, split.n_unmatched_labels, split.n_unlabelled) == (300, 0, 0)
    assert split.n_train + split.n_validation + split.n_test == N_OF_SETS
    assert (split.unlabelled_share, split.unmatched_label_share) == (0, 0)


@ENGINES
def test_labels_with_zero_padded_keys_are_counted_with_the_rows_that_they_miss(tmp_path: Path, engine: str) -> None:
    split = split_of(tmp_path, engine, [(f"{key:03d}", key % 3 == 0) for key in range(300)])
    assert (split.n_labels, split.n_unmatched_labels, split.n_unlabelled) == (300, 100, 100)
    assert split.unlabelled_share == pytest.approx(100 / N_OF_SETS)
    assert split.unmatched_label_share == pytest.approx(1 / 3)
    assert split.near_match_share == split.unlabelled_share


@ENGINES
@pytest.mark.parametrize("written", ["{} ", "\t{}", "00{}", "{}.0", " 0{}.00"])
def test_a_key_that_labels_write_in_another_way_is_counted(tmp_path: Path, engine: str, written: str) -> None:
    split = split_of(tmp_path, engine, [(written.format(key) if key < 50 else str(key), True) for key in range(300)])
    assert (split.n_unmatched_labels, split.n_unlabelled, split.n_near_matches) == (50, 50, 50)


@ENGINES
def test_labels_of_other_entities_are_no_keys_written_in_another_way(tmp_path: Path, engine: str) -> None:
    others = [(f"{key}-{part}", True) for key in range(300) for part in "abc"]
    split = split_of(tmp_path, engine, [*((str(key), True) for key in range(60, 300)), *others])
    assert (split.n_unmatched_labels, split.n_unlabelled, split.n_near_matches) == (900, 60, 0)


@ENGINES
def test_a_label_without_a_key_or_a_value_is_no_known_label(tmp_path: Path, engine: str) -> None:
    known: list[tuple[str | None, bool | None]] = [(str(key), True) for key in range(20, 300)]
    split = split_of(tmp_path, engine, [*known, (None, True), ("7", None), ("x", None), ("y", False)])
    assert (split.n_labels, split.n_unmatched_labels, split.n_unlabelled) == (281, 1, 20)


def test_a_split_from_before_labels_were_counted_has_no_share_of_unmatched_ones(tmp_path: Path) -> None:
    split = split_of(tmp_path, "local", [(str(key), True) for key in range(300)])
    old: dict[str, Any] = split.to_dict()
    del old["n_labels"], old["n_unmatched_labels"]
    assert SplitRef.from_dict(old) == replace(split, n_labels=0)
    assert SplitRef.from_dict(old).unmatched_label_share is None


EVERY_LABEL = [(str(key), key % 3 == 0) for key in range(300)]


def test_a_row_of_weight_0_is_in_no_set_and_no_unlabelled_row(tmp_path: Path) -> None:
    split = split_of(tmp_path, "local", EVERY_LABEL, [float(key % 2) for key in range(300)])
    assert (split.n_train + split.n_validation + split.n_test, split.n_unlabelled) == (N_OF_SETS / 2, 0)


def test_a_weight_is_needed_only_where_a_row_is_used(tmp_path: Path) -> None:
    labels = EVERY_LABEL[10:]
    split = split_of(tmp_path, "local", labels, [None] * 10 + [2.0] * 290)
    assert split.n_unlabelled == 10


def test_a_set_without_any_weight_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotTrainable, match="Every row of the train set of 'm' has weight 0 in 'w'"):
        split_of(tmp_path, "local", EVERY_LABEL, [0.0] * 140 + [1.0] * 160)


@pytest.mark.parametrize("odd", [-0.5, float("nan"), float("inf"), None])
def test_a_weight_that_is_not_a_number_from_0_is_refused_with_the_key(tmp_path: Path, odd: float | None) -> None:
    with pytest.raises(ContractBroken, match=rf"1 row\(s\) of 'm' have a weight 'w' .* such as '7': {odd}"):
        split_of(tmp_path, "local", EVERY_LABEL, [1.0] * 7 + [odd] + [1.0] * 292)


@ENGINES
@pytest.mark.parametrize(("name", "first", "last"), [("train", 0, 140), ("validation", 160, 210), ("test", 230, 270)])
def test_a_set_in_which_a_feature_has_no_value_is_refused(
    tmp_path: Path, engine: str, name: str, first: int, last: int
) -> None:
    x = [None if first <= key < last else 1.0 for key in range(300)]
    with pytest.raises(NotTrainable, match=f"'x' of 'm' have no value in any row of the {name} set"):
        split_of(tmp_path, engine, EVERY_LABEL, x=x)


def test_a_feature_that_lacked_values_for_a_day_of_training_may_lack_them_in_a_later_set(tmp_path: Path) -> None:
    x = [None if key < 10 or key >= 230 else 1.0 for key in range(300)]
    assert split_of(tmp_path, "local", EVERY_LABEL, x=x).with_gaps == ("x",)
