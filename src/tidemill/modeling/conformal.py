"""Intervals around a predicted number, from what validation showed of its errors.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): if future rows are like those of validation, the interval
holds at least the stated share of labels, whatever the model is. It is equally wide for every row.

Rows of one day err together, and a new day is unlike those of validation. The ends therefore hold the stated share of
each day's labels when they are computed without that day, on average over the days.
"""

import numpy as np
import numpy.typing as npt

from tidemill.metrics.statistic import independent

__all__ = ["residual_quantiles"]

MIN_BLOCKS = 5
"""Blocks below which rows are taken as independent: fewer do not show how days differ."""
_HALVINGS = 12  # of the tail's share: finer than 1 row in 1,000

Floats = npt.NDArray[np.float64]


def residual_quantiles(
    residuals: npt.ArrayLike,
    coverage: float,
    blocks: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> tuple[float, float] | None:
    """Return what has to be added to a prediction for the ends of its interval.

    Parameters
    ----------
    residuals : array-like of shape (n_samples,)
        Label minus prediction, on rows that the model was not fitted on.
    coverage : float
        Share of labels between the ends, 0 to 1.
    blocks : array-like of shape (n_samples,), default None
        Day of each row; None takes rows as independent.
    sample_weight : array-like of shape (n_samples,), default None
        How often each row counts, above 0; None for once.

    Returns
    -------
    pair of float, or None
        The k-th smallest and the k-th largest residual with k = (n + 1)(1 - coverage)/2, rounded down, or a smaller k
        where days differ; None if there are too few rows for k = 1.

    Examples
    --------
    >>> residual_quantiles(range(-9, 10), 0.8)
    (-8.0, 8.0)
    >>> residual_quantiles([1.0, 2.0], 0.8) is None
    True
    """
    values, tail = np.asarray(residuals, dtype=np.float64), (1 - coverage) / 2
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    often = (
        np.ones(len(values))
        if sample_weight is None
        else independent(np.asarray(sample_weight, dtype=np.float64))[order]
    )
    if not np.isfinite(ordered).all() or _rank(often, tail) < 1:
        return None
    if blocks is not None:
        _, index = np.unique(np.asarray(blocks), return_inverse=True)
        tail = _tail_of_days(ordered, often, index[order], tail)
    return _ends(ordered, often, tail)


def _rank(often: Floats, tail: float) -> int:
    return int(np.floor((often.sum() + 1) * tail + 1e-9))  # (1 - 0.8) / 2 is a little below 0.1


def _ends(ordered: Floats, often: Floats, tail: float) -> tuple[float, float]:
    k = max(_rank(often, tail), 1)
    from_below, from_above = (int(np.searchsorted(np.cumsum(one), k)) for one in (often, often[::-1]))
    last = len(ordered) - 1  # fewer than k rows are left of weights below 1
    return float(ordered[min(from_below, last)]), float(ordered[max(last - from_above, 0)])


def _tail_of_days(ordered: Floats, often: Floats, day: npt.NDArray[np.int64], tail: float) -> float:
    """Return the greatest share of each tail, at most ``tail``, with which days that were left out are covered."""
    days = [day == one for one in np.unique(day)]
    if len(days) < MIN_BLOCKS:
        return tail

    def covers(share: float) -> bool:
        ends = [_ends(ordered[~of_day], often[~of_day], share) for of_day in days]
        held = sum(
            float(often[of_day & (low <= ordered) & (ordered <= high)].sum())
            for of_day, (low, high) in zip(days, ends, strict=True)
        )
        return held >= (1 - 2 * tail) * float(often.sum())

    if covers(tail):
        return tail
    enough, too_much = 0.0, tail
    for _ in range(_HALVINGS):
        middle = (enough + too_much) / 2
        enough, too_much = (middle, too_much) if covers(middle) else (enough, middle)
    return enough
