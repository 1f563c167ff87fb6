import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.slices.bins import cut


def test_quantiles_hold_equal_shares_and_their_labels_state_the_edges():
    column = pd.Series(np.random.default_rng(0).normal(size=1000), name="wind")
    bins = cut(column, 5)
    codes = bins.place(column)
    assert np.bincount(codes, minlength=6).tolist() == pytest.approx([200] * 5 + [0], abs=3)
    low, high = (float(part) for part in bins.labels[1].split("<=wind<"))
    assert (codes == 1).tolist() == column.between(low, high, inclusive="left").tolist()


def test_few_numbers_have_a_bin_each():
    bins = cut(pd.Series([0.0, 1.0, np.nan, 1.0], name="rain"), 5)
    assert bins.labels == ("rain=0", "rain=1", "rain missing")
    assert bins.place(pd.Series([1.0, np.nan, 2.0, 0.0])).tolist() == [1, 2, -1, 0]


def test_a_text_has_bins_for_its_most_frequent_values():
    column = pd.Series([f"v{row % 30:02}" for row in range(90)] + ["v29"], name="to", dtype="str")
    bins = cut(column, 5)
    assert len(bins.labels) == 21
    assert bins.place(pd.Series(["v29", "new", None], dtype="str")).tolist() == [bins.labels.index("to=v29"), -1, 20]


def test_a_number_that_is_almost_constant_has_few_bins():
    column = pd.Series([0.0] * 950 + list(np.linspace(1, 2, 50)), name="snow")
    bins = cut(column, 5)
    assert set(bins.place(column)) == {0}
    assert bins.labels == ("snow", "snow missing")


def test_an_empty_column_has_a_bin_for_missing_values_only():
    bins = cut(pd.Series([np.nan, np.nan], name="gust"), 5)
    assert bins.labels == ("gust missing",)
    assert bins.place(pd.Series([np.nan, 3.0])).tolist() == [0, -1]
