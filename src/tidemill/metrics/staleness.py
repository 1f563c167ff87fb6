"""How releases age: their loss against the youngest release on the same partitions, by age and per day of age.

Both releases score the same rows, so what makes a day hard for both cancels out, and the seasons do not look like age.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidemill.metrics.blocks import MIN_BLOCKS, estimate, index_blocks
from tidemill.metrics.statistic import Statistic, mean, ratio
from tidemill.records import MetricValue

__all__ = ["AGES", "LOSS", "YOUNGER_BY", "AgedLoss", "aged_losses", "loss_per_day", "staleness_curve", "suggested_age"]

AGES = (7, 30, 60, 90)
"""Ages of a release in days at which it is compared, each for a week."""
LOSS, YOUNGER_BY = "staleness_loss", "staleness_younger_by"
"""Names of the two figures of a comparison, whose slice is the age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgedLoss:
    """The loss of a release of some age on one partition."""

    partition: str
    age: int
    """One of `AGES`."""
    younger_by: float
    """Days between the trainings of the release and of the youngest one."""
    loss: float
    """By how much the acceptance metric of the youngest release is better; negative if it is worse."""


def aged_losses(figures: Mapping[str, Sequence[MetricValue]]) -> tuple[AgedLoss, ...]:
    """Return the comparisons of partitions from their figures in the ledger."""
    found = []
    for partition, values in figures.items():
        by_name = {(figure.name, figure.slice): figure.value for figure in values}
        for age in AGES:
            label = f"age={age}"
            if math.isfinite(loss := by_name.get((LOSS, label), math.nan)):
                days = by_name[YOUNGER_BY, label]
                found.append(AgedLoss(partition=partition, age=age, younger_by=days, loss=loss))
    return tuple(found)


def staleness_curve(losses: Sequence[AgedLoss]) -> tuple[MetricValue, ...]:
    """Return the mean loss at each age that was seen, with its 95 % interval over days.

    Examples
    --------
    >>> seen = [AgedLoss(partition=f"2013-07-{day:02}", age=30, younger_by=28, loss=0.01) for day in range(1, 4)]
    >>> [(figure.slice, figure.value, figure.n) for figure in staleness_curve(seen)]
    [('age=30', 0.01, 3)]
    """
    return tuple(
        _figure("loss", mean([item.loss for item in of_age]), of_age, f"age={age}")
        for age in AGES
        if (of_age := [item for item in losses if item.age == age])
    )


def loss_per_day(losses: Sequence[AgedLoss]) -> MetricValue | None:
    """Return the loss per day of age, with its 95 % interval over days; None with fewer than five days.

    It is the ratio of all losses to all differences of age: the slope of a line through 0 on which long differences
    weigh more.
    """
    if len({item.partition for item in losses}) < MIN_BLOCKS:
        return None
    return _figure("loss_per_day", ratio([item.loss for item in losses], [item.younger_by for item in losses]), losses)


def suggested_age(curve: Sequence[MetricValue], margin: float) -> int | None:
    """Return the longest age in days before the first one whose loss is shown to be above a margin; None if none is.

    Parameters
    ----------
    margin : float
        Loss that is tolerated, from 0.
    """
    ages = [0, *(int((figure.slice or "").removeprefix("age=")) for figure in curve)]
    for before, figure in zip(ages, curve, strict=False):
        if figure.low is not None and figure.low > margin:
            return before
    return None


def _figure(name: str, statistic: Statistic, losses: Sequence[AgedLoss], label: str | None = None) -> MetricValue:
    found = estimate(statistic, index_blocks([item.partition for item in losses], len(losses)))
    known = math.isfinite(found.low) and math.isfinite(found.high)
    low, high = (found.low, found.high) if known else (None, None)
    return MetricValue(name=name, value=found.value, low=low, high=high, n=len(losses), slice=label)
