"""Columns that predict the label by themselves; almost always, they were written after the outcome.

Columns are tested one at a time, not in combination. Legitimate columns that predict very well are listed in the spec
under ``known_ahead``, for example the distance of a flight for its time in the air.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.metrics.evaluation import point_value
from tidemill.modeling.alignment import align
from tidemill.modeling.leakage.finding import Leak
from tidemill.modeling.preprocessing import SMOOTHING
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.tasks import task_type

__all__ = ["LIMITS", "find_telling", "telling"]

LIMITS = {"binary": 0.85, "multiclass": 0.85, "regression": 0.75}
"""Figure of `telling` from which a column is reported. A copy of a label with 5 % noise reaches 0.95 (AUC) or 0.9 (R²). The
departure delay of a flight reaches 0.92 for whether it arrives late and 0.83 for how late; a legitimate feature of these
flights reaches 0.66 and 0.1."""

_STATISTIC = {"binary": "AUC", "multiclass": "AUC", "regression": "R²"}
_N_FOLDS = 5  # every fifth entity is predicted from the other four
_N_BINS = 20  # quantiles of a number, to find leaks that are not monotonic
_FEW = 30  # rows per class; with fewer, its AUC is mostly chance
_Z = 5.0  # standard errors above 0.5 for an AUC: chance reaches this once in three million columns

Floats = npt.NDArray[np.float64]
Folds = npt.NDArray[np.int64]


def find_telling(
    X: pd.DataFrame,
    y_true: npt.ArrayLike,
    schema: FeatureSchema,
    task: str = "binary",
    *,
    entities: npt.ArrayLike | None = None,
    limit: float | None = None,
) -> list[Leak]:
    """Return the columns that predict too well by themselves, the worst first.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw columns.
    y_true : array-like of shape (n_samples,)
        Binary: booleans, or 0 and 1. Multiclass: any values. Regression: finite numbers.
    task : str, default "binary"
        ``binary``, ``multiclass`` or ``regression``.
    entities : array-like of shape (n_samples,), optional
        Entity of each row, in order of time, where one may have several rows; by default each row has its own.
    limit : float, optional
        Figure from which a column is reported; that of `LIMITS` by default.

    Examples
    --------
    >>> X = pd.DataFrame({"delay": [9.0, 1.0, 8.0, 2.0] * 25, "hour": [1.0, 1.0, 2.0, 2.0] * 25})
    >>> [leak.how for leak in find_telling(X, [1, 0, 1, 0] * 25, FeatureSchema(numeric=("delay", "hour")))]
    ["'delay' predicts the label by itself (AUC 1.000)"]
    """
    bar = LIMITS[task] if limit is None else limit
    kind = task_type(task)
    if kind.has_threshold:
        bar = max(bar, _chance(_episodes(np.asarray(y_true, dtype=np.float64), entities)))
    figures = telling(X, y_true, schema, task, entities=entities)
    found = [(name, value) for name, value in figures.items() if value >= bar]
    return [
        Leak(
            kind="telling", subject=name, how=f"{name!r} predicts the label by itself ({_STATISTIC[task]} {value:.3f})"
        )
        for name, value in sorted(found, key=lambda item: -item[1])
    ]


def telling(
    X: pd.DataFrame,
    y_true: npt.ArrayLike,
    schema: FeatureSchema,
    task: str = "binary",
    *,
    entities: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Return how well each column predicts the label by itself.

    The rows of an entity are in one fold: a column that identifies a customer knows the label of the customer's other days.

    Returns
    -------
    dict of str to float
        Binary: ROC AUC, 0.5 to 1. Multiclass: ROC AUC of each class against the rest, weighted by class size.
        Regression: R², 0 to 1. A number is tested by its rank, in both directions and with missing values lowest or
        highest, and by the out-of-fold mean of the label in 20 quantiles. A text is tested by that mean per level. The
        best figure counts; NaN where the labels define none.
    """
    aligned = align(X, schema)
    kind, fold = task_type(task), _folds(len(aligned), entities)
    if not kind.score_per_class:
        y, alone = np.asarray(y_true, dtype=np.float64), kind.pick(_auc, _r2)
        return {name: alone(aligned[name], y, fold, name in schema.numeric) for name in schema.names}
    _, codes, sizes = np.unique(np.asarray(y_true).astype(str), return_inverse=True, return_counts=True)
    classes = [k for k, size in enumerate(sizes) if size >= _FEW]
    if len(classes) < 2:
        return dict.fromkeys(schema.names, float("nan"))
    figures = {
        name: [_auc(aligned[name], (codes == k).astype(np.float64), fold, name in schema.numeric) for k in classes]
        for name in schema.names
    }
    return {name: float(np.average(values, weights=sizes[classes])) for name, values in figures.items()}


def _folds(n_samples: int, entities: npt.ArrayLike | None) -> Folds:
    numbers = np.arange(n_samples) if entities is None else pd.factorize(np.asarray(entities))[0]
    return np.asarray(numbers % _N_FOLDS, dtype=np.int64)


def _episodes(y: Floats, entities: npt.ArrayLike | None) -> Floats:
    """Return the labels with an entity's rows in a row that share one counted once: they are one observation."""
    if entities is None:
        return y
    codes = pd.factorize(np.asarray(entities))[0]
    order = np.argsort(codes, kind="stable")
    again = (np.diff(codes[order]) == 0) & (np.diff(y[order]) == 0)
    return y[order][np.concatenate([[True], ~again])] if len(y) else y


def _chance(y: Floats) -> float:
    """Return the AUC that an uninformative column does not reach by chance, given the number of rows."""
    n_positive = float(y.sum())
    pairs = n_positive * (len(y) - n_positive)
    return 0.5 + _Z * np.sqrt((len(y) + 1) / (12 * pairs)) if pairs else np.inf


def _auc(column: pd.Series, y: Floats, fold: Folds, is_number: bool) -> float:
    # Not mirrored below 0.5: the mean of the other rows is lower where the row's own label is high, most so in small levels.
    found = [point_value("roc_auc", y, np.clip(_out_of_fold_mean(_levels(column, is_number), y, fold), 0.0, 1.0))]
    if is_number and column.notna().any():
        ranks = column.rank(pct=True)  # within 0 to 1, as required of a score
        for missing in (0.0, 1.0):
            auc = point_value("roc_auc", y, np.asarray(ranks.fillna(missing), dtype=np.float64))
            found += [auc, 1 - auc]
    return max(found)


def _r2(column: pd.Series, y: Floats, fold: Folds, is_number: bool) -> float:
    if np.ptp(y) == 0:
        return float("nan")
    mean = _out_of_fold_mean(_levels(column, is_number), y, fold)
    found = [1 - float(((y - mean) ** 2).sum() / ((y - y.mean()) ** 2).sum())]
    known = column.notna().to_numpy()
    if is_number and known.sum() > 2 and np.ptp(column[known]) > 0 and np.ptp(y[known]) > 0:
        # A linear fit captures extremes that 20 bins miss, and a fit on ranks captures monotonic curves.
        pair = pd.DataFrame({"x": column[known].to_numpy(), "y": y[known]})
        found += [float(frame["x"].corr(frame["y"]) ** 2 * known.mean()) for frame in (pair, pair.rank())]
    return max(0.0, *found)


def _levels(column: pd.Series, is_number: bool) -> npt.NDArray[np.int64]:
    """Return codes of a text's levels or a number's quantiles; -1 where the value is missing."""
    if not is_number:
        return np.asarray(pd.factorize(column)[0], dtype=np.int64)
    numbers = column.to_numpy()
    missing = np.isnan(numbers)
    if missing.all():
        return np.full(len(numbers), -1)
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, _N_BINS + 1)[1:-1]))
    return np.where(missing, -1, np.searchsorted(edges, numbers, side="right"))


def _out_of_fold_mean(codes: npt.NDArray[np.int64], y: Floats, fold: Folds) -> Floats:
    """Return the smoothed mean label of each row's level over the other folds; -1 is a level too."""
    levels = codes + 1
    n_levels = int(levels.max(initial=0)) + 1
    mean = np.empty(len(y))
    for number in range(_N_FOLDS):
        inside = fold == number
        rows = np.bincount(levels[~inside], minlength=n_levels)
        sums = np.bincount(levels[~inside], weights=y[~inside], minlength=n_levels)
        prior = y[~inside].mean() if (~inside).any() else 0.0
        mean[inside] = ((sums + SMOOTHING * prior) / (rows + SMOOTHING))[levels[inside]]
    return mean
