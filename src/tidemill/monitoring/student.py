"""Student's quantile, for intervals of means over few days; scipy would cost a second of import."""

from statistics import NormalDist

__all__ = ["student_quantile"]

EXACT = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764}  # where the expansion is more than 0.2 % short


def student_quantile(freedom: int) -> float:
    """Return the 0.975 quantile of Student's distribution.

    Parameters
    ----------
    freedom : int
        Degrees of freedom, at least 1.

    Returns
    -------
    float
        Exact to 0.2 %: from a table up to 4, beyond by the expansion in 1/freedom.

    References
    ----------
    Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.5.

    Examples
    --------
    >>> round(student_quantile(4), 2), round(student_quantile(1000), 3)
    (2.78, 1.962)
    """
    if freedom in EXACT:
        return EXACT[freedom]
    z = NormalDist().inv_cdf(0.975)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
