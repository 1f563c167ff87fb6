import numpy as np
import pytest

from tidemill.modeling.gate.churn import changed_decisions, changed_values, mean_change


def test_the_share_of_decisions_counts_rows_that_differ_either_way():
    assert changed_decisions(["a", "b", "c", "a"], ["a", "c", "b", "a"]).value == 0.5


def test_two_equal_models_have_no_churn():
    assert changed_decisions([True] * 14, [True] * 14, list(range(14))).value == 0.0


def test_days_give_an_interval_that_is_never_below_0():
    changed = np.zeros(140, dtype=bool)
    changed[::10] = True
    found = changed_decisions(changed, np.zeros(140, dtype=bool), np.repeat(np.arange(14), 10))
    assert 0 <= found.low <= found.value <= found.high
    assert found.value == pytest.approx(0.1)


def test_values_are_compared_on_the_label_s_scale():
    y = np.array([0.0, 10.0] * 20)
    assert changed_values(y + 1, y, y).value == pytest.approx(0.2)


def test_labels_that_are_all_equal_have_no_scale():
    assert np.isnan(changed_values([1.0, 2.0], [2.0, 3.0], [5.0, 5.0]).value)


def test_classes_change_by_half_the_sum():
    assert mean_change([[1.0, 0.0]], [[0.0, 1.0]]).value == 1.0


def test_no_row_is_no_figure():
    assert np.isnan(changed_decisions([], []).value)
