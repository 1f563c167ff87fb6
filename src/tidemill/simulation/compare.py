"""Whether a policy of retraining is worth its trainings: its quality against another's, on the same partitions."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from tidemill.metrics.student import half_width
from tidemill.records import MetricValue

__all__ = ["gain"]

BLOCK = 7  # partitions that are taken as one observation: neighbouring days resemble each other
LEAST_BLOCKS = 3  # below, the spread says next to nothing


def gain(
    quality: Mapping[str, float | None], other: Mapping[str, float | None], *, name: str, sign: int = 1
) -> MetricValue:
    """Return the mean difference of a metric over the partitions in which both are known.

    Parameters
    ----------
    quality, other : mapping of str to float or None
        The metric by partition key, of a policy and of the one that it is compared with.
    name : str
        Name of the figure.
    sign : {1, -1}, default 1
        -1 where lower is better, so that a gain is positive.

    Returns
    -------
    MetricValue
        With a 95 % interval (Student's t) over the means of blocks of seven partitions; NaN without a partition.

    Examples
    --------
    >>> gain({"2013-07-01": 0.75, "2013-07-02": 0.80}, {"2013-07-01": 0.70, "2013-07-02": None}, name="roc_auc").n
    1
    """
    differences = [
        sign * (value - against)
        for key, value in sorted(quality.items())
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
    starts = range(0, len(differences) - BLOCK + 1, BLOCK)  # a last, shorter block would weigh as much as a full one
    means = [mean(differences[start : start + BLOCK]) for start in starts]
    if len(means) < LEAST_BLOCKS:
        return None
    return half_width(means)
