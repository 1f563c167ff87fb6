"""The score from which a row counts as positive.

Chosen on the validation set, never on the test set, and kept in the bundle with the criterion.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["choose_threshold"]


def choose_threshold(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> tuple[float, str]:
    """Choose the threshold with the best F1.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        1 or True for the positive class.
    y_score : array-like of shape (n_samples,)
        Probability of the positive class.

    Returns
    -------
    threshold : float
        A row is positive if its score is at least this; of equally good ones the highest.
    criterion : str
        How it was chosen, in words.

    Examples
    --------
    >>> choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8])
    (0.3, 'best F1 on 4 validation rows: 0.800')
    """
    y, score = np.asarray(y_true, dtype=np.int64), np.asarray(y_score, dtype=np.float64)
    if y.size == 0 or y.min() == y.max():
        return 0.5, "0.5, since the validation set does not hold both classes"
    order = np.argsort(-score, kind="stable")
    true_positives = np.cumsum(y[order])
    predicted = np.arange(1, y.size + 1)
    f1 = 2 * true_positives / (predicted + y.sum())
    last_of_tie = np.append(np.diff(score[order]) != 0, True)  # a threshold cannot part equal scores
    best = int(np.argmax(np.where(last_of_tie, f1, -1.0)))
    return float(score[order][best]), f"best F1 on {y.size} validation rows: {f1[best]:.3f}"
