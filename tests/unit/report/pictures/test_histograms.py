import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.monitoring.profile import build_profile, count_into
from tidemill.report.pictures.histograms import equal_bars
from tidemill.report.values import Histogram
from tidemill.steps.monitor.page import distribution_of

RNG = np.random.default_rng(0)
N = 4_000

COLUMNS = {
    "normal": RNG.normal(size=N),
    "ties at the maximum": np.minimum(RNG.normal(size=N), 0.5),
    "ties at the minimum": np.maximum(RNG.normal(size=N), -0.5),
    "whole numbers": RNG.integers(0, 24, N).astype(float),
    "many whole numbers": RNG.integers(0, 5_000, N).astype(float),
    "hundreds": RNG.choice([100.0, 200.0, 500.0], N),
    "two values": (RNG.random(N) < 0.3).astype(float),
    "a rare value": (RNG.random(N) < 0.004).astype(float),
    "a constant": np.full(N, 7.0),
    "zero": np.zeros(N),
    "heavy tail": RNG.standard_cauchy(N),
    "skewed": RNG.lognormal(0, 2, N),
    "mostly zero": np.where(RNG.random(N) < 0.9, 0.0, RNG.lognormal(0, 1, N)),
    "large": 1e12 + RNG.normal(size=N),
    "small": 1e-12 * RNG.normal(size=N),
    "one outlier": np.append(RNG.normal(size=N - 1), 1e9),
    "a whole outlier": np.append(RNG.integers(0, 6, N - 1), 99_999).astype(float),
}
CONCENTRATED = {"two values", "a rare value", "a constant", "zero", "hundreds"}  # all of their values are few bars


def bars_of(reference, partition):
    profile, *_ = build_profile(pa.table({"x": reference}), ["x"], [])
    counted = count_into(profile, pa.chunked_array([partition]))
    return equal_bars([distribution_of(profile), distribution_of(counted)])


def visible(bars, top):
    """Bars of a picture of 38 pixels that are at least two pixels high."""
    return sum(bar["y"] >= 2 / 38 * top for bar in bars)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_picture_has_20_to_60_bars_of_equal_width(name):
    bars, others = bars_of(COLUMNS[name], COLUMNS[name][: N // 4])
    widths = np.array([bar["right"] - bar["left"] for bar in bars])
    assert 20 <= len(bars) <= 60
    assert widths.min() > 0
    assert np.allclose(widths, widths.mean(), rtol=1e-3)
    assert [bar["left"] for bar in bars] == [bar["left"] for bar in others]


@pytest.mark.parametrize("name", COLUMNS)
def test_reference_and_partition_are_both_visible(name):
    for bars in (pair := bars_of(COLUMNS[name], COLUMNS[name][: N // 4])):
        top = max(bar["y"] for one in pair for bar in one)
        assert visible(bars, top) >= (1 if name in CONCENTRATED else 6)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("factor", [1_000.0, -1.0])
def test_a_partition_in_another_unit_is_visible_beside_its_reference(name, factor):
    pair = bars_of(COLUMNS[name], factor * COLUMNS[name] + 1)
    top = max(bar["y"] for bars in pair for bar in bars)
    assert min(visible(bars, top) for bars in pair) >= 1


@pytest.mark.parametrize("name", COLUMNS)
def test_no_bar_hides_the_others(name):
    reference, _ = bars_of(COLUMNS[name], COLUMNS[name])
    heights = np.array([bar["y"] for bar in reference])
    assert (heights >= 0.1 * heights.max()).sum() >= (1 if name in CONCENTRATED else 5)


def test_whole_numbers_stand_in_the_middle_of_their_bars():
    bars, _ = bars_of(COLUMNS["whole numbers"], COLUMNS["whole numbers"])
    assert [(bar["left"], bar["right"]) for bar in bars] == [(hour - 0.5, hour + 0.5) for hour in range(24)]


def test_bars_hold_the_share_of_their_rows():
    counts, edges = np.histogram(COLUMNS["normal"], 400)
    (bars,) = equal_bars([Histogram(edges=tuple(edges), counts=tuple(counts.tolist()))])
    expected = np.histogram(COLUMNS["normal"], [bar["left"] for bar in bars] + [bars[-1]["right"]])[0] / N
    assert np.abs(np.array([bar["y"] for bar in bars]) - expected)[expected > 0.01].max() < 0.003


@given(
    st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float), min_size=1, max_size=400),
    st.lists(st.floats(-1e9, 1e9) | st.integers(-3, 3).map(float), min_size=1, max_size=50),
)
@example([0.0], [0.0, 8666.0, -511250.0])  # 59.99 of the least gaps
def test_any_numbers_can_be_drawn(reference, partition):
    pair = bars_of(np.array(reference), np.array(partition))
    assert all(math.isfinite(value) for bars in pair for bar in bars for value in bar.values())
    assert all(max(bar["y"] for bar in bars) > 0 for bars in pair)
    assert all(20 <= len(bars) <= 60 for bars in pair)


def test_bars_without_finite_ends_can_be_drawn():
    (bars,) = equal_bars([Histogram(edges=(-math.inf, math.inf), counts=(3,))])
    assert sum(bar["y"] for bar in bars) == pytest.approx(1)
