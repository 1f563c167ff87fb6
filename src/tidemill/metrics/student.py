"""Student's quantile, without scipy, whose import would cost each monitoring task 0.2 s (ADR 26)."""

import math
from collections.abc import Sequence
from statistics import NormalDist, stdev

__all__ = ["degrees_of_freedom", "half_width", "student_quantile"]

EXACT = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706}  # where the expansion is more than 0.1 % short


def student_quantile(freedom: float) -> float:
    """Return the 0.975 quantile of Student's distribution, exact to 0.1 %; between 2 and 6, of fractions, to 2 %.

    Parameters
    ----------
    freedom : float
        Degrees of freedom, at least 1.

    References
    ----------
    Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.5: an expansion in 1/freedom.

    Examples
    --------
    >>> round(student_quantile(4), 2), round(student_quantile(1000), 3)
    (2.78, 1.962)
    """
    whole = int(freedom)
    if freedom == whole and whole in EXACT:
        return EXACT[whole]
    if whole in EXACT:  # the quantile is almost a straight line in 1 / freedom
        share = (1 / whole - 1 / freedom) * whole * (whole + 1)
        return (1 - share) * student_quantile(whole) + share * student_quantile(whole + 1)
    z = NormalDist().inv_cdf(0.975)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def degrees_of_freedom(n_blocks: int) -> int:
    """Return the degrees of freedom of a mean over n blocks of time: n^0.62, at least 3.

    With more, the interval would be too narrow for days that resemble the day before; with fewer, days are wasted
    (`tidemill.metrics.blocks`).

    Examples
    --------
    >>> [degrees_of_freedom(n) for n in (3, 5, 7, 14, 28, 90)]
    [2, 3, 3, 5, 7, 16]
    """
    slow = int(n_blocks**0.62)
    return min(max(slow, 3), n_blocks - 1)


def half_width(values: Sequence[float]) -> float:
    """Return half the width of the 95 % interval of a mean, from how at least two values differ.

    Examples
    --------
    >>> round(half_width([0.60, 0.62, 0.64]), 3)
    0.05
    """
    return student_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
