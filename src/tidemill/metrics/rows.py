"""Labels and scores of each task, read so that the formula of a metric is one line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from tidemill.metrics.calibration_error import calibration_error
from tidemill.metrics.statistic import (
    Bools,
    Floats,
    Integers,
    Statistic,
    area,
    average,
    average_precision,
    mean,
    median,
    ratio,
    root,
)

__all__ = [
    "EPS",
    "BinaryRows",
    "ClassRows",
    "Columns",
    "Interval",
    "NumberRows",
    "Reading",
    "Rows",
    "encode",
    "highest",
    "read_rows",
    "spread",
]

EPS = float(np.finfo(np.float64).eps)
"""Least probability in a logarithm, as in scikit-learn: a certain and wrong score costs 36, not infinity."""

Interval = tuple[npt.ArrayLike, npt.ArrayLike]


class Columns(TypedDict, total=False):
    """What the columns of scores mean."""

    classes: Sequence[str] | None
    """Names of the columns of the scores; None if labels are positions of columns. Only for ``multiclass``."""
    interval: Interval | None
    """Low and high ends, NaN in rows without an interval; only for ``regression``."""
    sample_weight: npt.ArrayLike | None
    """How often each row counts, above 0, shape (n_samples,); None for once."""
    partitions: npt.ArrayLike | None
    """Key of each row's partition, shape (n_samples,); None for a single one. Only for ``binary``."""


class Reading(Columns, total=False):
    """How scores are read."""

    threshold: float | None
    """Score from which a row counts as positive, 0.5 by default; only for ``binary``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What the formulas of every task are built from."""

    y: Any
    score: Floats
    often: Floats
    """How often each row counts, above 0, shape (n_samples,)."""

    def average(self, *statistics: Statistic) -> Statistic:
        """Return the mean of those statistics that are defined."""
        return average(statistics, self.often)

    def mean(self, terms: npt.ArrayLike) -> Statistic:
        """Return the mean of a term of each row."""
        return mean(terms, sample_weight=self.often)

    def root_mean(self, terms: npt.ArrayLike) -> Statistic:
        """Return the root of the mean of a term of each row."""
        return root(self.mean(terms))

    def ratio(self, part: npt.ArrayLike, whole: npt.ArrayLike) -> Statistic:
        """Return the ratio of two sums."""
        return ratio(part, whole, sample_weight=self.often)

    def share(self, of: npt.ArrayLike, among: npt.ArrayLike | None = None) -> Statistic:
        """Return the share of rows, all or those marked by ``among``, that ``of`` marks."""
        marked = np.asarray(of, dtype=np.float64)
        whole = np.ones(len(marked)) if among is None else np.asarray(among, dtype=np.float64)
        return ratio(marked * whole, whole, 1.0, self.often)

    def overlap(self, a: Floats, b: Floats) -> Statistic:
        """Return how far two marks agree, 0 to 1: the F1 score of decisions and labels."""
        return ratio(2 * a * b, a + b, 2.0, self.often)

    def median(self, terms: Floats) -> Statistic:
        """Return the median of a term of each row."""
        return median(terms, self.often)

    def calibration_error(self, outcome: Floats, probability: Floats) -> Statistic:
        """Return how far probabilities are from how often the outcome comes true."""
        return calibration_error(outcome, probability, self.often)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryRows(Rows):
    """Labels 0 and 1, and the probability of 1."""

    called: Floats
    """1 where the score reaches the threshold."""
    partition: Integers
    """Number of each row's partition, from 0, shape (n_samples,)."""

    @property
    def log_losses(self) -> Floats:
        """Negative log likelihood of each label."""
        inside = np.clip(self.score, EPS, 1 - EPS)
        return np.asarray(np.where(self.y == 1, -np.log(inside), -np.log1p(-inside)))

    def roc_auc(self) -> Statistic:
        """Return the area under the ROC curve."""
        return area(self.y, self.score, self.often)

    def precision_at(self, n_rows: int) -> Statistic:
        """Return the share of positives among the ``n_rows`` rows with the highest scores of each partition."""
        taken = highest(self.score, self.partition, self.often, n_rows)
        return ratio(taken * self.y, taken, 1.0, self.often)

    def average_precision(self) -> Statistic:
        """Return the precision averaged over recall."""
        return average_precision(self.y, self.score, self.often)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRows(Rows):
    """One class among several, and a probability of each; the last column stands for classes that the model lacks.

    A label that the model does not know is a row that it cannot get right: it counts as wrong, with probability 0.
    """

    truth: Floats
    """1 in the column of the label, shape (n_samples, n_classes + 1)."""
    chosen: Floats
    """1 in the column of the largest probability, same shape."""

    @property
    def right(self) -> Floats:
        """1 where the largest probability is the label's."""
        return np.asarray((self.truth * self.chosen).sum(axis=1))

    @property
    def confidence(self) -> Floats:
        """Largest probability of each row."""
        return np.asarray(self.score.max(axis=1))

    @property
    def log_losses(self) -> Floats:
        """Negative log likelihood of each label."""
        return np.asarray(-np.log(np.clip((self.score * self.truth).sum(axis=1), EPS, 1.0)))

    @property
    def squared_distances(self) -> Floats:
        """Squared distance of the probabilities from the label's, 0 to 2 (Brier 1950)."""
        return np.asarray(((self.score - self.truth) ** 2).sum(axis=1))

    def by_class(self, of: Callable[[int], Statistic]) -> Statistic:
        """Return the mean over the classes for which a statistic is defined."""
        return self.average(*(of(column) for column in range(self.truth.shape[1])))

    def recall(self, column: int) -> Statistic:
        """Return the recall of one class; not defined if no row has it."""
        return self.share(self.chosen[:, column], among=self.truth[:, column])

    def f1(self, column: int) -> Statistic:
        """Return F1 of one class; not defined if no row has or is assigned the class."""
        return self.overlap(self.truth[:, column], self.chosen[:, column])

    def roc_auc(self, column: int) -> Statistic:
        """Return the area under the ROC curve of one class against the rest; not defined for unknown classes."""
        unknown = column == self.truth.shape[1] - 1
        return area(self.truth[:, column] * (not unknown), self.score[:, column], self.often)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRows(Rows):
    """Labels and predictions that are numbers."""

    with_interval: Floats
    """1 in rows that have an interval."""
    covered: Floats
    """1 where the interval holds the label."""
    width: Floats
    """High minus low; 0 in rows without an interval."""

    @property
    def error(self) -> Floats:
        """Prediction minus label."""
        return np.asarray(self.score - self.y)

    def explained_variance(self) -> Statistic:
        """Return the share of the labels' variance that predictions explain (R²); NaN if labels do not vary."""
        middle = np.average(self.y, weights=self.often)
        centred, squares = self.y - middle, self.error**2

        def unexplained(weights: Floats) -> Floats:
            counts = weights * self.often
            total = counts.sum(axis=1)
            second, first = counts @ centred**2 / total, counts @ centred / total
            variance = second - first**2
            varies = variance > 1e-12 * (second + middle**2)  # below is what rounding leaves of equal labels
            return np.where(varies, counts @ squares / total / np.where(varies, variance, 1.0), np.nan)

        # The mean of the labels has no influence of its own: the sum of squares is least there.
        against_mean = self.ratio(squares, centred**2)
        return Statistic(
            values=lambda weights: 1 - unexplained(weights),
            influence=lambda: -against_mean.influence(),
            counted=self.often,
        )


def read_rows(task: str, y_true: npt.ArrayLike, y_score: npt.ArrayLike, reading: Reading) -> Rows | None:
    """Read labels and scores; None if no metric is defined on them.

    Parameters
    ----------
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    y_true : array-like of shape (n_samples,)
        Labels: 0 and 1, classes, or numbers.
    y_score : array-like of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        Scores.

    Raises
    ------
    ValueError
        If labels do not fit scores, or a weight is not a number above 0.
    """
    return _READERS[task](y_true, y_score, reading)


def _counts(reading: Reading, n_samples: int) -> Floats:
    given = reading.get("sample_weight")
    if given is None:
        return np.ones(n_samples)
    often = np.asarray(given, dtype=np.float64)
    if often.shape != (n_samples,):
        raise ValueError(f"{often.shape} weights do not fit {n_samples} rows")
    if not (np.isfinite(often) & (often > 0)).all():
        raise ValueError("every weight must be a number above 0; leave out the rows of weight 0")
    return often


def _read_binary(y_true: npt.ArrayLike, y_score: npt.ArrayLike, reading: Reading) -> BinaryRows | None:
    y, score = _floats(y_true, y_score)
    if not len(y) or not np.isin(y, (0.0, 1.0)).all() or not ((score >= 0) & (score <= 1)).all():
        return None
    threshold = reading.get("threshold")
    called = (score >= (0.5 if threshold is None else threshold)).astype(np.float64)
    return BinaryRows(
        y=y,
        score=score,
        often=_counts(reading, len(y)),
        called=called,
        partition=_numbered(reading.get("partitions"), len(y)),
    )


def _numbered(partitions: npt.ArrayLike | None, n_samples: int) -> Integers:
    if partitions is None:
        return np.zeros(n_samples, dtype=np.int64)
    return np.unique(np.asarray(partitions), return_inverse=True)[1].astype(np.int64)


def highest(score: Floats, partition: Integers, often: Floats, n_rows: int) -> Floats:
    """Return which rows are among the ``n_rows`` with the highest scores of their partition, 0 to 1.

    Rows of equal scores that do not all find room share it, so that their order does not matter.

    Parameters
    ----------
    score : ndarray of shape (n_samples,)
        Scores.
    partition : ndarray of int, shape (n_samples,)
        Number of each row's partition.
    often : ndarray of shape (n_samples,)
        How often each row counts.
    n_rows : int
        Rows of a partition to choose; all of them if there are fewer.

    Examples
    --------
    >>> highest(np.array([0.9, 0.4, 0.4, 0.1]), np.zeros(4, dtype=int), np.ones(4), 2).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    _, level = np.unique(np.column_stack([partition, -score]), axis=0, return_inverse=True)  # the highest score first
    size = np.bincount(level, weights=often)
    first = np.zeros(len(size), dtype=np.int64)
    first[level] = partition
    before = np.cumsum(size) - size
    starts = np.searchsorted(first, first)  # first level of the same partition
    room = (n_rows - (before - before[starts])) / size
    return np.asarray(np.clip(room, 0.0, 1.0)[level])


def _read_classes(y_true: npt.ArrayLike, y_score: npt.ArrayLike, reading: Reading) -> ClassRows | None:
    labels, score, classes = np.asarray(y_true), np.asarray(y_score, dtype=np.float64), reading.get("classes")
    if score.ndim != 2 or len(labels) != len(score) or (classes is not None and len(classes) != score.shape[1]):
        raise ValueError(f"{len(labels)} labels of {classes} do not fit scores of shape {score.shape}")
    if not len(labels) or _any_missing(labels) or not ((score >= 0) & (score <= 1)).all():
        return None
    y = labels.astype(np.int64) if classes is None else encode(labels, classes)
    n_classes = score.shape[1]
    columns = np.arange(n_classes + 1)
    return ClassRows(
        y=y,
        score=np.column_stack([score, np.zeros(len(score))]),
        often=_counts(reading, len(y)),
        truth=(np.where((y < 0) | (y >= n_classes), n_classes, y)[:, None] == columns).astype(np.float64),
        chosen=(score.argmax(axis=1)[:, None] == columns).astype(np.float64),
    )


def _read_numbers(y_true: npt.ArrayLike, y_score: npt.ArrayLike, reading: Reading) -> NumberRows | None:
    y, score = _floats(y_true, y_score)
    if not len(y) or not np.isfinite(y).all() or not np.isfinite(score).all():
        return None
    nothing, interval = np.full(len(y), np.nan), reading.get("interval")
    low, high = (np.asarray(end, dtype=np.float64) for end in (interval or (nothing, nothing)))
    known = np.isfinite(low) & np.isfinite(high)
    return NumberRows(
        y=y,
        score=score,
        often=_counts(reading, len(y)),
        with_interval=known.astype(np.float64),
        covered=(known & (low <= y) & (y <= high)).astype(np.float64),
        width=np.where(known, high - low, 0.0),
    )


_READERS: dict[str, Callable[[npt.ArrayLike, npt.ArrayLike, Reading], Rows | None]] = {
    "binary": _read_binary,
    "multiclass": _read_classes,
    "regression": _read_numbers,
}


def _floats(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> tuple[Floats, Floats]:
    y, score = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
    if y.shape != score.shape:
        raise ValueError(f"{len(y)} labels do not fit {len(score)} scores")
    return y, score


def _any_missing(labels: npt.NDArray[Any]) -> bool:
    missing: Bools = np.not_equal(labels, labels)  # NaN differs from itself
    return bool(np.any(missing)) or (labels.dtype == object and any(label is None for label in labels))


def encode(y: npt.ArrayLike, classes: Sequence[str]) -> Integers:
    """Return labels as positions in ``classes``, -1 for any other label.

    Examples
    --------
    >>> encode(["b", "a", "z"], ("a", "b"))
    array([ 1,  0, -1])
    """
    position = {name: index for index, name in enumerate(classes)}
    labels = np.asarray(y, dtype=object)
    return np.fromiter((position.get(label, -1) for label in labels), dtype=np.int64, count=len(labels))


def spread(score: Floats, classes: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Return probabilities in the columns of other classes, 0 where the model does not know one.

    Examples
    --------
    >>> spread(np.array([[0.2, 0.8]]), ("a", "c"), ("a", "b", "c"))
    array([[0.2, 0. , 0.8]])
    """
    wide = np.zeros((len(score), len(wanted)))
    wide[:, [list(wanted).index(name) for name in classes]] = score
    return wide
