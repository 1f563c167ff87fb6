from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import NotTrainable
from tidemill.intervals import Every, Interval
from tidemill.modeling.search.folds import cut_folds
from tidemill.spec import Window

DAYS = tuple(
    Every.DAY.within(
        Interval(
            start=Every.DAY.of("2013-01-01", "America/New_York").interval.start,
            end=Every.DAY.of("2013-06-01", "America/New_York").interval.start,
        ),
        "America/New_York",
        timedelta(hours=5),
    )
)
AT = {day.key: day for day in DAYS}
windows = st.sampled_from(Window)


@given(st.integers(8, 150), st.integers(1, 6), st.integers(1, 20), st.integers(0, 3), windows)
def test_a_fold_learns_only_from_what_had_matured_before_its_first_measured_partition(
    n_days: int, n_folds: int, n_measured: int, gap_days: int, window: Window
) -> None:
    gap = timedelta(days=gap_days)
    try:
        folds = cut_folds(DAYS[:n_days], n_folds, n_measured, gap, window)
    except NotTrainable:
        return
    for fold in folds:
        first = AT[fold.validation[0]]
        assert all(AT[key].interval.end + gap <= first.cutoff for key in fold.train)


@given(st.integers(40, 150), st.integers(1, 6), st.integers(1, 20), windows)
def test_measured_partitions_follow_each_other_and_end_with_the_newest(
    n_days: int, n_folds: int, n_measured: int, window: Window
) -> None:
    folds = cut_folds(DAYS[:n_days], n_folds, n_measured, timedelta(0), window)
    measured = [key for fold in folds for key in fold.validation]
    assert measured == [day.key for day in DAYS[n_days - len(measured) : n_days]]
    assert len({len(fold.validation) for fold in folds}) == 1


@given(st.integers(40, 150), st.integers(1, 6), st.integers(1, 40))
def test_at_most_half_of_the_partitions_are_measured(n_days: int, n_folds: int, n_measured: int) -> None:
    folds = cut_folds(DAYS[:n_days], n_folds, n_measured, timedelta(0))
    assert sum(len(fold.validation) for fold in folds) <= n_days / 2


def test_an_expanding_window_keeps_its_beginning() -> None:
    folds = cut_folds(DAYS[:76], 3, 14, timedelta(days=2))
    assert {fold.train[0] for fold in folds} == {DAYS[0].key}


def test_a_sliding_window_keeps_its_length() -> None:
    folds = cut_folds(DAYS[:76], 3, 14, timedelta(days=2), Window.SLIDING)
    assert {len(fold.train) for fold in folds} == {38}  # 40 days, less the gap: the cutoff is at 5 o'clock


def test_too_few_partitions_are_refused() -> None:
    with pytest.raises(NotTrainable, match="5 partition"):
        cut_folds(DAYS[:5], 3, 14, timedelta(0))


def test_a_gap_that_leaves_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(NotTrainable, match="gap of 30 days"):
        cut_folds(DAYS[:40], 2, 10, timedelta(days=30))
