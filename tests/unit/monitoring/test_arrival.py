import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.arrival import Arrival, arrival_ages, learn_arrival, shares_known

AGES = (0.0, 6.0, 24.0, 48.0, 60.0, 72.0)
DUE = 48.0
CURVE = Arrival(ages=AGES, shares=(0.2, 0.6, 0.9, 0.95, 0.95, 0.95), n_partitions=9)


def course(*hours: float, n_rows: int, age: float = 72.0) -> dict[float, float]:
    return shares_known(hours, n_rows, AGES, age)


def test_labels_count_from_the_instant_they_became_known() -> None:
    assert list(course(-3, 6, 30, n_rows=4).values()) == [0.25, 0.5, 0.5, 0.75, 0.75, 0.75]


def test_an_age_that_a_partition_has_not_reached_says_nothing() -> None:
    assert list(course(1, n_rows=2, age=30)) == [0.0, 6.0, 24.0]


def test_an_empty_partition_has_no_course() -> None:
    assert course(n_rows=0) == {}


@given(st.lists(st.floats(-48, 96), max_size=30))
def test_a_course_never_falls_and_stays_a_share(hours: list[float]) -> None:
    shares = list(course(*hours, n_rows=30).values())
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


@given(st.lists(st.lists(st.floats(-9, 99), max_size=20), min_size=3, max_size=9))
def test_a_curve_never_falls_although_partitions_are_of_different_ages(partitions: list[list[float]]) -> None:
    courses = [course(*hours, n_rows=20, age=48.0 + 12 * (n % 3)) for n, hours in enumerate(partitions)]
    curve = learn_arrival(courses, AGES, DUE)
    assert list(curve.shares) == sorted(curve.shares)


def test_one_week_without_labels_among_four_leaves_the_curve_as_it_is() -> None:
    usual = course(1, 2, 3, 4, n_rows=4)
    assert learn_arrival([usual] * 21 + [course(n_rows=4)] * 7, AGES, DUE) == learn_arrival([usual] * 28, AGES, DUE)


def test_partitions_that_have_not_matured_teach_nothing() -> None:
    young = [course(1, n_rows=1, age=30.0)] * 20
    assert learn_arrival(young, AGES, DUE) == Arrival()


def test_two_partitions_are_too_few_to_learn_from() -> None:
    curve = learn_arrival([course(1, n_rows=1)] * 2, AGES, DUE)
    assert (curve.known, math.isnan(curve.expected(10)), curve.has_enough(0.0, 60)) == (False, True, True)


def test_coverage_between_two_ages_is_a_straight_line() -> None:
    assert CURVE.expected(3) == pytest.approx(0.4)


def test_coverage_beyond_the_last_age_is_the_final_one() -> None:
    assert CURVE.expected(500) == CURVE.final == 0.95


def test_the_time_until_half_of_the_labels_is_of_those_that_ever_come() -> None:
    assert CURVE.expected(CURVE.after(0.5)) == pytest.approx(0.475)


def test_labels_that_are_there_at_the_end_of_the_partition_take_no_time() -> None:
    assert Arrival(ages=(0.0, 9.0), shares=(0.9, 0.9), n_partitions=5).after(0.99) == 0.0


def test_no_label_ever_is_no_time_at_all() -> None:
    assert math.isnan(Arrival(ages=(0.0, 9.0), shares=(0.0, 0.0), n_partitions=5).after(0.5))


def test_what_is_enough_depends_on_the_age() -> None:
    assert [CURVE.has_enough(0.6, age) for age in (6, 24, 48)] == [True, False, False]


def test_a_tenth_less_than_usual_is_enough() -> None:
    assert [CURVE.has_enough(share, 72) for share in (0.86, 0.85)] == [True, False]


def test_labels_without_a_delay_are_observed_for_the_length_of_a_partition() -> None:
    ages = arrival_ages(timedelta(0), timedelta(hours=1))
    assert (ages[0], ages[-1]) == (0.0, 1.5)


def test_ages_ascend() -> None:
    assert (np.diff(arrival_ages(timedelta(days=2), timedelta(days=1))) > 0).all()
