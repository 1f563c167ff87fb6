"""How labels arrive: the share known at each age after a partition's end, learned from completed partitions.

The curve shows whether ``label.matures_after`` in the spec is long enough and which coverage a partition should have now.
Partitions that are past this time but lack usual labels are not compared with the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ENOUGH", "Arrival", "arrival_ages", "learn_arrival", "shares_known"]

ENOUGH = 0.9
"""Share of the coverage usual at its age that a partition needs for comparisons."""

LEAST_PARTITIONS = 3  # with a known course, needed to trust a curve
_STEPS = (0, 1 / 24, 1 / 12, 1 / 6, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1, 1.25, 1.5)  # of the declared time
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The curve."""

    ages: tuple[float, ...] = ()
    """Hours since a partition's end, ascending."""
    shares: tuple[float, ...] = ()
    """Usual share of rows with a known label by then: 0 to 1, non-decreasing."""
    n_partitions: int = 0
    """Partitions that the curve was learned from."""

    @property
    def known(self) -> bool:
        """Whether there were enough partitions to learn from."""
        return self.n_partitions >= LEAST_PARTITIONS

    @property
    def final(self) -> float:
        """Share of rows that eventually get a label; NaN if unknown."""
        return self.shares[-1] if self.known else math.nan

    def expected(self, age: float) -> float:
        """Return the usual share of known labels at an age in hours; NaN if unknown.

        Examples
        --------
        >>> Arrival(ages=(0.0, 48.0), shares=(0.0, 0.8), n_partitions=9).expected(24)
        0.4
        """
        return float(np.interp(age, self.ages, self.shares)) if self.known else math.nan

    def after(self, part: float) -> float:
        """Return the hours until a fraction of all labels that ever arrive is known; NaN if unknown.

        Examples
        --------
        >>> Arrival(ages=(0.0, 48.0), shares=(0.2, 0.8), n_partitions=9).after(0.5)
        16.0
        """
        if not self.known or self.final <= 0:
            return math.nan
        wanted = part * self.final
        if wanted <= self.shares[0]:
            return self.ages[0]
        at = next(i for i, share in enumerate(self.shares) if share >= wanted)
        before, share = self.shares[at - 1], self.shares[at]
        return self.ages[at - 1] + (wanted - before) / (share - before) * (self.ages[at] - self.ages[at - 1])

    def has_enough(self, coverage: float, age: float) -> bool:
        """Return whether a partition has nearly all the labels usual at its age; True if unknown.

        Examples
        --------
        >>> curve = Arrival(ages=(0.0, 48.0), shares=(0.0, 0.8), n_partitions=9)
        >>> curve.has_enough(0.75, 48), curve.has_enough(0.4, 48), Arrival().has_enough(0.1, 48)
        (True, False, True)
        """
        return not coverage < ENOUGH * self.expected(age)


def arrival_ages(matures_after: timedelta, length: timedelta) -> tuple[float, ...]:
    """Return the ages, in hours since a partition's end, at which labels are counted.

    Parameters
    ----------
    matures_after : timedelta
        Time that labels have to arrive; the ages extend to 1.5 times as long.
    length : timedelta
        Length of a partition, used if ``matures_after`` is zero.

    Examples
    --------
    >>> arrival_ages(timedelta(days=2), timedelta(days=1))[-3:]
    (48.0, 60.0, 72.0)
    """
    return tuple(round(step * ((matures_after or length) / HOUR), 3) for step in _STEPS)


def shares_known(delays: ArrayLike, n_rows: int, ages: Sequence[float], age: float) -> dict[float, float]:
    """Return the share of a partition's labels known at each age that it has reached.

    Parameters
    ----------
    delays : array-like of shape (n_known,)
        Hours from the partition's end until each known label became known; negative before its end.
    n_rows : int
        Scored rows, including those that never get a label.
    ages : sequence of float
        From `arrival_ages`.
    age : float
        Hours since the partition's end.

    Examples
    --------
    >>> shares_known([-1.0, 2.0, 5.0], 4, [0.0, 3.0, 6.0, 9.0], 6.0)
    {0.0: 0.25, 3.0: 0.5, 6.0: 0.75}
    """
    if not n_rows:
        return {}
    ordered = np.sort(np.asarray(delays, np.float64))
    reached = [item for item in ages if item <= age]
    return {item: float(np.searchsorted(ordered, item, side="right")) / n_rows for item in reached}


def learn_arrival(courses: Sequence[Mapping[float, float]], ages: Sequence[float], done: float) -> Arrival:
    """Learn the arrival curve from past partitions.

    The curve is the median over partitions at each age, so a week without labels does not change it.

    Parameters
    ----------
    courses : sequence of mapping of float to float
        Share known by age, from `shares_known`, one per partition.
    ages : sequence of float
        From `arrival_ages`.
    done : float
        Age in hours from which a partition's course is complete enough to learn from.

    Examples
    --------
    >>> learn_arrival([{0.0: 0.2, 6.0: 0.9}, {0.0: 0.4, 6.0: 1.0}, {0.0: 0.1}, {0.0: 0.3, 6.0: 0.8}], [0.0, 6.0], 6.0)
    Arrival(ages=(0.0, 6.0), shares=(0.3, 0.9), n_partitions=3)
    """
    whole = [course for course in courses if any(age >= done for age in course)]
    known = [(age, [course[age] for course in whole if age in course]) for age in ages]
    known = [(age, values) for age, values in known if values]
    shares = np.maximum.accumulate([median(values) for _, values in known]) if known else np.empty(0)
    return Arrival(ages=tuple(age for age, _ in known), shares=tuple(map(float, shares)), n_partitions=len(whole))
