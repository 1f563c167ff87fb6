"""How good scores are: figures with 95 % intervals, and paired differences.

A metric that the data do not define (a single class, no row, a score that is not a number) is NaN, never an
exception and never a flattering default: who decides on it has to fail closed. Each metric is one function of a
sorted sample and a matrix of row weights, so that the figure and its 200 replicates are the same code.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.errors import SpecError
from tidemill.modeling.bootstrap import N_REPLICATES, Floats, Integers, index_blocks, percentile_interval, replicate
from tidemill.records import MetricValue

__all__ = ["BINARY_METRICS", "by_slice", "evaluate_binary", "greater_is_better", "paired_difference", "point_value"]

_N_BINS = 10  # bins of equal width of the calibration error, as in Guo et al. 2017
_MAX_SLICE_VALUES = 20  # most frequent values of a slicing feature that are reported
_EPS = float(np.finfo(np.float64).eps)  # keeps the logarithm finite, as scikit-learn does


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """Rows in ascending order of score, with what every metric needs of them."""

    y: Floats
    """0 or 1."""
    score: Floats
    """Probability of the positive class."""
    positive: npt.NDArray[np.bool_]
    """True where the score reaches the threshold."""
    tie_starts: Integers
    """First row of each run of equal scores."""
    block: Integers
    """Number of each row's block."""


def _sample(y_true: npt.ArrayLike, y_score: npt.ArrayLike, threshold: float, block: Integers) -> _Sample | None:
    """Sort the rows; None if no metric is defined on them."""
    y, score = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
    if y.shape != score.shape:
        raise ValueError(f"{len(y)} labels do not fit {len(score)} scores")
    if not len(y) or not np.isin(y, (0.0, 1.0)).all() or not ((score >= 0) & (score <= 1)).all():
        return None
    order = np.argsort(score, kind="stable")
    y, score = y[order], score[order]
    tie_starts = np.flatnonzero(np.append(True, np.diff(score) != 0))
    return _Sample(y=y, score=score, positive=score >= threshold, tie_starts=tie_starts, block=block[order])


def _divide(numerator: Any, denominator: Any) -> Floats:
    """Divide, with NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, np.divide(numerator, denominator))


def _weighted_mean(terms: Any, weights: Floats) -> Floats:
    return _divide(weights @ np.asarray(terms, dtype=np.float64), weights.sum(axis=1))


def _class_weights(sample: _Sample, weights: Floats) -> tuple[Floats, Floats]:
    """Weights of positives and of negatives in each run of equal scores, ascending."""
    of_positives = np.add.reduceat(weights * sample.y, sample.tie_starts, axis=1)
    return of_positives, np.add.reduceat(weights, sample.tie_starts, axis=1) - of_positives


def _roc_auc(sample: _Sample, weights: Floats) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties counting half (Mann and Whitney 1947)."""
    positives, negatives = _class_weights(sample, weights)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    return _divide((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))


def _average_precision(sample: _Sample, weights: Floats) -> Floats:
    """Precision, averaged over the steps of recall, from the highest score down."""
    positives, negatives = _class_weights(sample, weights)
    true = np.cumsum(positives[:, ::-1], axis=1)
    false = np.cumsum(negatives[:, ::-1], axis=1)
    precision = np.nan_to_num(_divide(true, true + false))  # weightless steps add nothing to recall either
    undefined = (positives.sum(axis=1) == 0) | (negatives.sum(axis=1) == 0)
    area = _divide((positives[:, ::-1] * precision).sum(axis=1), positives.sum(axis=1))
    return np.where(undefined, np.nan, area)


def _log_loss(sample: _Sample, weights: Floats) -> Floats:
    score = np.clip(sample.score, _EPS, 1 - _EPS)
    return _weighted_mean(-np.where(sample.y == 1, np.log(score), np.log1p(-score)), weights)


def _brier_score(sample: _Sample, weights: Floats) -> Floats:
    return _weighted_mean((sample.score - sample.y) ** 2, weights)


def _calibration_error(sample: _Sample, weights: Floats) -> Floats:
    """Mean distance of score and label over ten bins of the score, weighted by the rows in each."""
    bins = np.minimum((sample.score * _N_BINS).astype(np.int64), _N_BINS - 1)
    gap_of_bin = np.zeros((len(bins), _N_BINS))
    gap_of_bin[np.arange(len(bins)), bins] = sample.y - sample.score
    return _divide(np.abs(weights @ gap_of_bin).sum(axis=1), weights.sum(axis=1))


def _accuracy(sample: _Sample, weights: Floats) -> Floats:
    return _weighted_mean(sample.positive == (sample.y == 1), weights)


def _precision(sample: _Sample, weights: Floats) -> Floats:
    return _divide(weights @ (sample.positive * sample.y), weights @ sample.positive.astype(np.float64))


def _recall(sample: _Sample, weights: Floats) -> Floats:
    return _divide(weights @ (sample.positive * sample.y), weights @ sample.y)


def _f1(sample: _Sample, weights: Floats) -> Floats:
    return _divide(2 * (weights @ (sample.positive * sample.y)), weights @ (sample.positive + sample.y))


def _base_rate(sample: _Sample, weights: Floats) -> Floats:
    return _weighted_mean(sample.y, weights)


_COMPUTE: dict[str, Callable[[_Sample, Floats], Floats]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "brier_score": _brier_score,
    "expected_calibration_error": _calibration_error,
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "base_rate": _base_rate,
}
_LOWER_IS_BETTER = frozenset({"log_loss", "brier_score", "expected_calibration_error"})

BINARY_METRICS = tuple(_COMPUTE)
"""Metrics of the task ``binary``, in the order in which they are shown."""


def greater_is_better(metric: str) -> bool:
    """Say in which direction a metric improves.

    Raises
    ------
    SpecError
        If the metric is unknown, or is a property of the data and has no better or worse (``base_rate``).

    Examples
    --------
    >>> greater_is_better("roc_auc"), greater_is_better("log_loss")
    (True, False)
    """
    choices = [name for name in BINARY_METRICS if name != "base_rate"]
    if metric not in choices:
        near = difflib.get_close_matches(metric, choices, n=1)
        hint = f" Is it {near[0]!r}?" if near else ""
        raise SpecError(f"Metric {metric!r} cannot be decided on.{hint}", f"Choose one of {', '.join(choices)}.")
    return metric not in _LOWER_IS_BETTER


def point_value(metric: str, y_true: npt.ArrayLike, y_score: npt.ArrayLike, threshold: float = 0.5) -> float:
    """Give one metric without an interval.

    Parameters
    ----------
    metric : str
        A name of `BINARY_METRICS`.
    y_true : array-like of shape (n_samples,)
        0 and 1.
    y_score : array-like of shape (n_samples,)
        Probability of the positive class, 0 to 1.
    threshold : float, default 0.5
        Score from which a row counts as positive.

    Returns
    -------
    float
        NaN where the metric is not defined.

    Examples
    --------
    >>> point_value("roc_auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> point_value("roc_auc", [1, 1], [0.1, 0.4])
    nan
    """
    compute = _computation(metric)
    sample = _sample(y_true, y_score, threshold, np.zeros(np.shape(y_true), dtype=np.int64))
    return float("nan") if sample is None else float(compute(sample, np.ones((1, len(sample.y))))[0])


def evaluate_binary(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    threshold: float = 0.5,
    blocks: npt.ArrayLike | None = None,
    metrics: tuple[str, ...] = BINARY_METRICS,
    slice: str | None = None,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> tuple[MetricValue, ...]:
    """Give metrics with 95 % intervals.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        0 and 1.
    y_score : array-like of shape (n_samples,)
        Probability of the positive class, 0 to 1.
    threshold : float, default 0.5
        Score from which a row counts as positive.
    blocks : array-like of shape (n_samples,), default None
        Rows that are drawn together, such as keys of partitions; None draws rows one by one.
    metrics : tuple of str, default all
        Names of `BINARY_METRICS`.
    slice : str, default None
        Label for the values, e.g. ``origin=EWR``.
    random_state : int, default 0
        Seed of the draws.
    n_replicates : int, default 200
        Number of draws.

    Returns
    -------
    tuple of MetricValue
        In the order of ``metrics``; NaN where a metric, or its interval (fewer than 5 blocks), is not defined.

    Examples
    --------
    >>> figures = evaluate_binary([0, 1] * 50, [0.2, 0.7] * 50, metrics=("accuracy",))
    >>> figures[0].value, figures[0].low, figures[0].high, figures[0].n
    (1.0, 1.0, 1.0, 100)
    """
    computations = [_computation(metric) for metric in metrics]
    n_samples = len(np.asarray(y_true))
    block, n_blocks = index_blocks(blocks, n_samples)
    sample = _sample(y_true, y_score, threshold, block)
    if sample is None:
        return tuple(_undefined(metric, n_samples, slice) for metric in metrics)
    rows = sample  # for the type checker: never None inside the closure

    def all_metrics(weights: Floats) -> Floats:
        return np.column_stack([compute(rows, weights) for compute in computations])

    values = all_metrics(np.ones((1, n_samples)))[0]
    draws = replicate(
        lambda counts: all_metrics(_weights(rows, counts)), n_blocks, n_samples, random_state, n_replicates
    )
    return tuple(
        _figure(metric, value, draws[:, position], n_samples, n_blocks, slice)
        for position, (metric, value) in enumerate(zip(metrics, values, strict=True))
    )


def paired_difference(
    metric: str,
    y_true: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    blocks: npt.ArrayLike | None,
    *,
    threshold_a: float = 0.5,
    threshold_b: float = 0.5,
    slice: str | None = None,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> MetricValue:
    """Give the metric of A minus the metric of B on the same rows, with its 95 % interval.

    Both are computed on the same draws, so what makes a day hard for both cancels out.

    Parameters
    ----------
    metric : str
        A name of `BINARY_METRICS`. The difference keeps the metric's sign: for a loss, negative means A is better.
    y_true : array-like of shape (n_samples,)
        0 and 1.
    score_a, score_b : array-like of shape (n_samples,)
        Probabilities of the positive class by either model.
    blocks : array-like of shape (n_samples,) or None
        Rows that are drawn together; None draws rows one by one.
    threshold_a, threshold_b : float, default 0.5
        Score from which a row counts as positive, for either model.
    slice : str, default None
        Label for the value, e.g. the baseline's name.
    random_state : int, default 0
        Seed of the draws.
    n_replicates : int, default 200
        Number of draws.

    Returns
    -------
    MetricValue
        NaN where the metric is not defined.

    Examples
    --------
    >>> paired_difference("roc_auc", [0, 1] * 50, [0.2, 0.7] * 50, [0.5] * 100, None).value
    0.5
    """
    compute = _computation(metric)
    n_samples = len(np.asarray(y_true))
    block, n_blocks = index_blocks(blocks, n_samples)
    a, b = _sample(y_true, score_a, threshold_a, block), _sample(y_true, score_b, threshold_b, block)
    if a is None or b is None:
        return _undefined(metric, n_samples, slice)
    pair = (a, b)

    def difference(counts: Integers) -> Floats:
        of_a, of_b = (compute(sample, _weights(sample, counts)) for sample in pair)
        return (of_a - of_b)[:, None]

    value = difference(np.ones((1, n_blocks), dtype=np.int64))[0, 0]
    draws = replicate(difference, n_blocks, n_samples, random_state, n_replicates)
    return _figure(metric, value, draws[:, 0], n_samples, n_blocks, slice)


def by_slice(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    slices: Mapping[str, Any],
    *,
    threshold: float = 0.5,
    blocks: npt.ArrayLike | None = None,
    metrics: tuple[str, ...] = BINARY_METRICS,
    random_state: int = 0,
    n_replicates: int = N_REPLICATES,
) -> tuple[MetricValue, ...]:
    """Give metrics for each value of some features.

    Parameters
    ----------
    y_true, y_score, threshold, blocks, metrics, random_state, n_replicates
        As in `evaluate_binary`.
    slices : mapping of str to array-like of shape (n_samples,)
        Features to cut by. The 20 most frequent values of each are reported; missing ones as ``feature=missing``.

    Returns
    -------
    tuple of MetricValue
        With ``slice`` such as ``origin=EWR``; features in the order given, values in alphabetical order.

    Examples
    --------
    >>> figures = by_slice([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.3], {"origin": ["A", "A", "B", "B"]}, metrics=("f1",))
    >>> [(figure.slice, figure.value) for figure in figures]
    [('origin=A', 1.0), ('origin=B', 0.0)]
    """
    y, score = np.asarray(y_true), np.asarray(y_score)
    of_blocks = None if blocks is None else np.asarray(blocks)
    figures: list[MetricValue] = []
    for label, rows in _slices(slices):
        figures += evaluate_binary(
            y[rows],
            score[rows],
            threshold=threshold,
            blocks=None if of_blocks is None else of_blocks[rows],
            metrics=metrics,
            slice=label,
            random_state=random_state,
            n_replicates=n_replicates,
        )
    return tuple(figures)


def _slices(slices: Mapping[str, Any]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    for feature, column in slices.items():
        values = pd.Series(np.asarray(column, dtype=object))
        texts = values.map(str).where(values.notna(), "missing")
        for value in sorted(texts.value_counts().index[:_MAX_SLICE_VALUES]):
            yield f"{feature}={value}", (texts == value).to_numpy()


def _computation(metric: str) -> Callable[[_Sample, Floats], Floats]:
    if metric not in _COMPUTE:
        raise SpecError(f"Metric {metric!r} is unknown.", f"Choose one of {', '.join(BINARY_METRICS)}.")
    return _COMPUTE[metric]


def _weights(sample: _Sample, counts: Integers) -> Floats:
    return counts.astype(np.float64)[:, sample.block]


def _figure(metric: str, value: float, draws: Floats, n_samples: int, n_blocks: int, slice: str | None) -> MetricValue:
    low, high = percentile_interval(draws, n_blocks) if np.isfinite(value) else (float("nan"), float("nan"))
    return MetricValue(name=metric, value=float(value), low=low, high=high, n=n_samples, slice=slice)


def _undefined(metric: str, n_samples: int, slice: str | None) -> MetricValue:
    nan = float("nan")
    return MetricValue(name=metric, value=nan, low=nan, high=nan, n=n_samples, slice=slice)
