"""Realised quality of a model that predicts a number."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidemill.monitoring.influence import Figure, as_metric, mean, members_of, ratio, root, without_influence
from tidemill.records import MetricValue

__all__ = ["realised_value_quality"]

BOUNDS = {
    "mean_absolute_error": (0.0, math.inf),
    "root_mean_squared_error": (0.0, math.inf),
    "r2_score": (-math.inf, 1.0),
    "interval_coverage": (0.0, 1.0),
    "interval_width": (0.0, math.inf),
}  # others: any number

Floats = NDArray[np.float64]


def realised_value_quality(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    *,
    label_coverage: float,
    blocks: ArrayLike | None = None,
) -> tuple[MetricValue, ...]:
    """Measure the predictions of rows whose value is known.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        What came, and what was predicted.
    low, high : array-like of shape (n_samples,), default None
        Published interval; NaN in rows without one.
    label_coverage : float
        Share of the scored rows whose label is known, 0 to 1; every figure carries it.
    blocks : array-like of shape (n_samples,), default None
        Groups of rows that resemble each other; None takes the rows as independent.

    Returns
    -------
    tuple of MetricValue
        Down is good in ``mean_absolute_error``, ``root_mean_squared_error`` and ``median_absolute_error``; up is good in
        ``r2_score`` (NaN if the values do not vary); 0 is good in ``mean_error`` (prediction minus truth);
        ``interval_coverage`` (0.8 is meant) and ``interval_width``, if there are intervals; then ``mean_label``,
        ``mean_prediction`` and ``label_coverage``. Each but the median and the last with a 95 % interval where the rows
        allow one. Without rows they are NaN.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> realised_value_quality([1.0, 3.0], [2.0, 3.0], label_coverage=1.0)[0].value
    0.5
    """
    truth, predicted = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    members = members_of(blocks, truth.size)
    if not truth.size == predicted.size == members.size:
        raise ValueError(f"{truth.size} labels, {predicted.size} predictions and {members.size} blocks: give one a row")
    figures = _error_figures(truth, predicted)
    if low is not None and high is not None:
        figures |= _interval_figures(truth, np.asarray(low, np.float64), np.asarray(high, np.float64))
    figures |= {"mean_label": mean(truth), "mean_prediction": mean(predicted)}
    return (
        *(
            as_metric(name, figure, members, label_coverage, BOUNDS.get(name, (-math.inf, math.inf)))
            for name, figure in figures.items()
        ),
        MetricValue(name="label_coverage", value=label_coverage, n=truth.size, label_coverage=label_coverage),
    )


def _error_figures(truth: Floats, predicted: Floats) -> dict[str, Figure]:
    error = predicted - truth
    middle = float(np.median(np.abs(error))) if error.size else math.nan
    return {
        "mean_absolute_error": mean(np.abs(error)),
        "root_mean_squared_error": root(mean(error**2)),
        "median_absolute_error": without_influence(middle, error.size),
        "r2_score": _r2_score(truth, error),
        "mean_error": mean(error),
    }


def _r2_score(truth: Floats, error: Floats) -> Figure:
    """Return the share of the variance that is explained; the mean's own influence on the variance is 0."""
    spread = (truth - truth.mean()) ** 2 if truth.size else truth
    if spread.sum() <= 1e-12 * float((truth**2).sum()):  # what rounding leaves of the variance of equal values
        return without_influence(math.nan, truth.size)
    unexplained = ratio(error**2, spread)
    return Figure(1 - unexplained.value, -unexplained.influence)


def _interval_figures(truth: Floats, low: Floats, high: Floats) -> dict[str, Figure]:
    known = (np.isfinite(low) & np.isfinite(high)).astype(np.float64)
    if not known.any():
        return {}
    width = np.where(known == 1, high - low, 0.0)
    return {
        "interval_coverage": ratio(known * ((low <= truth) & (truth <= high)), known),
        "interval_width": ratio(width, known),
    }
