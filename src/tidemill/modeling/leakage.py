"""A probe for features that know the answer.

A feature that alone nearly sorts the rows by their label was, in almost every case, written after the outcome.
The probe looks at one feature at a time; combinations that leak, and dates of observation, are not its business.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.metrics import point_value
from tidemill.modeling.preprocessing import SMOOTHING
from tidemill.modeling.schema import FeatureSchema, align

__all__ = ["LEAK_LIMIT", "find_leaks", "single_feature_auc"]

LEAK_LIMIT = 0.85
"""AUC of one feature alone from which it is named. A copy of the label with 5 % noise reaches 0.95, the departure delay
of a flight that will be late 0.90, an honest feature of the same flights 0.65."""

_N_FOLDS = 5  # every fifth row is rated by the other four
_N_BINS = 20  # quantiles of a number, to find leaks that do not rise or fall steadily


def find_leaks(
    X: pd.DataFrame, y_true: npt.ArrayLike, schema: FeatureSchema, limit: float = LEAK_LIMIT
) -> list[tuple[str, float]]:
    """Name the features that predict too well on their own.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features.
    y_true : array-like of shape (n_samples,)
        Booleans, or 0 and 1.
    schema : FeatureSchema
        Features to look at.
    limit : float, default 0.85
        AUC from which a feature is named, 0.5 to 1.

    Returns
    -------
    list of (str, float)
        Feature and its AUC, the worst first.

    Examples
    --------
    >>> X = pd.DataFrame({"delay": [9.0, 1.0, 8.0, 2.0] * 25, "hour": [1.0, 1.0, 2.0, 2.0] * 25})
    >>> find_leaks(X, [1, 0, 1, 0] * 25, FeatureSchema(numeric=("delay", "hour")))
    [('delay', 1.0)]
    """
    found = [(name, auc) for name, auc in single_feature_auc(X, y_true, schema).items() if auc >= limit]
    return sorted(found, key=lambda leak: -leak[1])


def single_feature_auc(X: pd.DataFrame, y_true: npt.ArrayLike, schema: FeatureSchema) -> dict[str, float]:
    """Give each feature's ROC AUC alone, folded so that 0.5 is nothing and 1 is everything.

    A number counts by its rank, with missing as the lowest and as the highest, and by the out-of-fold rate of the
    label in 20 quantiles; a category by the out-of-fold rate. The best of them is given; NaN on a single class.
    """
    aligned, y = align(X, schema), np.asarray(y_true, dtype=np.float64)
    aucs = {name: _auc_of_number(aligned[name].to_numpy(), y) for name in schema.numeric}
    return aucs | {
        name: _folded(y, _out_of_fold_rate(pd.factorize(aligned[name])[0], y)) for name in schema.categorical
    }


def _auc_of_number(values: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    if np.isnan(values).all():
        return 0.5 if 0 < y.sum() < len(y) else float("nan")
    ranks = pd.Series(values).rank(pct=True).to_numpy()  # within 0 to 1, as a score has to be
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _N_BINS + 1)[1:-1]))
    bins = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right"))
    missing = np.isnan(ranks)
    scores = (np.where(missing, 0.0, ranks), np.where(missing, 1.0, ranks), _out_of_fold_rate(bins, y))
    return max(_folded(y, score) for score in scores)


def _folded(y: npt.NDArray[np.float64], score: npt.NDArray[np.float64]) -> float:
    auc = point_value("roc_auc", y, score)
    return max(auc, 1 - auc)


def _out_of_fold_rate(codes: npt.NDArray[np.int64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rate of positives of each row's level among the rows of the other folds, smoothed; -1 is a level too."""
    levels = codes + 1
    n_levels = int(levels.max(initial=0)) + 1
    fold = np.arange(len(y)) % _N_FOLDS
    rate = np.empty(len(y))
    for number in range(_N_FOLDS):
        inside = fold == number
        rows = np.bincount(levels[~inside], minlength=n_levels)
        positives = np.bincount(levels[~inside], weights=y[~inside], minlength=n_levels)
        prior = y[~inside].mean() if (~inside).any() else 0.0
        rate[inside] = ((positives + SMOOTHING * prior) / (rows + SMOOTHING))[levels[inside]]
    return np.clip(rate, 0.0, 1.0)
