"""The gain of one retraining policy over another on the same partitions."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from tidemill.intervals import key_order
from tidemill.metrics.student import half_width
from tidemill.records import MetricValue

__all__ = ["gain"]

BLOCK = 7  # partitions per observation: neighbouring days are correlated
MIN_BLOCKS = 3  # fewer say almost nothing about the spread


def gain(
    quality: Mapping[str, float | None], other: Mapping[str, float | None], *, name: str, sign: int = 1
) -> MetricValue:
    """Return the mean difference of a metric over the partitions where both values are known.

    Parameters
    ----------
    quality, other : mapping of str to float or None
        The metric by partition key, of a policy and of the policy to compare with.
    sign : {1, -1}, default 1
        -1 if lower is better, so that a gain is positive.

    Returns
    -------
    MetricValue
        Mean difference with a 95 % interval (Student's t) over the means of blocks of seven partitions; NaN if no
        partition has both values.

    Examples
    --------
    >>> gain({"2013-07-01": 0.75, "2013-07-02": 0.80}, {"2013-07-01": 0.70, "2013-07-02": None}, name="roc_auc").n
    1
    """
    differences = [
        sign * (value - against)
        for key, value in sorted(quality.items(), key=lambda item: key_order(item[0]))
        if value is not None and (against := other.get(key)) is not None
    ]
    if not differences:
        return MetricValue(name=name, value=math.nan, n=0)
    middle, half = mean(differences), _half_width(differences)
    return MetricValue(
        name=name,
        value=middle,
        n=len(differences),
        low=None if half is None else middle - half,
        high=None if half is None else middle + half,
    )


def _half_width(differences: Sequence[float]) -> float | None:
    # The last, shorter block is left out: it would weigh as much as a full one.
    starts = range(0, len(differences) - BLOCK + 1, BLOCK)
    means = [mean(differences[start : start + BLOCK]) for start in starts]
    return None if len(means) < MIN_BLOCKS else half_width(means)
