from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.arrival import arrival_curve, expected_coverage

END = datetime(2013, 7, 2, tzinfo=UTC)
AGES = [timedelta(hours=hours) for hours in (0, 6, 24, 48)]


def curve(*hours: float, n_rows: int) -> list[float]:
    observed = {"2013-07-01": [END + timedelta(hours=hour) for hour in hours]}
    return arrival_curve(observed, {"2013-07-01": END}, {"2013-07-01": n_rows}, AGES).tolist()


def test_labels_count_from_the_instant_they_are_observed() -> None:
    assert curve(-3, 6, 30, n_rows=4) == [0.25, 0.5, 0.5, 0.75]


def test_partitions_weigh_alike() -> None:
    observed = {"a": [END], "b": [END] * 10}
    assert arrival_curve(observed, {"a": END, "b": END}, {"a": 2, "b": 10}, AGES[:1]).tolist() == [0.75]


def test_without_a_partition_there_is_no_curve() -> None:
    assert np.isnan(arrival_curve({}, {}, {}, AGES)).all()


@given(st.lists(st.floats(-48, 96), max_size=30))
def test_a_curve_never_falls(hours: list[float]) -> None:
    shares = curve(*hours, n_rows=30)
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_coverage_between_two_ages_is_a_straight_line() -> None:
    assert expected_coverage([0.2, 0.4, 0.8, 1.0], AGES, timedelta(hours=3)) == 0.30000000000000004
