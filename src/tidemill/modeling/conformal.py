"""Intervals around a predicted number, from what validation showed of its errors.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): if future rows are like those of validation, the interval
holds at least the share of labels that it says, whatever the model is. It is as wide for every row.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["residual_quantiles"]


def residual_quantiles(residuals: npt.ArrayLike, coverage: float) -> tuple[float, float] | None:
    """Return what has to be added to a prediction for the ends of its interval.

    Parameters
    ----------
    residuals : array-like of shape (n_samples,)
        Label minus prediction, on rows that the model was not fitted on.
    coverage : float
        Share of labels between the ends, 0 to 1.

    Returns
    -------
    pair of float, or None
        The k-th smallest and the k-th largest residual with k = (n + 1)(1 - coverage)/2, rounded down; None if there
        are too few rows for k = 1.

    Examples
    --------
    >>> residual_quantiles(range(-9, 10), 0.8)
    (-8.0, 8.0)
    >>> residual_quantiles([1.0, 2.0], 0.8) is None
    True
    """
    ordered = np.sort(np.asarray(residuals, dtype=np.float64))
    k = int(np.floor((len(ordered) + 1) * (1 - coverage) / 2 + 1e-9))  # (1 - 0.8) / 2 is a little below 0.1
    if k < 1 or not np.isfinite(ordered).all():
        return None
    return float(ordered[k - 1]), float(ordered[-k])
