"""Sums under many weightings at once: what the metrics of every task are made of.

A metric is a function of a sample and a matrix of row weights, shape (n_replicates, n_samples), so that the figure
and its 200 bootstrap replicates are the same code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bootstrap import Floats, Integers

__all__ = ["EPS", "N_BINS", "Compute", "TaskMetrics", "divide", "ranking_quality", "tie_starts", "weighted_mean"]

N_BINS = 10
"""Bins of equal width of the calibration error, as in Guo et al. 2017."""
EPS = float(np.finfo(np.float64).eps)
"""Keeps the logarithm finite, as scikit-learn does."""

Compute = Callable[[Any, Floats], Floats]  # sample and weights to one value a replicate


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """What a task brings: how its rows are read, and its metrics."""

    sample: Callable[..., Any]
    """From ``(y_true, y_score, block, **options)`` to a sample, or None if no metric is defined on the rows."""
    compute: Mapping[str, Compute]
    """Metrics by name, in the order in which they are shown."""


def divide(numerator: Any, denominator: Any) -> Floats:
    """Divide, with NaN where there is nothing to divide by.

    Examples
    --------
    >>> divide([1.0, 1.0], [4.0, 0.0])
    array([0.25,  nan])
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(np.equal(denominator, 0), np.nan, np.divide(numerator, denominator))


def weighted_mean(terms: Any, weights: Floats) -> Floats:
    """Mean over the rows, one a replicate."""
    with np.errstate(over="ignore", invalid="ignore"):
        return divide(weights @ np.asarray(terms, dtype=np.float64), weights.sum(axis=1))


def tie_starts(ordered: npt.NDArray[Any]) -> Integers:
    """Return the first row of each run of equal values.

    Examples
    --------
    >>> tie_starts(np.array([0.1, 0.3, 0.3, 0.7]))
    array([0, 1, 3])
    """
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def ranking_quality(of_positives: Floats, of_negatives: Floats) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties counting half (Mann and Whitney 1947).

    Both hold the weight in each run of equal scores, ascending, shape (n_replicates, n_runs).

    Examples
    --------
    >>> ranking_quality(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
    array([1.])
    """
    below = np.cumsum(of_negatives, axis=1) - of_negatives / 2
    return divide((of_positives * below).sum(axis=1), of_positives.sum(axis=1) * of_negatives.sum(axis=1))
