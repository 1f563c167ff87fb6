"""Statistics with each row's influence on them, and the intervals that follow: no resampling, milliseconds a partition.

Influences are summed within blocks where rows of a block resemble each other; for the area under the curve they are
DeLong's components.

References
----------
E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988); with blocks: N. Obuchowski, Biometrics 53 (1997).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidemill.monitoring.student import student_quantile
from tidemill.records import MetricValue

__all__ = ["Figure", "as_metric", "average", "mean", "members_of", "ratio", "roc_auc", "root", "without_influence"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A statistic and each row's influence on it; the influences add up to 0."""

    value: float
    """The statistic; NaN where it is not defined."""
    influence: Floats
    """What each row adds to its deviation from the truth, shape (n_samples,)."""


def members_of(blocks: ArrayLike | None, n_samples: int) -> NDArray[np.int64]:
    """Return each row's block as a number from 0; without blocks every row is one of its own.

    Examples
    --------
    >>> members_of(["b", "a", "b"], 3).tolist(), members_of(None, 2).tolist()
    ([1, 0, 1], [0, 1])
    """
    if blocks is None:
        return np.arange(n_samples, dtype=np.int64)
    return np.unique(np.asarray(blocks), return_inverse=True)[1].astype(np.int64)


def without_influence(value: float, n_samples: int) -> Figure:
    """Return a figure that has no simple influence, hence no interval."""
    return Figure(value, np.zeros(n_samples))


def mean(values: Floats) -> Figure:
    """Return the mean of a figure of each row; NaN without rows, or if a row has none.

    Examples
    --------
    >>> mean(np.array([1.0, 3.0]))
    Figure(value=2.0, influence=array([-0.5,  0.5]))
    """
    return ratio(values, np.ones(values.size))


def ratio(part: Floats, whole: Floats) -> Figure:
    """Return the ratio of two sums; the influences are its linearisation.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([1.0, 1.0])).value
    0.5
    """
    total = float(whole.sum())
    if not total or math.isnan(total):
        return without_influence(math.nan, part.size)
    value = float(part.sum()) / total
    return Figure(value, (part - value * whole) / total)


def root(figure: Figure) -> Figure:
    """Return the square root of a figure.

    Examples
    --------
    >>> root(mean(np.array([4.0, 4.0]))).value
    2.0
    """
    value = math.sqrt(figure.value)
    return Figure(value, figure.influence / (2 * value) if value else figure.influence * 0.0)


def average(figures: Iterable[Figure], n_samples: int) -> Figure:
    """Return the mean of those figures that are defined; NaN if none is.

    Examples
    --------
    >>> average([mean(np.array([1.0])), mean(np.array([np.nan]))], 1).value
    1.0
    """
    defined = [figure for figure in figures if not math.isnan(figure.value)]
    if not defined:
        return without_influence(math.nan, n_samples)
    influence = np.sum([figure.influence for figure in defined], axis=0) / len(defined)
    return Figure(sum(figure.value for figure in defined) / len(defined), influence)


def roc_auc(truth: Floats, score: Floats) -> Figure:
    """Return the area under the curve, with DeLong's components as influences; NaN on a single class.

    Examples
    --------
    >>> roc_auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.4, 0.8])).value
    0.75
    """
    positive = truth == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative or np.isnan(score).any():
        return without_influence(math.nan, truth.size)
    ranks = _midranks(score)
    # Share of the other class that each row is on the right side of.
    won = np.empty(truth.size)
    won[positive] = (ranks[positive] - _midranks(score[positive])) / n_negative
    won[~positive] = 1 - (ranks[~positive] - _midranks(score[~positive])) / n_positive
    value = float(won[positive].mean())
    return Figure(value, (won - value) / np.where(positive, n_positive, n_negative))


def _midranks(values: Floats) -> Floats:
    """Rank from 1; equal values share the mean of their ranks."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middles: Floats = (last - (counts - 1) / 2)[index]
    return middles


def as_metric(
    name: str, figure: Figure, members: NDArray[np.int64], label_coverage: float, bounds: tuple[float, float]
) -> MetricValue:
    """Return a figure with its 95 % interval, which ends at the figure's bounds.

    Parameters
    ----------
    name : str
        Name of the metric.
    figure : Figure
        Value and influences.
    members : ndarray of shape (n_samples,)
        From `members_of`.
    label_coverage : float
        Share of the scored rows whose label is known, 0 to 1.
    bounds : pair of float
        Least and greatest value that there can be.
    """
    margin = _margin(figure, members)
    return MetricValue(
        name=name,
        value=figure.value,
        low=None if margin is None else max(figure.value - margin, bounds[0]),
        high=None if margin is None else min(figure.value + margin, bounds[1]),
        n=members.size,
        label_coverage=label_coverage,
    )


def _margin(figure: Figure, members: NDArray[np.int64]) -> float | None:
    """Give half the width of the 95 % interval; None where the rows tell nothing about it."""
    n_blocks = int(members.max(initial=-1)) + 1
    if n_blocks < 3 or math.isnan(figure.value):
        return None
    of_blocks = np.bincount(members, weights=figure.influence)
    greatest = float(np.abs(of_blocks).max())
    # No variance at all (every row the same, or a perfect order) is ignorance, and not certainty.
    if not greatest > 1e-15:  # rounding of zeros
        return None
    # In units of the greatest: a label that hardly varies makes influences whose squares no number holds.
    deviation = greatest * math.sqrt(n_blocks / (n_blocks - 1) * float(((of_blocks / greatest) ** 2).sum()))
    return student_quantile(n_blocks - 1) * deviation
