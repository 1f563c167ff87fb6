"""The score from which a row counts as positive; it may be above every score, if calling nobody positive serves best.

Chosen on the validation set, never on the test set, by the criterion that the spec states, and kept in the bundle with
that criterion and what it reached.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.metrics.definitions import greater_is_better
from tidemill.metrics.evaluation import point_value

__all__ = ["choose_threshold", "constant_threshold"]


def choose_threshold(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    criterion: str = "f1",
    sample_weight: npt.ArrayLike | None = None,
    n_partitions: int = 1,
) -> tuple[float, str]:
    """Choose the threshold that serves a criterion best.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        1 or True for the positive class.
    y_score : array-like of shape (n_samples,)
        Probability of the positive class.
    criterion : str, default "f1"
        ``f1``: best F1. ``youden``: best sum of recall and specificity. ``cost 5``: least cost if a missed positive costs
        5 false alarms. ``precision 0.6``: most recall with a precision of at least 0.6. ``recall 0.8``: most precision
        with a recall of at least 0.8. ``top 500``: as many as possible, but at most 500 per partition, on average.
    sample_weight : array-like of shape (n_samples,), default None
        How often each row counts, above 0; None for once.
    n_partitions : int, default 1
        Partitions that the rows are from; only for ``top``.

    Returns
    -------
    threshold : float
        A row is positive if its score is at least this; of equally good ones the highest. The highest of all is just above
        the greatest score and calls nobody positive.
    criterion : str
        How it was chosen and what it reached, in words.

    Examples
    --------
    >>> choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8])
    (0.3, 'best F1 on 4 validation rows: 0.800')
    >>> choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8], "precision 0.9")
    (0.8, 'precision at least 0.9 on 4 validation rows: precision 1.000, recall 0.500')
    """
    y, score = np.asarray(y_true, dtype=np.int64), np.asarray(y_score, dtype=np.float64)
    if y.size == 0 or y.min() == y.max():
        return 0.5, "0.5, since the validation set does not hold both classes"
    counts = _Counts.of(y, score, np.ones(y.size) if sample_weight is None else np.asarray(sample_weight, np.float64))
    kind, _, number = criterion.partition(" ")
    if kind == "top":
        position, words = _top(counts, float(number), n_partitions)
    else:
        position, words = _RULES[kind](counts, float(number) if number else 0.0)
    return float(counts.score[position]), words


def constant_threshold(
    y_true: npt.ArrayLike, score: float, metric: str = "accuracy", sample_weight: npt.ArrayLike | None = None
) -> tuple[float, str]:
    """Choose whether a model that gives every row the same score calls all of them positive or none.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        1 or True for the positive class.
    score : float
        The score of every row.
    metric : str, default "accuracy"
        Metric in which the answer has to be as good as a constant one can be; the more frequent class where that metric
        reads no threshold.
    sample_weight : array-like of shape (n_samples,), default None
        How often each row counts, above 0; None for once.

    Returns
    -------
    threshold : float
        The score, or the next number above it.
    criterion : str
        What it calls positive, in words.

    Examples
    --------
    >>> constant_threshold([0, 0, 0, 1], 0.25)[1], constant_threshold([0, 0, 0, 1], 0.25, "f1")[1]
    ('every row has the same score: none is called positive', 'every row has the same score: all are called positive')
    """
    y = np.asarray(y_true, dtype=np.int64)
    constant = np.full(y.size, score)

    def goodness(threshold: float, name: str) -> float:
        value = point_value(name, y, constant, threshold, sample_weight=sample_weight)
        return -math.inf if math.isnan(value) else value if greater_is_better(name) else -value

    choices = {_above(score): "none is called positive", float(score): "all are called positive"}
    best = max(choices, key=lambda threshold: (goodness(threshold, metric), goodness(threshold, "accuracy")))
    return best, f"every row has the same score: {choices[best]}"


def _above(score: float) -> float:
    return float(np.nextafter(score, np.inf))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """For a threshold above all scores, and at each distinct score from the highest down: what it calls positive."""

    score: npt.NDArray[np.float64]
    true: npt.NDArray[np.float64]
    called: npt.NDArray[np.float64]
    n_positive: float
    n_counted: float
    n_rows: int

    @classmethod
    def of(cls, y: npt.NDArray[np.int64], score: npt.NDArray[np.float64], often: npt.NDArray[np.float64]) -> "_Counts":
        order = np.argsort(-score, kind="stable")
        last_of_tie = np.append(np.diff(score[order]) != 0, True)  # a threshold cannot part equal scores
        return cls(
            score=np.append(_above(score.max()), score[order][last_of_tie]),
            true=np.append(0.0, np.cumsum((often * y)[order])[last_of_tie]),
            called=np.append(0.0, np.cumsum(often[order])[last_of_tie]),
            n_positive=float(often @ y),
            n_counted=float(often.sum()),
            n_rows=y.size,
        )

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Precision; -1 where nobody is called positive and it is not defined."""
        return np.divide(self.true, self.called, out=np.full_like(self.true, -1.0), where=self.called > 0)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        return self.true / self.n_positive

    def words(self, position: int) -> str:
        if not self.called[position]:
            return "nobody is called positive"
        return f"precision {self.precision[position]:.3f}, recall {self.recall[position]:.3f}"


def _f1(counts: _Counts, _: float) -> tuple[int, str]:
    f1 = 2 * counts.true / (counts.called + counts.n_positive)
    best = int(np.argmax(f1))
    return best, f"best F1 on {counts.n_rows} validation rows: {f1[best]:.3f}"


def _youden(counts: _Counts, _: float) -> tuple[int, str]:
    false_rate = (counts.called - counts.true) / (counts.n_counted - counts.n_positive)
    youden = counts.recall - false_rate
    best = int(np.argmax(youden))
    return best, f"best Youden's J on {counts.n_rows} validation rows: {youden[best]:.3f}"


def _cost(counts: _Counts, ratio: float) -> tuple[int, str]:
    cost = (counts.n_positive - counts.true) * ratio + (counts.called - counts.true)
    best = int(np.argmin(cost))
    least = cost[best] / counts.n_counted
    return best, (
        f"least cost on {counts.n_rows} validation rows, a missed positive costing {ratio:g} false alarms: "
        f"{least:.3f} false alarms per row ({counts.words(best)})"
    )


def _precision(counts: _Counts, target: float) -> tuple[int, str]:
    return _at_least("precision", target, counts, counts.precision, counts.recall)


def _recall(counts: _Counts, target: float) -> tuple[int, str]:
    return _at_least("recall", target, counts, counts.recall, counts.precision)


def _at_least(
    name: str, target: float, counts: _Counts, bound: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> tuple[int, str]:
    reached = bound >= target
    if reached.any():
        best = int(np.argmax(np.where(reached, wanted, -1.0)))
        return best, f"{name} at least {target:g} on {counts.n_rows} validation rows: {counts.words(best)}"
    best = int(np.argmax(bound))
    return (
        best,
        f"no threshold reaches a {name} of {target:g} on {counts.n_rows} validation rows; the best: {counts.words(best)}",
    )


def _top(counts: _Counts, most: float, n_partitions: int) -> tuple[int, str]:
    best = int(np.searchsorted(counts.called, most * n_partitions, side="right")) - 1
    return best, (
        f"at most {most:g} per partition on {counts.n_rows} validation rows of {n_partitions} partition(s): "
        f"{counts.called[best] / n_partitions:.1f} ({counts.words(best)})"
    )


_RULES = {"f1": _f1, "youden": _youden, "cost": _cost, "precision": _precision, "recall": _recall}
"""Rules that need only counts, by the first word."""
