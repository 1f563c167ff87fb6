"""Standard errors and 95 % intervals from whole blocks of rows.

Rows of one day share their weather and their queues, so a day counts as one observation, not its rows. Acceptance leaves
out one day at a time (jackknife: Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 11). Where there
are many blocks, as for the rows of one partition, the rows' influences are added up instead, which is the same to first
order.

Days may resemble the day before, and some 14 days are too few to measure by how much. So the variance comes from the slow
changes only, which are what a mean over days is uncertain by, resemblance or not: the n^0.62 slowest cosines, with as
many degrees of freedom (E. Lazarus, D. Lewis, J. Stock, M. Watson, *HAR Inference: Recommendations for Practice*, Journal
of Business and Economic Statistics 36, 2018). Even the slowest ones are a little short of the uncertainty of a mean of days
that resemble each other. So the error is wider by what they lack where neighbours have a correlation of 0.2: by 12 % for 7
days, 7 % for 14, 4 % for 28. Weeks of such days have a correlation of 0.03: 2 % for 5 weeks.

Where the same entities recur in every block, such as all customers on each day, blocks resemble each other because
they hold the same customers, which their differences cannot show. Then what an entity's rows share is added to the variance
(two-way clusters: A. Cameron, J. Gelbach, D. Miller, *Robust Inference with Multiway Clustering*, Journal of Business and
Economic Statistics 29, 2011).

Folds of the keys, which divide rows without a time, are exchangeable: n folds have n - 1 degrees of freedom.

Blocks count only if the figure depends on one of their rows: recall on 14 days with 10 positives in 6 of them has 6
observations. A figure without variance is not certain. Half the interval of a difference of shares is at least 2.4 rows wide;
any other figure without variance has no interval. Figures between 0 and 1 have Wilson's interval, so that 0 and 1 are uncertain
too.

A few bad days make a mean loss uncertain upwards rather than downwards. So where the figure is a mean over all rows, the
interval reaches further to the side to which the days are skewed (P. Hall, *On the Removal of Skewness by Transformation*,
Journal of the Royal Statistical Society B 54, 1992). Where it depends on few rows, the days show the skewness of these few.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidemill.intervals import FOLD, day_of, is_longer_than_day
from tidemill.metrics.statistic import Floats, Integers, Statistic, combination, independent
from tidemill.metrics.student import degrees_of_freedom, student_quantile

__all__ = [
    "MAX_CALLS",
    "MAX_LEFT_OUT",
    "MIN_BLOCKS",
    "Blocks",
    "Estimate",
    "estimate",
    "estimate_combination",
    "index_blocks",
    "joined",
    "partitions_of",
]

MIN_BLOCKS = 5
"""Blocks below which no honest interval exists at acceptance."""
MAX_LEFT_OUT = 500
"""Blocks up to which each is left out once; beyond, influences are added up."""
MAX_CALLS = 100
"""Blocks that are left out of a statistic that is known only as a number."""
_MAX_WEIGHTS = 4_000_000  # replicates times rows held at once: 32 MB
_OF_DAYS = 0.2  # correlation of neighbours for which the error is exact; measured ones are from -0.1 to 0.3
_OF_WEEKS = 0.03  # the same of weeks of such days, if days follow an autoregression; of months it is less
_LEAST_STEPS = 2.4  # half an interval of a difference of shares, in rows: as many may differ in what was not seen
_LEAST_QUANTILE = 1.3  # of the error of as many independent rows as a statistic is worth: two thirds of the normal one
_STRAIGHT = 1e-6  # skewness below which both sides are alike, and the formula divides by almost nothing
_ROUNDING = 1e-13  # of the value: what rounding leaves of no influence

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks of rows."""

    index: Integers
    """Number of each row's block, from 0, shape (n_samples,); of partitions in the order of time."""
    n: int
    """Number of blocks."""
    resemblance: float | None = _OF_DAYS
    """Correlation of neighbours for which standard errors are exact; None where the order is not that of time."""
    least: int = MIN_BLOCKS
    """Blocks with counted rows below which there is no interval."""
    entities: Integers | None = None
    """Number of each row's entity, where entities recur in other blocks."""

    def freedom(self, n_active: int) -> int:
        """Return the degrees of freedom of a variance from ``n_active`` blocks with counted rows."""
        return n_active - 1 if self.resemblance is None else degrees_of_freedom(n_active)

    def add(self, values: npt.ArrayLike) -> Floats:
        """Return the sum of a value of each row over each block."""
        sums = np.bincount(self.index, weights=np.asarray(values, dtype=np.float64), minlength=self.n)
        return sums.astype(np.float64)

    def coarse(self, most: int) -> "Blocks":
        """Return at most ``most`` blocks: neighbours together, or at random where there is no order in time."""
        if self.n <= most:
            return self
        order = np.random.default_rng(0).permutation(self.n) if self.resemblance is None else np.arange(self.n)
        return replace(self, index=(order * most // self.n)[self.index], n=most)

    def shared_variance(self, influence: Floats) -> float:
        """Return the variance from what an entity's rows share, beyond what single rows have; never below 0."""
        if self.entities is None:
            return 0.0
        of_entities = np.bincount(self.entities, weights=influence)
        return max(0.0, float((of_entities**2).sum() - (influence**2).sum()))


def index_blocks(keys: npt.ArrayLike | None, n_samples: int, least: int = MIN_BLOCKS) -> Blocks:
    """Return the blocks of rows by number.

    Parameters
    ----------
    keys : array-like of shape (n_samples,) or (n_samples, 2) or None
        Block of each row, such as the key of its partition; keys sort in the order of time. None makes each row a block.
        Hours of one day are one block: what happens on a day happens to all of its hours. Folds have no order. A second
        column has the entity of each row, where entities recur in other blocks.
    least : int, default 5
        Blocks with counted rows below which there is no interval.

    Examples
    --------
    >>> index_blocks(["2013-07-01", "2013-07-01", "2013-07-02"], 3).index.tolist()
    [0, 0, 1]
    >>> index_blocks(["2013-07-01T05+0000", "2013-07-01T06+0000", "2013-07-02T05+0000"], 3).index.tolist()
    [0, 0, 1]
    """
    if keys is None:
        return Blocks(index=np.arange(n_samples), n=n_samples, resemblance=None, least=least)
    given, entities = np.asarray(keys), None
    if given.ndim == 2:
        given, entities = given[:, 0], _levels(given[:, 1])[1]
    levels, index = _levels(given)
    if len(given) != n_samples or index.min(initial=0) < 0:
        raise ValueError("every row needs a block, and no block may be missing")
    days, of_levels = _levels(np.array([day_of(level) if isinstance(level, str) else level for level in levels]))
    resemblance = _resemblance([level for level in levels if isinstance(level, str)])
    return Blocks(index=of_levels[index], n=len(days), resemblance=resemblance, least=least, entities=entities)


def _resemblance(keys: Sequence[str]) -> float | None:
    if keys and all(key.startswith(FOLD) for key in keys):
        return None
    return _OF_WEEKS if keys and all(map(is_longer_than_day, keys)) else _OF_DAYS


def partitions_of(keys: npt.ArrayLike) -> npt.NDArray[np.generic]:
    """Return the partition of each row, from the keys of `index_blocks`."""
    given = np.asarray(keys)
    return given[:, 0] if given.ndim == 2 else given


def joined(sets: Sequence[Blocks]) -> Blocks:
    """Return the blocks of several sets of rows, one set after the other; no block, and no entity, is in two of them."""
    offsets = np.cumsum([0, *(one.n for one in sets)])
    index = [one.index + offset for one, offset in zip(sets, offsets, strict=False)]
    entities = [one.entities for one in sets if one.entities is not None]
    before = np.cumsum([0, *(one.max(initial=-1) + 1 for one in entities)])
    return Blocks(
        index=np.concatenate(index),
        n=int(offsets[-1]),
        resemblance=None if any(one.resemblance is None for one in sets) else sets[0].resemblance,
        entities=np.concatenate([one + n for one, n in zip(entities, before, strict=False)])
        if len(entities) == len(sets)
        else None,
    )


def _levels(keys: npt.NDArray[np.generic]) -> tuple[Sequence[object], Integers]:
    if keys.dtype != object:
        levels, index = np.unique(keys, return_inverse=True)
        return levels.tolist(), index.astype(np.int64)
    known = sorted({key for key in keys if key is not None and key == key})  # NaN differs from itself
    position = {key: number for number, key in enumerate(known)}
    return known, np.fromiter((position.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval; NaN where it is not defined."""

    value: float
    """On all rows."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    standard_error: float
    """Width of the interval, divided by how many errors it reaches down and up."""


def estimate(statistic: Statistic, blocks: Blocks, bounds: tuple[float, float] | None = None) -> Estimate:
    """Estimate a statistic with its interval.

    Parameters
    ----------
    bounds : pair of float, optional
        Least and greatest value that exist; None for a difference, which is symmetric about 0.

    Examples
    --------
    >>> from tidemill.metrics.statistic import mean
    >>> days = index_blocks(range(6), 6)
    >>> found = estimate(mean([2.0, 4.0, 1.0, 5.0, 6.0, 3.0]), days)
    >>> found.value, round(found.standard_error, 2)
    (3.5, 0.78)
    """
    value = statistic.value
    if statistic.opaque:
        blocks = blocks.coarse(MAX_CALLS)
    n_active = len(np.unique(blocks.index[statistic.counted > 0])) if np.isfinite(value) else 0
    if n_active < max(blocks.least, 2) or (statistic.opaque and blocks.entities is not None):
        return Estimate(value=_within(value, bounds), low=NAN, high=NAN, standard_error=NAN)
    quantile = student_quantile(blocks.freedom(n_active))
    influence = _of_blocks(statistic, blocks)
    shared = 0.0 if blocks.entities is None else blocks.shared_variance(statistic.influence())
    variance = (_contrasts(influence, blocks, n_active) ** 2).sum() * n_active / (n_active - 1) + shared
    error = float(np.sqrt(variance))
    if statistic.ends is None and bounds == (0.0, 1.0):
        below = above = quantile
        low, high = _score_interval(statistic, error, quantile)
    else:
        below, above = _reach(quantile, _skewness(statistic, influence, shared))
        low, high = _ends(statistic, error * below, error * above)
    value = _within(value, bounds)
    return Estimate(
        value=value,
        low=_within(min(low, value), bounds),
        high=_within(max(high, value), bounds),
        standard_error=(high - low) / (below + above),
    )


def _within(value: float, bounds: tuple[float, float] | None) -> float:
    """Return a plain float within bounds: a database driver writes NumPy's as the call that makes it."""
    return float(value if bounds is None or np.isnan(value) else min(max(value, bounds[0]), bounds[1]))


def _skewness(statistic: Statistic, influence: Floats, shared: float) -> float:
    """Return the skewness of a sum over blocks, whose own is estimated without bias, given the variance that entities add."""
    centred, n = influence - influence.mean(), len(influence)
    variance = float((centred**2).sum()) + shared
    if statistic.step is not None or statistic.ends is not None or not statistic.counted.all() or not variance > 0:
        return 0.0
    return float(((centred / np.sqrt(variance)) ** 3).sum() * np.sqrt(n * (n - 1)) / (n - 2))


def _reach(quantile: float, skewness: float) -> tuple[float, float]:
    """Return how many standard errors an interval reaches down and up, by Hall's transformation of Student's ratio."""
    lean = skewness / 6
    if abs(lean) < _STRAIGHT:
        return quantile, quantile

    def undone(ratio: float) -> float:
        return float(np.cbrt(1 + 6 * lean * (ratio - lean)) - 1) / (2 * lean)

    return undone(quantile), -undone(-quantile)


def _ends(statistic: Statistic, below: float, above: float) -> tuple[float, float]:
    least = _LEAST_STEPS * (statistic.step or 0.0)
    below, above = max(below, least), max(above, least)
    if not below > 0:
        return NAN, NAN
    return statistic.ends(below) if statistic.ends is not None else (statistic.value - below, statistic.value + above)


def _score_interval(statistic: Statistic, error: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's interval for as many independent rows as would have the standard error; without one, for all.

    Source: E. Korn, B. Graubard, *Survey Methodology* 24 (1998).
    """
    value = statistic.value
    chance = value * (1 - value)
    if np.isnan(error) or (chance > 0 and not error and statistic.step is None):
        return NAN, NAN
    n = chance / error**2 if chance > 0 and error > 0 else float(independent(statistic.counted).sum())
    shrink = quantile**2 / n
    if statistic.at_most is not None:
        shrink = max(shrink, _LEAST_QUANTILE**2 / statistic.at_most)
    centre = (value + shrink / 2) / (1 + shrink)
    half = float(np.sqrt(max(chance, 0.0) * shrink + shrink**2 / 4)) / (1 + shrink)
    return centre - half, centre + half


def _contrasts(influence: Floats, blocks: Blocks, n_active: int) -> Floats:
    """Return independent contrasts between blocks, whose squares add up to the variance; those of time are slow ones."""
    n = blocks.n
    if blocks.resemblance is None:
        return influence
    number = np.arange(1, blocks.freedom(n_active) + 1)
    mirrored = np.fft.rfft(np.concatenate([influence, influence[::-1]]))[number]
    orthonormal = np.exp(-0.5j * np.pi * number / n) / np.sqrt(2 * n)
    cosines = (orthonormal * mirrored).real
    return np.asarray(cosines * _widening(number / n, blocks.resemblance) * np.sqrt((n - 1) / len(number)))


def _widening(frequency: Floats, resemblance: float) -> float:
    """Return the ratio of a mean's error to that of cosines with these half cycles per block, in an autoregression."""
    density = 1 / (1 - 2 * resemblance * np.cos(np.pi * frequency) + resemblance**2)
    return float(np.sqrt(1 / (1 - resemblance) ** 2 / density.mean()))


def _of_blocks(statistic: Statistic, blocks: Blocks) -> Floats:
    """Return the influence of each block; NaN if leaving out one leaves the statistic undefined."""
    if statistic.ends is not None or blocks.n > MAX_LEFT_OUT:
        return blocks.add(statistic.influence())
    values = _leave_out(statistic, blocks)
    influence = (values.mean() - values) * (blocks.n - 1) / blocks.n
    return np.where(np.abs(influence) < _ROUNDING * abs(statistic.value), 0.0, influence)


def _leave_out(statistic: Statistic, blocks: Blocks) -> Floats:
    at_once = max(1, _MAX_WEIGHTS // max(len(blocks.index), 1))
    without = np.arange(blocks.n)
    return np.concatenate(
        [
            statistic.values((without[first : first + at_once, None] != blocks.index).astype(np.float64))
            for first in range(0, blocks.n, at_once)
        ]
    )


def estimate_combination(statistics: Sequence[Statistic], coefficients: Sequence[float], blocks: Blocks) -> Estimate:
    """Estimate a weighted sum of statistics of the same rows, such as a difference.

    Statistics whose intervals are not symmetric, such as medians, are combined end by end, with the correlation that
    their blocks show.

    References
    ----------
    G. Zou, A. Donner, *Statistics in Medicine* 27 (2008).
    """
    whole = combination(statistics, coefficients)
    if all(one.ends is None for one in statistics):
        return estimate(whole, blocks)
    found = [estimate(one, blocks) for one in statistics]
    contrasts = np.array([_contrasts(_of_blocks(one, blocks), blocks, blocks.n) for one in statistics])
    scale = np.sqrt((contrasts**2).sum(axis=1, keepdims=True))
    unit = np.divide(contrasts, scale, out=np.zeros_like(contrasts), where=scale > 0)
    likeness = (unit @ unit.T) * np.outer(np.sign(coefficients), np.sign(coefficients))
    if any(one.in_steps for one in statistics):
        likeness = np.eye(len(statistics))

    def reach(down: bool) -> float:
        to_end = [
            one.value - one.low if (factor > 0) == down else one.high - one.value
            for one, factor in zip(found, coefficients, strict=True)
        ]
        weighted = np.abs(coefficients) * np.array(to_end)
        return float(np.sqrt(np.maximum(weighted @ likeness @ weighted, 0.0)))

    below, above = reach(True), reach(False)
    if not below + above > np.sqrt(_ROUNDING) * max(abs(one.value) for one in found):  # of a difference of squares
        below = above = NAN
    quantile = student_quantile(max(blocks.freedom(blocks.n), 1))
    return Estimate(
        value=whole.value,
        low=whole.value - below,
        high=whole.value + above,
        standard_error=(below + above) / (2 * quantile),
    )
