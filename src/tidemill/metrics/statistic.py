"""Statistics of rows: the value under any weights, and the influence of each row on it.

Both are properties of one formula, so that acceptance, which leaves out blocks of rows, and monitoring, which adds up
influences, measure the same thing. Weights have the shape (n_replicates, n_samples); a value is one per replicate.

A row may count several times: ``sample_weight`` is the number of rows that it stands for. Every figure and influence is then
the one of rows repeated that many times, which all belong to the block of the one row. Where the number of rows decides what is
known, a row is one observation however often it counts, so multiplying all weights by a number changes no interval.

References
----------
Influence functions: F. Hampel, JASA 69 (1974). Area under the curve: E. DeLong, D. DeLong, D. Clarke-Pearson,
Biometrics 44 (1988); with blocks: N. Obuchowski, Biometrics 53 (1997). Quantiles: R. Woodruff, JASA 47 (1952).
Independent rows: L. Kish, *Survey Sampling* (1965).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Bools",
    "Floats",
    "Integers",
    "Statistic",
    "area",
    "average",
    "average_precision",
    "combination",
    "independent",
    "mean",
    "median",
    "ratio",
    "root",
    "scattered",
    "within",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Ends = Callable[[float], tuple[float, float]]
_TIED = 0.02  # share of rows at the median from which its interval moves in steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A figure of rows."""

    values: Callable[[Floats], Floats]
    """From weights to values; NaN where the statistic is not defined."""
    influence: Callable[[], Floats]
    """Change of the value per weight of each row at weights of 1, shape (n_samples,); adds up to 0."""
    counted: Floats
    """How often a row counts that carries the figure, else 0: of recall the positives, of a ranking the rarer class."""
    step: float | None = None
    """Change of a share by one row; None where there is no smallest change."""
    at_most: float | None = None
    """Independent rows that the statistic is worth at most; None for no limit."""
    in_steps: bool = False
    """Whether ends move in steps, as those of a median of whole numbers; influences then tell nothing about likeness."""
    opaque: bool = False
    """Whether it is known only as a number: it has no influences, and each value costs a call."""
    ends: Ends | None = None
    """From half the interval's width, on the scale of the influence, to its ends; None for value minus and plus."""

    @property
    def value(self) -> float:
        """The figure with each row counted once."""
        return float(self.values(np.ones((1, len(self.counted))))[0])


def _divide(numerator: Any, denominator: Any) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(np.equal(denominator, 0), np.nan, np.divide(numerator, denominator))


def ratio(
    part: npt.ArrayLike,
    whole: npt.ArrayLike,
    most: float | None = None,
    sample_weight: Floats | None = None,
) -> Statistic:
    """Return the ratio of two sums.

    Parameters
    ----------
    part, whole : array-like of shape (n_samples,)
        Terms of either sum.
    most : float, default None
        Greatest term of ``part`` if the ratio is a share; None if terms have no greatest value.
    sample_weight : ndarray of shape (n_samples,), default None
        How often each row counts, above 0; None for once.

    Examples
    --------
    >>> found = ratio([1.0, 0.0], [1.0, 1.0])
    >>> found.value, found.influence().tolist()
    (0.5, [0.25, -0.25])
    """
    once = np.asarray(whole, dtype=np.float64)
    often = _often(sample_weight, len(once))
    above, below = often * np.asarray(part, dtype=np.float64), often * once
    total = float(below.sum())

    def influence() -> Floats:
        return np.asarray((above - above.sum() / total * below) / total)

    return Statistic(
        values=lambda weights: _divide(weights @ above, weights @ below),
        influence=influence,
        counted=np.where(once != 0, often, 0.0),
        step=None
        if most is None or not total
        else most * (often[once != 0].sum() / independent(often[once != 0]).sum()) / total,
    )


def independent(sample_weight: Floats) -> Floats:
    """Return weights in proportion, scaled so that they add up to the number of independent rows with the same variance.

    Examples
    --------
    >>> independent(np.array([30.0, 30.0])).tolist(), float(independent(np.array([98.0, 1.0, 1.0])).sum().round(2))
    ([1.0, 1.0], 1.04)
    """
    if not len(sample_weight):
        return sample_weight
    relative = sample_weight / sample_weight.max()
    return np.asarray(relative * (relative.sum() / (relative @ relative)))


def _often(sample_weight: Floats | None, n_samples: int) -> Floats:
    return np.ones(n_samples) if sample_weight is None else sample_weight


def mean(terms: npt.ArrayLike, most: float | None = None, sample_weight: Floats | None = None) -> Statistic:
    """Return the mean of a term of each row, which counts by its weight.

    Examples
    --------
    >>> mean([1.0, 3.0]).influence().tolist()
    [-0.5, 0.5]
    """
    values = np.asarray(terms, dtype=np.float64)
    return ratio(values, np.ones(len(values)), most, sample_weight)


def root(of: Statistic) -> Statistic:
    """Return the square root of a statistic.

    Examples
    --------
    >>> root(mean([4.0, 4.0])).value
    2.0
    """

    def influence() -> Floats:
        value = np.sqrt(of.value)
        return np.asarray(of.influence() / (2 * value)) if value else np.zeros(len(of.counted))

    return Statistic(values=lambda weights: np.sqrt(of.values(weights)), influence=influence, counted=of.counted)


def average(statistics: Sequence[Statistic], counted: Floats) -> Statistic:
    """Return the mean of those statistics that are defined; NaN if none is.

    Examples
    --------
    >>> average([ratio([1.0], [1.0]), ratio([1.0], [0.0])], np.ones(1)).value
    1.0
    """
    defined = [one for one in statistics if not np.isnan(one.value)]

    def values(weights: Floats) -> Floats:
        each = np.array([one.values(weights) for one in statistics]).reshape(len(statistics), len(weights))
        return _divide(np.nansum(each, axis=0), np.isfinite(each).sum(axis=0))

    def influence() -> Floats:
        return np.asarray(np.sum([one.influence() for one in defined], axis=0) / len(defined))

    steps = [one.step for one in defined if one.step is not None]
    return Statistic(
        values=values,
        influence=influence,
        counted=counted,
        step=float(np.sqrt(np.sum(np.square(steps))) / len(defined)) if steps else None,
    )


def combination(statistics: Sequence[Statistic], coefficients: Sequence[float]) -> Statistic:
    """Return a weighted sum of statistics of the same rows, such as a difference.

    Examples
    --------
    >>> combination([mean([1.0, 3.0]), mean([0.0, 1.0])], [1.0, -1.0]).value
    1.5
    """
    pairs = list(zip(coefficients, statistics, strict=True))
    steps = [abs(factor) * one.step for factor, one in pairs if one.step is not None]
    return Statistic(
        values=lambda weights: np.sum([factor * one.values(weights) for factor, one in pairs], axis=0),
        influence=lambda: np.sum([factor * one.influence() for factor, one in pairs], axis=0),
        counted=np.max([one.counted for one in statistics], axis=0),
        step=max(steps) if steps else None,
        opaque=any(one.opaque for one in statistics),
    )


def within(statistic: Statistic, start: int, n_samples: int) -> Statistic:
    """Return a statistic of some rows as one of more rows, which have weight 0 except for those from ``start`` on."""
    return _placed(statistic, slice(start, start + len(statistic.counted)), n_samples)


def scattered(statistic: Statistic, rows: Integers, n_samples: int) -> Statistic:
    """Return a statistic of the rows with these numbers as one of all rows.

    Examples
    --------
    >>> scattered(mean([1.0, 3.0]), np.array([0, 2]), 3).influence().tolist()
    [-0.5, 0.0, 0.5]
    """
    return _placed(statistic, rows, n_samples)


def _placed(statistic: Statistic, rows: slice | Integers, n_samples: int) -> Statistic:
    def spread(own: npt.NDArray[Any]) -> npt.NDArray[Any]:
        wide = np.zeros(n_samples, dtype=own.dtype)
        wide[rows] = own
        return wide

    return replace(
        statistic,
        values=lambda weights: statistic.values(weights[:, rows]),
        influence=lambda: spread(statistic.influence()),
        counted=spread(statistic.counted),
    )


class _Runs:
    """Rows in ascending order of score, with equal scores as one run."""

    def __init__(self, y: Floats, score: Floats) -> None:
        self.order = np.argsort(score, kind="stable")
        ordered = score[self.order]
        self.starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self.y = y[self.order]

    def of_classes(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weights of positives and of negatives in each run, shape (n_replicates, n_runs)."""
        ordered = weights[:, self.order]
        positives = np.add.reduceat(ordered * self.y, self.starts, axis=1)
        return positives, np.add.reduceat(ordered, self.starts, axis=1) - positives

    def per_row(self, per_run: Floats) -> Floats:
        """Return the value of each row's run, in the rows' own order."""
        sizes = np.diff(np.append(self.starts, len(self.order)))
        rows = np.empty(len(self.order))
        rows[self.order] = np.repeat(per_run, sizes)
        return rows


def area(y: Floats, score: Floats, sample_weight: Floats | None = None) -> Statistic:
    """Return the area under the ROC curve: the share of (positive, negative) pairs in the right order, ties by half.

    Examples
    --------
    >>> area(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.4, 0.8])).value
    0.75
    """
    runs, often = _Runs(y, score), _often(sample_weight, len(y))

    def values(weights: Floats) -> Floats:
        positives, negatives = runs.of_classes(weights * often)
        below = np.cumsum(negatives, axis=1) - negatives / 2
        return _divide((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))

    def influence() -> Floats:
        positives, negatives = (of_class[0] for of_class in runs.of_classes(often[None]))
        n_positive, n_negative = positives.sum(), negatives.sum()
        below = (np.cumsum(negatives) - negatives / 2) / n_negative
        above = 1 - (np.cumsum(positives) - positives / 2) / n_positive
        value = float((positives * below).sum() / n_positive)
        of_positive, of_negative = runs.per_row(below - value), runs.per_row(above - value)
        return np.asarray(often * np.where(y == 1, of_positive / n_positive, of_negative / n_negative))

    rarer = y == (1.0 if 2 * (often @ y) <= often.sum() else 0.0)
    return Statistic(values=values, influence=influence, counted=np.where(rarer, often, 0.0))


def average_precision(y: Floats, score: Floats, sample_weight: Floats | None = None) -> Statistic:
    """Return precision averaged over the steps of recall, from the highest score down; NaN on a single class.

    Examples
    --------
    >>> round(average_precision(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.4, 0.8])).value, 3)
    0.833
    """
    runs, often = _Runs(y, score), _often(sample_weight, len(y))

    def descending(weights: Floats) -> tuple[Floats, Floats, Floats]:
        positives, negatives = runs.of_classes(weights * often)
        hits, true = positives[:, ::-1], np.cumsum(positives[:, ::-1], axis=1)
        return hits, true, true + np.cumsum(negatives[:, ::-1], axis=1)

    def values(weights: Floats) -> Floats:
        hits, true, called = descending(weights)
        precision = np.nan_to_num(_divide(true, called))  # steps without weight add nothing to recall either
        single = (true[:, -1] == 0) | (true[:, -1] == called[:, -1])
        return np.where(single, np.nan, _divide((hits * precision).sum(axis=1), true[:, -1]))

    def influence() -> Floats:
        hits, true, called = (one[0] for one in descending(np.ones((1, len(y)))))
        precision = true / called
        value = float((hits * precision).sum() / true[-1])
        # A row changes precision at its own score and at all scores below.
        gained = np.cumsum((hits / called)[::-1])
        lost = np.cumsum((hits * precision / called)[::-1])
        own = precision[::-1] - value
        return np.asarray(often * (y * runs.per_row(own + gained) - runs.per_row(lost)) / true[-1])

    # The precision at the highest scores is one of few rows, which a sum of influences does not show.
    return Statistic(
        values=values,
        influence=influence,
        counted=np.where(y == 1, often, 0.0),
        at_most=float(independent(often[y == 1]).sum()),
    )


def median(terms: Floats, sample_weight: Floats | None = None) -> Statistic:
    """Return the median of a term of each row: the middle one, or the mean of the middle two.

    Its influence is on the scale of ranks, where it is known for any density of the terms: that of the share of
    rows up to the median. Ends of an interval are quantiles (Woodruff 1952), so that ties neither hide nor exaggerate
    what is unknown.

    Examples
    --------
    >>> median(np.array([1.0, 2.0, 9.0, 4.0])).value
    3.0
    """
    order, often = np.argsort(terms, kind="stable"), _often(sample_weight, len(terms))
    ordered, reach = terms[order], np.cumsum(independent(often[order]))

    def values(weights: Floats) -> Floats:
        below = np.cumsum((weights * often)[:, order], axis=1)
        half = below[:, -1:] / 2
        lower, upper = (np.argmax(reached, axis=1) for reached in (below >= half, below > half))
        return np.where(half[:, 0] > 0, (ordered[lower] + ordered[upper]) / 2, np.nan)

    def ranks() -> Floats:
        middle = float(values(np.ones((1, len(terms))))[0])
        reached = terms <= middle
        return np.asarray(often * (reached - np.average(reached, weights=often)) / often.sum())

    def ends(half: float) -> tuple[float, float]:
        lower, upper = np.floor(reach[-1] * (0.5 - half)), np.ceil(reach[-1] * (0.5 + half)) - 1
        low, high = np.searchsorted(reach, (lower, upper), side="right").clip(0, len(ordered) - 1).tolist()
        return float(ordered[low]), float(ordered[high])

    return Statistic(
        values=values,
        influence=ranks,
        counted=often,
        in_steps=bool(often[terms == float(values(np.ones((1, len(terms))))[0])].sum() > _TIED * often.sum()),
        ends=ends,
    )
