"""Metrics of a predicted number, and of an interval around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bootstrap import Floats, Integers
from tidemill.modeling.metrics.arithmetic import TaskMetrics, divide, weighted_mean

__all__ = ["INTERVAL_METRICS", "REGRESSION"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """Rows in ascending order of absolute error."""

    y: Floats
    """The label less the mean label: sums of squares lose fewer digits."""
    error: Floats
    """Prediction minus label."""
    covered: Floats
    """1 where the interval holds the label; NaN without an interval."""
    width: Floats
    """High minus low; NaN without an interval."""
    block: Integers
    """Number of each row's block."""


def _sample(y_true: npt.ArrayLike, y_score: npt.ArrayLike, block: Integers, options: Mapping[str, Any]) -> Any:
    """Sort the rows; None if no metric is defined on them."""
    y, score = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
    if y.shape != score.shape:
        raise ValueError(f"{len(y)} labels do not fit {len(score)} predictions")
    if not len(y) or not np.isfinite(y).all() or not np.isfinite(score).all():
        return None
    nothing = np.full(len(y), np.nan)
    low, high = (nothing, nothing) if options["interval"] is None else map(np.asarray, options["interval"])
    known = np.isfinite(low) & np.isfinite(high)
    order = np.argsort(np.abs(score - y), kind="stable")
    return _Sample(
        y=(y - y.mean())[order],
        error=(score - y)[order],
        covered=np.where(known, (low <= y) & (y <= high), np.nan)[order],
        width=(high - low)[order],
        block=block[order],
    )


def _mean_absolute_error(sample: _Sample, weights: Floats) -> Floats:
    return weighted_mean(np.abs(sample.error), weights)


def _root_mean_squared_error(sample: _Sample, weights: Floats) -> Floats:
    return np.sqrt(weighted_mean(sample.error**2, weights))


def _median_absolute_error(sample: _Sample, weights: Floats) -> Floats:
    """Return the weighted median: the middle value, or the mean of the middle two."""
    error, below = np.abs(sample.error), np.cumsum(weights, axis=1)
    half = below[:, -1:] / 2
    lower, upper = (np.argmax(reached, axis=1) for reached in (below >= half, below > half))
    return np.where(half[:, 0] > 0, (error[lower] + error[upper]) / 2, np.nan)


def _r2_score(sample: _Sample, weights: Floats) -> Floats:
    """Share of the labels' variance that is explained; NaN where they do not vary."""
    variance = weighted_mean(sample.y**2, weights) - weighted_mean(sample.y, weights) ** 2
    floor = 1e-12 * weighted_mean(sample.y**2, weights)  # what rounding leaves of the variance of equal labels
    return 1 - divide(weighted_mean(sample.error**2, weights), np.where(variance > floor, variance, 0.0))


def _mean_error(sample: _Sample, weights: Floats) -> Floats:
    """Bias: above 0 where predictions are too high."""
    return weighted_mean(sample.error, weights)


def _interval_coverage(sample: _Sample, weights: Floats) -> Floats:
    return weighted_mean(sample.covered, weights)


def _interval_width(sample: _Sample, weights: Floats) -> Floats:
    return weighted_mean(sample.width, weights)


REGRESSION = TaskMetrics(
    _sample,
    {
        "mean_absolute_error": _mean_absolute_error,
        "root_mean_squared_error": _root_mean_squared_error,
        "median_absolute_error": _median_absolute_error,
        "r2_score": _r2_score,
        "mean_error": _mean_error,
        "interval_coverage": _interval_coverage,
        "interval_width": _interval_width,
    },
)
"""Metrics of the task ``regression``; the option is ``interval``, ends of each row's interval."""

INTERVAL_METRICS = ("interval_coverage", "interval_width")
"""Metrics that need an interval."""
