"""Histograms with bars of equal width, from counts in bins of any width.

Columns are counted in quantile bins of the reference, which are too uneven to draw: one bin may be a single value and
another half of the range. A chart has 20 to 60 bars over the range of nearly all values. The outer bars include the
tails, and a bar far above all others is cut off.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidemill.report.values import Histogram

__all__ = ["Bar", "equal_bars"]

Bar = dict[str, float]
"""Ends ``left`` and ``right``, and the height ``y``: the share of rows, from one pixel to the top of the chart."""

LEAST_BARS, USUAL_BARS, MOST_BARS = 20, 40, 60  # fewer hide the shape, more are thinner than a pixel in a small chart
FENCE = 3.0  # interquartile ranges beyond the quartiles where tails begin (Tukey's outer fences)
OUTER = 0.005  # of the rows at either end, if the quartiles are equal
LEAST_SHARE = 1e-6  # of the rows: a smaller bar is rounding error
LEAST_HEIGHT = 0.03  # of the height: a pixel in a small chart, so that rare values are visible
TALLEST = 3.0  # times the other bars: a higher spike is cut off, so that they stay visible

Floats = NDArray[np.float64]


def equal_bars(histograms: Sequence[Histogram]) -> list[list[Bar]]:
    """Return the bars of histograms that share a chart.

    Parameters
    ----------
    histograms : sequence of Histogram
        One, or reference and partition; at least one with rows.

    Returns
    -------
    list of list of Bar
        20 to 60 bars of equal width for each histogram, all over the same range.

    Examples
    --------
    >>> reference, partition = equal_bars([Histogram(edges=(0.0, 4.0), counts=(9,))] * 2)
    >>> len(reference), reference[0]["left"], reference[-1]["right"], round(reference[0]["y"], 3)
    (40, 0.0, 4.0, 0.025)
    """
    known = [_Steps(one) for one in histograms]
    edges = _edges(known)
    shares = [one.shares(edges) for one in known]
    top = _top(np.concatenate(shares))
    return [
        [
            {"left": float(left), "right": float(right), "y": float(height)}
            for left, right, height in zip(edges[:-1], edges[1:], _heights(of_one, top), strict=True)
        ]
        for of_one in shares
    ]


def _heights(shares: Floats, top: float) -> Floats:
    return np.where(shares > LEAST_SHARE, np.clip(shares, LEAST_HEIGHT * top, top), 0.0)


class _Steps:
    """A histogram as a distribution function: steps at single values, straight lines within bins."""

    def __init__(self, histogram: Histogram) -> None:
        self.edges = _finite(histogram.edges)
        self.counts = np.asarray(histogram.counts, np.float64)
        self.total = max(float(self.counts.sum()), 1.0)
        self.points = histogram.points
        self.cumulated = np.concatenate([[0.0], np.cumsum(self.counts)]) / self.total

    @property
    def values(self) -> Floats:
        """The single values that rows have."""
        return self.edges[:-1][self.counts > 0]

    def range(self) -> tuple[float, float]:
        """Return the ends of the range of nearly all values."""
        used = np.flatnonzero(self.counts)
        low, high = float(self.edges[used[0]]), float(self.edges[used[-1] + (0 if self.points else 1)])
        first, third = self._quantile(0.25), self._quantile(0.75)
        reach = FENCE * (third - first)
        if not reach:
            return max(low, self._quantile(OUTER)), min(high, self._quantile(1 - OUTER))
        return max(low, first - reach), min(high, third + reach)

    def _quantile(self, share: float) -> float:
        if self.points:
            return float(self.edges[np.searchsorted(self.cumulated[1:-1], share)])
        return float(np.interp(share, self.cumulated, self.edges))

    def shares(self, edges: Floats) -> Floats:
        """Return the share of rows in each bar."""
        if self.points:
            at = np.clip(np.searchsorted(edges, self.edges[:-1], side="right") - 1, 0, edges.size - 2)
            return np.bincount(at, weights=self.counts, minlength=edges.size - 1) / self.total
        below = np.interp(edges, self.edges, self.cumulated)
        below[0], below[-1] = 0.0, self.cumulated[-1]
        return np.diff(below)


def _edges(known: Sequence[_Steps]) -> Floats:
    """Return the bars of the range; single values get a centred bar each, if their spacing allows it."""
    ranges = [one.range() for one in known if one.counts.any()]
    low, high = min(start for start, _ in ranges), max(end for _, end in ranges)
    if all(one.points for one in known):
        values = np.unique(np.concatenate([one.values for one in known]))
        gap = float(np.diff(values).min()) if values.size > 1 else 0.0
        span = float(values[-1] - values[0])
        if gap and span / gap < MOST_BARS - 0.5:
            return _centred(float(values[0]), round(span / gap) + 1, gap)
    if not _can_divide(low, high):
        return _around(low)
    return np.linspace(low, high, USUAL_BARS + 1)


def _centred(start: float, n_values: int, gap: float) -> Floats:
    """Return bars around evenly spaced values, with empty ones between them where the values are few."""
    parts = math.ceil((LEAST_BARS - 1) / (n_values - 1))
    n_bars, width = (n_values - 1) * parts + 1, gap / parts
    return np.asarray(start + width * (np.arange(n_bars + 1) - 0.5), np.float64)


def _around(value: float) -> Floats:
    """Return bars around a constant in the middle bar."""
    width = abs(value) / 10 or 1.0
    return np.asarray(value + width * (np.arange(LEAST_BARS + 2) - (LEAST_BARS + 1) / 2), np.float64)


def _can_divide(low: float, high: float) -> bool:
    """Whether floating point can separate the bars of a range."""
    return math.isfinite(high - low) and bool((np.diff(np.linspace(low, high, USUAL_BARS + 1)) > 0).all())


def _top(shares: Floats) -> float:
    """Return the height at which bars are cut off, so that a few spikes do not flatten many low bars."""
    ordered = np.sort(shares[shares > 0])[::-1]
    lower = ordered[ordered < ordered[0] / TALLEST]
    n_spikes = ordered.size - lower.size
    return TALLEST * float(lower[0]) if 2 * n_spikes < lower.size else float(ordered[0])


def _finite(edges: tuple[float, ...]) -> Floats:
    """Return finite bin edges: an infinite outer bin gets the width of its neighbour.

    Examples
    --------
    >>> _finite((-float("inf"), 0.0, 2.0, float("inf"))).tolist()
    [-2.0, 0.0, 2.0, 4.0]
    """
    inner = [edge for edge in edges if math.isfinite(edge)]
    width = (inner[-1] - inner[0]) / (len(inner) - 1) if len(inner) > 1 else 1.0
    first = edges[0] if math.isfinite(edges[0]) else (inner[0] - width if inner else 0.0)
    last = edges[-1] if math.isfinite(edges[-1]) else (inner[-1] + width if inner else 1.0)
    return np.array([first, *edges[1:-1], last], np.float64)
