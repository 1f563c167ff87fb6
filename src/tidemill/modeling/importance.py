"""What the model leans on: how much worse it ranks when one feature is shuffled.

Permutation importance (Breiman 2001) on the test set. Features that carry the same information share their
importance, and a feature that the model ignores gets about 0; neither says that the world works that way.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.metrics import point_value
from tidemill.modeling.schema import align
from tidemill.records import MetricValue

__all__ = ["permutation_importance"]


def permutation_importance(
    bundle: Bundle,
    X: pd.DataFrame,
    y_true: npt.ArrayLike,
    *,
    random_state: int = 0,
    n_repeats: int = 3,
    max_rows: int = 5000,
) -> tuple[MetricValue, ...]:
    """Give the drop in ROC AUC when a feature is shuffled, for each feature.

    Parameters
    ----------
    bundle : Bundle
        Fitted model.
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features of the test set.
    y_true : array-like of shape (n_samples,)
        0 and 1.
    random_state : int, default 0
        Seed of the sample and the shuffles.
    n_repeats : int, default 3
        Shuffles per feature, at least 2.
    max_rows : int, default 5000
        Rows used, drawn without replacement; the order of the features settles long before.

    Returns
    -------
    tuple of MetricValue
        Name ``permutation_importance``, most important first. The interval is Student's 95 % over the shuffles: it
        speaks of the shuffling, not of other test sets. NaN where the labels are of a single class.
    """
    rng = np.random.default_rng(random_state)
    y = np.asarray(y_true)
    rows = np.sort(rng.permutation(len(y))[:max_rows])
    aligned, y = align(X, bundle.schema).iloc[rows], y[rows]
    intact = point_value("roc_auc", y, bundle.score(aligned))
    figures = []
    for feature in bundle.schema.names:
        shuffled = pd.concat([aligned] * n_repeats, ignore_index=True)  # one call scores all repeats
        order = np.concatenate([rng.permutation(len(y)) for _ in range(n_repeats)])
        shuffled[feature] = aligned[feature].to_numpy()[order]
        scores = bundle.score(shuffled).reshape(n_repeats, len(y))
        figures.append(_figure(feature, np.array([intact - point_value("roc_auc", y, one) for one in scores]), len(y)))
    return tuple(sorted(figures, key=lambda figure: -np.nan_to_num(figure.value)))


def _figure(feature: str, drops: npt.NDArray[np.float64], n_samples: int) -> MetricValue:
    mean = float(drops.mean())
    half = float(stats.t.ppf(0.975, len(drops) - 1) * drops.std(ddof=1) / np.sqrt(len(drops)))
    return MetricValue(
        name="permutation_importance", value=mean, low=mean - half, high=mean + half, n=n_samples, feature=feature
    )
