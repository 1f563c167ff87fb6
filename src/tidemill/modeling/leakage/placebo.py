"""A fit on shuffled labels: if it predicts better than chance, the pipeline itself leaks labels."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.leakage.finding import Leak

__all__ = ["LIMIT_Z", "Scorer", "placebo"]

LIMIT_Z = 5.0
"""Standard errors above chance from which the pipeline leaks: chance reaches this once in three million fits."""

_MAX_ROWS = 20_000  # more rows do not improve the placebo, which takes as long as a fit on them
_LEAST_ROWS = 100  # rows to measure on

Scorer = Callable[[pd.DataFrame, npt.NDArray[np.generic], pd.DataFrame, npt.NDArray[np.generic]], "Score"]
Score = Callable[[pd.DataFrame], npt.NDArray[np.float64]]


def placebo(
    fit: Scorer,
    X_train: pd.DataFrame,
    y_train: npt.ArrayLike,
    X_validation: pd.DataFrame,
    y_validation: npt.ArrayLike,
    *,
    random_state: int,
) -> list[Leak]:
    """Shuffle all labels, fit, and test whether the scores still predict them.

    The model is fitted on the train rows and stops on every other validation row. It is measured on the remaining
    validation rows, whose shuffled labels it cannot know if the sets are kept apart. The measure is the rank correlation
    of score and label, whose standard error under chance is 1/sqrt(n - 1); for several classes, the largest one.

    Parameters
    ----------
    fit : callable
        Takes the rows and labels to fit and to stop on, and returns a function that scores rows.
    y_train, y_validation : array-like
        Their labels: 0 and 1, texts, or numbers.

    Returns
    -------
    list of Leak
        Empty if the sets are too small to decide, or there is no leak.
    """
    rng = np.random.default_rng(random_state)
    chosen = np.sort(rng.permutation(len(X_train))[:_MAX_ROWS])
    half = np.arange(min(len(X_validation), _MAX_ROWS))
    stop_on, measured = half[::2], half[1::2]
    if len(measured) < _LEAST_ROWS:
        return []
    train_labels = rng.permutation(np.asarray(y_train)[chosen])
    labels = rng.permutation(np.asarray(y_validation)[half])
    score = fit(X_train.iloc[chosen], train_labels, X_validation.iloc[stop_on], labels[stop_on])
    z = _above_chance(score(X_validation.iloc[measured]), labels[measured])
    if z < LIMIT_Z:
        return []
    return [
        Leak(
            kind="placebo",
            subject="pipeline",
            how=f"fitted on shuffled labels, the model still predicts them, {z:.0f} standard errors above chance: the pipeline "
            "itself carries labels from one row to another",
        )
    ]


def _above_chance(score: npt.NDArray[np.float64], y: npt.NDArray[np.generic]) -> float:
    """Return the rank correlation in standard errors; 0 if nothing varies."""
    if score.ndim == 1:
        pairs = [(score, y.astype(np.float64))]
    else:
        pairs = [(score[:, k], (y == name).astype(np.float64)) for k, name in enumerate(np.unique(y))]
    found = [0.0]
    for scores, labels in pairs:
        ranks = pd.DataFrame({"score": scores, "label": labels}).rank()
        if (ranks.std() > 0).all():
            found.append(float(ranks["score"].corr(ranks["label"])) * np.sqrt(len(ranks) - 1))
    return max(found)
