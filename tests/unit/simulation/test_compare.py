import math

import pytest

from tidemill.simulation import gain


def days(*values: float | None) -> dict[str, float | None]:
    return {f"2013-06-{day:02}": value for day, value in enumerate(values, start=1)}


def test_gain_is_the_mean_difference() -> None:
    assert gain(days(0.8, 0.6), days(0.7, 0.6), name="roc_auc").value == pytest.approx(0.05)


def test_gain_is_positive_where_a_lower_error_is_better() -> None:
    assert gain(days(10.0), days(12.0), name="mean_absolute_error", sign=-1).value == 2.0


def test_partitions_without_one_of_the_figures_do_not_count() -> None:
    assert gain(days(0.8, None, 0.8), days(0.7, 0.1), name="roc_auc").n == 1


def test_nothing_in_common_gives_no_figure() -> None:
    figure = gain(days(0.8), {}, name="roc_auc")
    assert math.isnan(figure.value)
    assert figure.low is None


def test_two_weeks_are_too_few_for_an_interval() -> None:
    assert gain(days(*[0.8] * 14), days(*[0.7] * 14), name="roc_auc").low is None


def test_a_steady_gain_has_a_narrow_interval() -> None:
    figure = gain(days(*[0.8, 0.7] * 14), days(*[0.75, 0.65] * 14), name="roc_auc")
    assert (figure.low, figure.high) == (pytest.approx(0.05), pytest.approx(0.05))


def test_a_last_shorter_block_does_not_count_as_a_whole_one() -> None:
    first = gain(days(*[0.8] * 21, 0.1), days(*[0.7] * 22), name="roc_auc")
    assert first.high - first.low < 1e-9
